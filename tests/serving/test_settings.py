"""Who may ask, where the server listens, and what it refuses before it listens."""

import json

import pytest

from pathfuse.errors import InputError
from pathfuse.serving.settings import (
    Limits,
    Settings,
    check_address,
    digest_of_token,
    is_loopback,
    name_of,
    read_token,
)
from pathfuse.workflows.model import SCHEMA

TOKEN = "0123456789abcdef"  # noqa: S105 - of these tests
ALL = "0.0.0.0"  # noqa: S104 - refused without a token


def test_a_token_comes_from_a_file_or_the_environment(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token(file, {}) == TOKEN
    assert read_token(None, {"PATHFUSE_TOKEN": TOKEN}) == TOKEN
    assert read_token(file, {"PATHFUSE_TOKEN": "the file is what was named"}) == TOKEN
    assert read_token(None, {}) is None


@pytest.mark.parametrize("text", ["", "short", "has a blank in the middle", "täglich-geheim-0123"])
def test_what_is_no_token_is_refused(tmp_path, text):
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(InputError, match="token"):
        read_token(file, {})
    with pytest.raises(InputError, match="at least 16"):
        read_token(None, {"PATHFUSE_TOKEN": text})
    with pytest.raises(InputError, match="cannot be read"):
        read_token(tmp_path / "absent", {})


def test_the_token_is_not_shown():
    assert TOKEN not in repr(Settings("m", "1", Limits(), digest_of_token(TOKEN)))
    assert "digest" not in repr(Settings("m", "1", Limits(), digest_of_token(TOKEN)))


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
        (ALL, False), ("::", False), ("10.0.0.1", False), ("server", False),
        ("localhost.example.org", False),
    ],
)  # fmt: skip
def test_other_addresses_than_our_own_need_a_token(host, ours):
    assert is_loopback(host) == ours
    check_address(host, 8000, TOKEN)
    if ours:
        check_address(host, 8000, None)
    else:
        with pytest.raises(InputError, match="can be reached from other machines"):
            check_address(host, 8000, None)


def test_names_that_stand_in_addresses(tmp_path):
    assert name_of(tmp_path / "kather" / "model", None) == "kather"
    assert name_of(tmp_path / "my study (2)", None) == "my-study-2"
    assert name_of(tmp_path, "v1.2_final") == "v1.2_final"
    with pytest.raises(InputError, match="--name 'a/b'"):
        name_of(tmp_path, "a/b")


@pytest.fixture
def folder(served, tmp_path):
    served().model.save(tmp_path / "model")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", ALL), "give a token"),
        (("--port", "70000"), "between 0 and 65535"),
        (("--workers", "0"), "--workers 0"),
        (("--max-rows", "0"), "--max-rows must be above 0"),
        (("--max-body-mb", "-1"), "--max-body-mb must be above 0"),
        (("--max-seconds", "nan"), "--max-seconds must be above 0"),
        (("--token-file", "/nowhere/token"), "cannot be read"),
        (("--name", "a b"), "--name 'a b'"),
        (("--host", "203.0.113.7", "--token-file", "TOKEN"), "cannot be listened at"),
    ],
)
def test_wrong_options_are_answered_before_the_server_starts(
    folder, run_cli, monkeypatch, words, said
):
    monkeypatch.delenv("PATHFUSE_TOKEN", raising=False)
    (folder / "token").write_text(TOKEN)
    words = [str(folder / "token") if word == "TOKEN" else word for word in words]
    answer = run_cli("serve", folder, *words)
    assert answer.status == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_a_model_of_a_newer_version_is_not_served(folder, run_cli):
    file = folder / "model" / "model.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**content, "schema": SCHEMA + 1}), encoding="utf-8")
    answer = run_cli("serve", folder)
    assert (answer.status, "was written by a newer pathfuse" in answer.err) == (2, True)
    assert run_cli("serve", folder / "nowhere").status == 2


def test_a_taken_port_is_said(folder, run_cli):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = run_cli("serve", folder, "--port", taken.getsockname()[1])
    assert answer.status == 2
    assert "cannot be listened at" in answer.err


def test_without_the_extra_one_sentence_says_what_to_install(folder, run_cli, monkeypatch):
    import sys

    for name in [n for n in sys.modules if n.startswith("pathfuse.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    answer = run_cli("serve", folder)
    assert answer.status == 2
    assert "pip install 'pathfuse[serve]'" in answer.err
