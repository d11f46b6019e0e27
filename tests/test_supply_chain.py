"""What stands beside the code for those who cite it, change it or attack it is current."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

import pathfuse

ROOT = Path(__file__).parents[1]
place = importlib.util.spec_from_file_location("write_citation", ROOT / "dev/write_citation.py")
citation = importlib.util.module_from_spec(place)
place.loader.exec_module(citation)
KINDS = {"article", "book", "generic"}
"""Of the Citation File Format 1.2.0, as far as they are used."""


def test_the_citation_is_current():
    assert citation.FILE.read_text(encoding="utf-8") == citation.text(), (
        "run python dev/write_citation.py"
    )


def test_the_citation_has_what_its_format_asks_for():
    content = yaml.safe_load(citation.FILE.read_text(encoding="utf-8"))
    assert content["cff-version"] == "1.2.0"
    assert content["version"] == pathfuse.__version__
    assert content["authors"] == [{"name": "The pathfuse authors"}]
    assert {"message", "title", "license"} <= set(content)
    assert len(content["references"]) > 15
    for work in content["references"]:
        assert work["type"] in KINDS
        assert work["title"]
        assert work["authors"]
        for person in work["authors"]:
            assert set(person) in ({"name"}, {"family-names", "given-names"})
            assert all(person.values())
        assert isinstance(work.get("year", 0), int)


def test_pre_commit_runs_what_make_lint_runs():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint: ")[2]
    lines = re.findall(r"^\t(.+)$", recipe.partition("\n\n")[0], re.MULTILINE)
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (repo,) = config["repos"]
    assert repo["repo"] == "local"
    assert len(lines) == 3
    assert [hook["entry"] for hook in repo["hooks"]] == [
        line.replace("$(BIN)", ".venv/bin") for line in lines
    ]
    for hook in repo["hooks"]:
        assert (hook["language"], hook["pass_filenames"]) == ("system", False)


@pytest.mark.parametrize("page", ["SECURITY.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    assert found
    assert not [link for link in found if not (ROOT / link).exists()]


def test_the_options_that_the_security_page_names_exist(run_cli):
    shown = "".join(run_cli(*command, "--help").out for command in (["dense", "train"], ["fuse"]))
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(--[a-z-]+)`", text))
    assert {"--download", "--remote-code", "--scheduler", "--force"} <= named
    assert not [option for option in named if option not in shown]
