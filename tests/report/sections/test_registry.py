"""Every section has its template, its place on the page, and tables of its own."""

import re
from importlib.resources import files

import pytest

from pathfuse.report.sections.registry import SECTIONS

PAGE = files("pathfuse.report").joinpath("page.html").read_text(encoding="utf-8")
PLACES = set(re.findall(r'{% with key = "(\w*)" %}', PAGE))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda one: one.id)
def test_a_section_is_shown_somewhere(section):
    assert section.after in PLACES
    assert files("pathfuse").joinpath(section.template).is_file()


def test_no_id_and_no_printed_table_occurs_twice():
    own = re.findall(r'^  \("(\w+)", ', PAGE, re.MULTILINE)
    ids = [*own, *(section.id for section in SECTIONS)]
    printed = [name for section in SECTIONS for name in section.printed]
    assert len(own) > 10
    assert len(ids) == len(set(ids))
    assert len(printed) == len(set(printed))
