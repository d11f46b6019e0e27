"""Every page that pathfuse writes is safe against every name: nothing comes of one but its own text.

Each page is made twice, with names that try to become more than text, and with plain ones; its
elements and attributes must be the same.
"""

import base64
import hashlib
import importlib.util
import re
import xml.etree.ElementTree as ET
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.dense.benchmark.dataset_page import render_datasets
from pathfuse.dense.benchmark.examples import Example
from pathfuse.dense.benchmark.page import render as render_leaderboard
from pathfuse.report import drift
from pathfuse.report.checklists.base import filled
from pathfuse.report.checklists.registry import CHECKLISTS
from pathfuse.report.drawings import Drawing
from pathfuse.report.figures import interval_plot
from pathfuse.report.model_card import model_card
from pathfuse.report.page import draw_all, render
from pathfuse.report.publication import publication_tables
from pathfuse.report.snippet import snippet
from pathfuse.report.theme import STYLE
from pathfuse.unseen import UNSEEN, visible

ROOT = Path(pathfuse.__file__).parent
HOSTILE = (
    "<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "</script><svg/onload=alert(1)>",
    "</style></svg><b>", "{{7*7}}{% raw %}", "javascript:alert(1)", "a'b\"c`d&lt;", "x\u202egnp.exe\u2066",
    "bell\x07 \x1b[31mred\x9b0m", "two\nlines\ttab", "$\\frac{1}$\\", "--><!--]]>", "#1c2833", "\ufffe\x00\x7f",
    'id="q" href="#q', "style=\"fill: red\"",
)  # fmt: skip
PLAIN = tuple(f"name {i:02d}" for i in range(len(HOSTILE)))
spec = importlib.util.spec_from_file_location(
    "made_up", Path(__file__).parents[1] / "dense/benchmark/made_up.py"
)
made_up = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made_up)


class Elements(HTMLParser):
    """Elements with the names of their attributes, values of attributes, and texts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.values, self.texts, self.inside = [], [], [], []
        self.whole = {"script": [], "style": []}
        self.comments, self.policy = [], None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        self.inside.append(tag)
        if tag in self.whole:
            self.whole[tag].append("")
        if tag == "meta":
            self.inside.pop()

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.values += [(tag, name, value) for name, value in attrs]
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"]

    def handle_endtag(self, tag):
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data):
        if self.inside and self.inside[-1] in self.whole:
            self.whole[self.inside[-1]][-1] += data
        else:
            self.texts.append(data)

    def handle_comment(self, data):
        self.comments.append(data)

    @property
    def text(self):
        return "".join(self.texts)


def study_of(names):
    """A small study in which experts, classes, samples, sites and columns have the names."""
    rng, n = np.random.default_rng(0), 96
    samples = [f"{names[i % len(names)]} {i}" for i in range(n)]
    classes = (names[0], names[5], names[8])
    truth = np.arange(n) % 3
    table = pl.DataFrame({
        "sample_id": samples,
        "label": [classes[k] for k in truth],
        "split": ["fit", "test"] * (n // 2),
        "site": [names[1 + (i // 2) % 2] for i in range(n)],
        "scanner": [names[7 + (i // 2) % 2] for i in range(n)],
    })  # fmt: skip
    experts = {
        name: pl.DataFrame({
            "sample_id": samples,
            **{f"logit_{one}": rng.normal(size=n) + 2 * (truth == k) for k, one in enumerate(classes)},
        })
        for name in names[2:7]
    }  # fmt: skip
    return pathfuse.read_study(samples=table, predictions=experts)


@cache
def report(hostile):
    study = study_of(HOSTILE if hostile else PLAIN)
    return pathfuse.fuse(study, method="logitprod", n_resamples=100, by="scanner").content()


def report_page(names, _):
    return [render(report(names is HOSTILE))]


def table_pages(names, _):
    return [one.page for one in publication_tables(report(names is HOSTILE))]


def ranking_page(names, place):
    rng = np.random.default_rng(0)
    rows = [
        {"study": f"{study} s", "method": method, "metric": "auroc", "value": rng.random(), "cohort": study}
        for study in names for method in names[:6]
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(place / "scores.parquet")
    out = pathfuse.rank([place / "scores.parquet"]).save(place / "out")
    return [(out / "ranking.html").read_text(encoding="utf-8")]


def drift_page(names, _):
    row = {
        "figure": "", "compared": "size", "probability_higher": 0.7, "z": 5.0, "p_value": 0.0002,
        "batch_alarm": True, "stream_alarm": "",
    }  # fmt: skip
    window = {
        "window": 1, "first": names[0], "last": names[7], "output": names[8], "figure": "nll", "value": 0.5,
        "ci_low": 0.4, "ci_high": 0.6, "reference": 0.3, "n_patients": 50,
    }  # fmt: skip
    summary = {
        "samples": 40, "patients": 40, "patients_named": False, "samples_as_one_patient": 3,
        "fit_patients": 60, "false_alarms": 0.01, "pathfuse": "1", "seed": 0,
        "stream": {"patients_in_a_step": 1}, "batch": {"limit": 4.0},
    }  # fmt: skip
    table = pl.DataFrame([{**row, "figure": name, "stream_alarm": name} for name in names])
    shown = drift.DriftContent(
        f"Since {names[1]}.", True, table, pl.DataFrame([window]), summary, np.arange(40.0), 9.0, names[2]
    )  # fmt: skip
    return [drift.render(shown, drift.drawings(shown))]


def dense_pages(names):
    boards = [
        made_up.board(
            dict.fromkeys([*names, "best_expert", "fused"], 0.8), dataset=one, strategy=two, note=one,
            size_policy=two,
        )
        for one in ("glas", names[0]) for two in (names[1], names[8])
    ]  # fmt: skip
    failed = [
        {"dataset": name, "strategy": name, "model": name, "seed": 0, "sentence": f"{name} broke"}
        for name in names
    ]
    strategies = [
        {"dataset": "glas", "strategy": one, "metric": "mDice", "value": 0.7, "ci_low": 0.6, "ci_high": 0.8,
         "n_models": 2, "n_images": 20, "n_patients": 12}
        for one in (names[1], names[8])
    ]  # fmt: skip
    found = made_up.tables(pl.concat(boards), made_up.pairs(), strategies)
    return found, failed, {"pathfuse": "1", "resamples": 1000, "warnings": list(names)}


def leaderboard_page(names, _):
    return [render_leaderboard(*dense_pages(names))]


def dataset_pages(names, _):
    found, failed, manifest = dense_pages(names)
    shown = {("glas", names[1]): [Example("worst", names[0], names[7], 0.4, b"png")]}
    return list(render_datasets(found, failed, manifest, shown, "leaderboard.html").values())


def tokens_page(names, place):
    pytest.importorskip("torch")
    from pathfuse.dense.analysis.report import write_tokens
    from pathfuse.dense.analysis.token_similarity import TokenSimilarity

    rng = np.random.default_rng(0)
    images = tuple(f"i{k}" for k in range(6))
    found = [
        TokenSimilarity(name, images, images, rng.random((6, 2)), rng.random((6, 2)), 0)
        for name in names
    ]
    write_tokens(found, {"dataset": names[0], "images": 6, "size_px": 64, "pathfuse": "1"}, place)
    return [(place / "tokens.html").read_text(encoding="utf-8")]


PAGES = {
    "report/page.html": report_page,
    "report/ranking.html": ranking_page,
    "report/drift.html": drift_page,
    "dense/benchmark/page.html": leaderboard_page,
    "dense/benchmark/dataset.html": dataset_pages,
    "dense/analysis/tokens.html": tokens_page,
    "tables": table_pages,
}


FUSED = {"report/page.html", "tables"}
"""They need a run, which takes seconds."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(one, marks=pytest.mark.slow if one in FUSED else ()) for one in PAGES],
    ids=lambda name: name.removesuffix(".html"),
)
def pages(request, tmp_path_factory):
    made = {}
    for names in (HOSTILE, PLAIN):
        place = tmp_path_factory.mktemp("page")
        made[names] = PAGES[request.param](names, place)
    assert len(made[HOSTILE]) == len(made[PLAIN]) > 0
    pairs = [
        SimpleNamespace(raw=one, hostile=Elements(one), plain=Elements(other))
        for one, other in zip(made[HOSTILE], made[PLAIN], strict=True)
    ]
    return SimpleNamespace(kind=request.param, pairs=pairs)


def test_every_template_of_a_page_is_tried_here():
    """A new page belongs to ``PAGES``."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.html")
        if re.match("<!doctype|{% extends", path.read_text(encoding="utf-8"))
    }
    assert found - {"dense/base.html"} == set(PAGES) - {"tables"}


def test_nothing_in_a_template_is_passed_as_safe():
    unsafe = r"\|\s*safe\b|autoescape|Markup|style=|\son\w+=|javascript:"
    texts = {path.name: path.read_text(encoding="utf-8") for path in ROOT.rglob("*.html")}
    assert {
        name: re.findall(unsafe, text) for name, text in texts.items() if re.search(unsafe, text)
    } == {}


def test_no_element_and_no_attribute_comes_of_a_name(pages):
    for page in pages.pairs:
        assert set(page.hostile.elements) <= set(page.plain.elements)
        outside = [
            Counter(one for one in found.elements if one[0] not in SVG)
            for found in (page.hostile, page.plain)
        ]
        assert outside[0] == outside[1]
        assert page.hostile.comments == page.plain.comments


SVG = {"svg", "g", "path", "use", "text", "tspan", "defs", "clippath", "rect", "image"}


def test_no_attribute_acts(pages):
    for page in pages.pairs:
        for tag, name, value in page.hostile.values:
            assert not name.startswith("on"), (tag, name)
            assert name != "style", (tag, value)
            if name in ("href", "src", "xlink:href", "action"):
                assert re.match(r"#|data:image/png;base64,|datasets/|\.\./", value), (tag, value)


def test_what_nobody_sees_is_shown_as_escapes(pages):
    for page in pages.pairs:
        assert not UNSEEN.search(re.sub(r"[\n\t]", "", page.raw))


def test_names_are_shown_as_they_are(pages):
    """Whatever else happens to them, they can be read: escaped once, and not as a template."""
    text = "".join(page.hostile.text for page in pages.pairs)
    assert HOSTILE[4] in text
    assert HOSTILE[0] in text
    assert "&amp;" not in text
    assert "&lt;img" not in text


def test_the_policy_allows_this_pages_style_and_script_and_nothing_else(pages):
    for page in pages.pairs:
        rules = dict(rule.split(" ", 1) for rule in page.hostile.policy.split("; "))
        assert rules["default-src"] == "'none'"
        assert rules["base-uri"] == rules["form-action"] == "'none'"
        assert "unsafe" not in page.hostile.policy
        assert set(rules) <= {
            "default-src",
            "base-uri",
            "form-action",
            "style-src",
            "script-src",
            "img-src",
        }
        assert rules.get("img-src", "data:") == "data:"
        for tag in ("style", "script"):
            for whole in page.hostile.whole[tag]:
                own = base64.b64encode(hashlib.sha256(whole.encode()).digest()).decode()
                assert rules[f"{tag}-src"] == f"'sha256-{own}'"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_figure_with_any_name_is_well_formed(name):
    rows = [
        {"method": one, "output": "all", "metric": "nll", "value": 0.5, "ci_low": 0.4, "ci_high": 0.6}
        for one in (name, "other")
    ]  # fmt: skip
    with mpl.rc_context(STYLE):
        drawing = Drawing("x", name, name, interval_plot(pl.DataFrame(rows), ["nll"]))
    for text in (drawing.svg, str(drawing.inline())):
        root = ET.fromstring(text)  # noqa: S314 - our own
        shown = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
        assert visible(name) in shown
    assert root.get("aria-label") == visible(name)


@pytest.mark.slow
def test_the_figures_of_a_run_are_well_formed_and_can_be_saved(tmp_path):
    for drawing in draw_all(report(True)):
        assert ET.fromstring(drawing.svg).tag.endswith("svg")  # noqa: S314 - our own
        assert not UNSEEN.search(drawing.svg.replace("\n", ""))
        drawing.save(tmp_path)


@pytest.mark.slow
def test_what_a_notebook_shows_brings_no_elements():
    heads = [snippet(report(one)) for one in (True, False)]
    studies = [study_of(names)._repr_html_() for names in (HOSTILE, PLAIN)]
    for hostile, plain in (heads, studies):
        assert Counter(Elements(hostile).elements) == Counter(Elements(plain).elements)
        assert not UNSEEN.search(hostile.replace("\n", ""))


@pytest.mark.slow
def test_markdown_has_no_html_of_a_name():
    """The model card and the checklists."""
    texts = [model_card(report(True), {"model.json": HOSTILE[0]}, {})]
    texts += [filled(one, report(True)).markdown for one in CHECKLISTS]
    for text in texts:
        assert not re.search(r"<[A-Za-z/!]", text)
        assert not UNSEEN.search(text.replace("\n", ""))
    assert "&lt;/script&gt;" in texts[0]
