"""The ranking's page and its critical-difference diagram."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

import pathfuse
from pathfuse.report.ranking import FILES, difference_plot, figures, headline, p_value

NASTY = "<b>$x$ & y"
TEST = {
    "unit": "studies",
    "n": 20,
    "critical_difference": 1.2,
    "mean_ranks": {"a": 1.0, "b": 2.0, NASTY: 3.0, "d": 4.0},
}


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.attributes, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def result(tmp_path):
    rows = [
        f"s{s},{m},auroc,{v},{v - low},{v + 0.05},{'P' if s < 2 else s}"
        for s in range(12)
        for m, v, low in (
            ("uni", 0.9, 0.1),
            (NASTY, 0.87 - s / 47, 0.1),
            ("gpfm", 0.5, 0.01),
            ("none", "", 0),
        )
        if v != ""
    ]
    table = tmp_path / "t.csv"
    head = "study,method,metric,value,ci_low,ci_high,cohort"
    table.write_text(
        "\n".join([head, *rows, "s12,uni,auroc,,,,Z", "s12,gpfm,auroc,0.4,,,Z"]) + "\n"
    )
    return pathfuse.rank([table])


@pytest.fixture
def page(result, tmp_path):
    return (result.save(tmp_path / "out") / "ranking.html").read_text()


def test_the_page_is_well_formed_and_alone(page):
    reader = Reader(page)
    assert reader.open == []
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    outside = [
        value
        for name, value in reader.attributes
        if name in {"src", "href", "xlink:href"} and value[0] != "#"
    ]
    assert outside == []
    assert "<script" not in page
    assert "<b>" not in page


def test_the_page_says_who_leads_and_what_was_left_out(page, result):
    text = " ".join(" ".join(Reader(page).texts).split())
    assert headline(result.summary, result.pairs, result.manifest) in text
    assert "Left out: cells (1), they hold no value: s12/uni." in text
    assert "Left out: studies (1), they have one method only: s12." in text
    assert NASTY in text
    assert "Friedman over 12 studies: χ² = 24.00 (2 df), p < 0.001" in text
    assert "Friedman over 11 cohorts" in text


def test_the_headline_counts_what_the_tests_leave_open(result):
    said = headline(result.summary, result.pairs, result.manifest)
    assert (
        "Over 12 studies of 11 cohorts, uni has the best mean rank by auroc, 1.00 of 3 (12 wins); 0 of the 2"
        in said
    )
    assert "On average 1.5" in said  # the nasty one reaches the winner in half of the studies
    harder = {**result.manifest, "alpha": 1e-9}
    assert "2 of the 2 others cannot be told from it" in headline(
        result.summary, result.pairs, harder
    )


def test_the_diagram_names_every_method_and_joins_what_is_close():
    figure = difference_plot(TEST)
    shown = [text.get_text().strip() for text in figure.axes[0].texts]
    assert "a  1.00" in shown
    assert "4.00  d" in shown
    assert "critical difference 1.20 (20 studies)" in shown
    assert any(r"\$x\$" in text for text in shown)  # no mathematics
    bars = [line.get_xdata() for line in figure.axes[0].lines if line.get_linewidth() == 3]
    assert [tuple(round(x, 2) for x in bar) for bar in bars] == [
        (0.96, 2.04),
        (1.96, 3.04),
        (2.96, 4.04),
    ]


def test_labels_stand_in_the_order_of_the_ranks():
    """Left column best on top, right column worst on top."""
    figure = difference_plot(TEST)
    height = {text.get_text().strip(): text.get_position()[1] for text in figure.axes[0].texts}
    assert height["a  1.00"] > height["b  2.00"]
    assert height["4.00  d"] > next(y for name, y in height.items() if name.startswith("3.00"))


def test_a_diagram_only_where_there_is_a_test():
    drawn = figures({"studies": TEST, "cohorts": {"unit": "cohorts", "reason": "few"}})
    assert [drawing.name for drawing in drawn] == [FILES["studies"]]


def test_the_saved_svg_is_a_picture(result, tmp_path):
    folder = result.save(tmp_path / "out") / "figures"
    for name in FILES.values():
        assert ET.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own file
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert not re.search(rb"CreationDate", (folder / f"{name}.pdf").read_bytes())


def test_p_values():
    assert [p_value(p) for p in (None, 0.0004, 0.0012, 1.0)] == ["—", "< 0.001", "0.001", "1.000"]
