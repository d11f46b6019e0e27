"""One template environment: a name that is missing is an error, and what users write is escaped."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

import pathfuse
from pathfuse.report import template
from pathfuse.report.template import render_page

ROOT = Path(pathfuse.__file__).parent


def test_there_is_no_other_environment():
    users = [
        p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*.py") if "jinja2" in p.read_text()
    ]
    assert users == ["report/template.py"]


@pytest.mark.parametrize(
    "page", ["report/page.html", "report/ranking.html", "dense/benchmark/page.html"]
)
def test_a_name_that_is_not_given_is_an_error(page):
    with pytest.raises(UndefinedError):
        render_page(page, dict.fromkeys(("metric", "order", "left_out", "count", "span"), str))


def test_text_is_escaped_and_filters_are_a_pages_own(monkeypatch):
    from jinja2 import DictLoader

    monkeypatch.setattr(
        template,
        "PackageLoader",
        lambda *place: DictLoader({"t": "{{ name }} {{ 0.12345|number }}"}),
    )
    assert render_page("t", {}, name="<b>") == "&lt;b&gt; 0.123"
    assert render_page("t", {"number": lambda value: "?"}, name="&") == "&amp; ?"
