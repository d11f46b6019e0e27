"""JSON that others wrote is refused in a sentence; digests tell inputs apart."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathfuse.errors import InputError
from pathfuse.files.digests import digest_of, file_digest, files_digest, state_of
from pathfuse.files.json import read_json, read_object

DEEP = "[" * 100_000


@pytest.mark.parametrize("text", ["{", "", DEEP, "\ufeff{}"])
def test_no_json(tmp_path, text):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"^the split file .*a.json is not JSON: "):
        read_json(file, "the split file")
    assert read_object(file) == {}


def test_a_file_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(InputError, match=r"^/.*none.json cannot be read: No such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match="is not JSON"):
        read_json(tmp_path / "a.json")
    assert read_object(tmp_path / "none.json") == read_object(tmp_path / "a.json") == {}


@pytest.mark.parametrize(
    ("text", "content"), [("[1]", [1]), ('{"a": 1}', {"a": 1}), ("null", None)]
)
def test_content(tmp_path, text, content):
    file = tmp_path / "a.json"
    file.write_text(text)
    assert read_json(file) == content
    assert read_object(file) == (content if isinstance(content, dict) else {})


VALUES = st.dictionaries(
    st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
)


@given(content=VALUES)
@pytest.mark.slow
def test_the_order_of_keys_is_nothing_and_all_else_is_something(content):
    turned = dict(reversed(content.items()))
    assert digest_of(turned) == digest_of(content) == digest_of(json.loads(json.dumps(content)))
    assert digest_of({**content, "another": [content]}) != digest_of(content)


def test_digests_of_files(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"abc")
    two.write_bytes(b"abc")
    assert file_digest(one) == file_digest(two) == hashlib.sha256(b"abc").hexdigest()
    assert files_digest([one]) != files_digest([two])  # names count
    assert digest_of(one) == digest_of(str(one))
    with pytest.raises(InputError, match="none cannot be read"):
        files_digest([one, tmp_path / "none"])


def test_the_state_of_files_and_folders(tmp_path):
    (tmp_path / "b/c").mkdir(parents=True)
    for name in ("a", "b/y", "b/c/x"):
        (tmp_path / name).write_text(name)
    found = state_of([tmp_path / "a", tmp_path / "b", tmp_path / "none"])
    assert [Path(name).name for name, *_ in found] == ["a", "x", "y"]
    assert [size for _, size, _ in found] == [1, 5, 3]
    os.utime(tmp_path / "a", ns=(1, 1))
    assert state_of([tmp_path / "a"]) == [(str(tmp_path / "a"), 1, 1)] != found[:1]
