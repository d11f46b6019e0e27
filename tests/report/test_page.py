"""The page: self-contained, well formed, complete, safe against names, the same bytes every time."""

import json
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import pathfuse
from pathfuse.report.content import Content
from pathfuse.report.drawings import Drawing, draw
from pathfuse.report.figures import interval_plot, weight_plot
from pathfuse.report.headline import headline
from pathfuse.report.page import (
    by_output,
    by_site,
    gain_sentence,
    ranking,
    render,
    temperature_sentence,
)
from pathfuse.report.words import number, p_value

NASTY = '<b>&"x'
VOID = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "track",
    "wbr",
}
LOADING = {
    "src",
    "href",
    "xlink:href",
    "srcset",
    "data",
    "poster",
    "action",
    "formaction",
    "background",
    "ping",
}
METHODS = ("fused", "logitprod", "best_expert", "uni", NASTY)


class Page(HTMLParser):
    """Tags, attributes, cells and text of a page; ``problems`` lists what is not balanced."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.problems, self.tags, self.attributes = [], [], [], []
        self.rows, self.texts, self.declarations = [], [], []
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self.open]

    def handle_decl(self, decl):
        self.declarations.append(decl)

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.problems.append(f"<{tag}> repeats an attribute")

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> at line {self.getpos()[0]} closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.texts))

    def row_of(self, first):
        (found,) = [row for row in self.rows if row[0] == first and row[-1] == "228"]
        return found


def metrics_of(values, intervals=True):
    """``values``: method -> (nll, auroc, ece)."""
    rows = [
        (
            method,
            "all",
            metric,
            v,
            *((v - 0.05, v + 0.05) if intervals and v is not None else (None, None)),
            228,
            114,
        )
        for method, cells in values.items()
        for metric, v in zip(("nll", "auroc", "ece"), cells, strict=True)
    ]
    names = ["method", "output", "metric", "value", "ci_low", "ci_high", "n", "n_patients"]
    kinds = [pl.String] * 3 + [pl.Float64] * 3 + [pl.Int64] * 2
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def comparisons_of(rows):
    names = [
        "method",
        "reference",
        "output",
        "metric",
        "difference",
        "ci_low",
        "ci_high",
        "p_value",
        "test",
    ]
    kinds = [pl.String] * 4 + [pl.Float64] * 4 + [pl.String]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


VALUES = {
    "uni": (0.9, 0.7, 0.111),
    "fused": (0.4321, 0.901, 0.1),
    NASTY: (1.234, None, 0.2),
    "logitprod": (0.45, 0.89, 0.1),
    "best_expert": (0.5, 0.85, 0.1),
}
TEST = "paired bootstrap by patient, 2000 resamples"
COMPARISONS = [
    ("fused", "best_expert", "all", "nll", -0.0679, -0.12, -0.02, 0.004, TEST),
    ("fused", "best_expert", "all", "auroc", 0.051, 0.01, 0.09, 0.01, TEST),
    ("fused", NASTY, "all", "nll", -0.8019, None, None, None, TEST),
    ("logitprod", "uni", "all", "nll", -0.4567, -0.7, -0.2, 0.001, TEST),
]


def manifest_of():
    expert = {"rows_read": 391, "coverage_fit": 1.0, "coverage_judged": 0.875, "cells_floored": 17}
    return {
        "pathfuse": "0.1.0",
        "python": "3.11.7",
        "libraries": {"numpy": "2.0.0"},
        "endpoint": {"kind": "multiclass", "classes": ["a", "b"]},
        "rows": {
            "read": 400,
            "fit": 163,
            "judged": 228,
            "patients_fit": 81,
            "patients_judged": 114,
        },
        "left_out": [
            {
                "reason": "role 'train': the experts saw these rows",
                "n": 6,
                "first": ["s1", "<i>s2"],
            },
            {"reason": "scored by no expert", "n": 3, "first": ["s9"]},
        ],
        "experts": {"uni": expert, NASTY: {**expert, "rows_read": 12, "coverage_fit": None}},
        "method": "auto",
        "seed": 7,
        "n_resamples": 2000,
        "unit": "sample",
        "inner_cross_validation": [
            {
                "fold": None,
                "all": {
                    "inner_nll": {"logitprod": 0.4444, "stacking": 0.5556},
                    "settings": {"logitprod": "LogitProd(l2=0.1)", "stacking": "C=<1>"},
                    "fallbacks": {},
                    "council_weights": {"logitprod": 0.7654},
                },
            }
        ],
        "notes": [f"all: auroc of {NASTY} is undefined: the judged rows hold 1 class"],
        "warnings": ["the fusion was fitted on 5 'train' rows <script>alert(1)</script>"],
    }


CERTIFICATE = {
    "objective": "nll",
    "fused": 0.3456,
    "experts": {"uni": 0.4567, NASTY: 1.5},
    "best_expert": "uni",
    "holds": True,
}


def fused_of():
    return pl.DataFrame(
        {"sample_id": ["a", "b"], "weight_uni": [0.75, 0.5], f"weight_{NASTY}": [0.25, 0.5]}
    )


@cache
def usual_page():
    return render(content_of())


def page_of(*arguments, **options):
    return render(content_of(*arguments, **options)) if arguments or options else usual_page()


def content_of(
    values=VALUES,
    comparisons=COMPARISONS,
    manifest=None,
    certificate=CERTIFICATE,
    fused=None,
    intervals=True,
    **more,
):
    return Content(
        metrics_of(values, intervals),
        comparisons if isinstance(comparisons, pl.DataFrame) else comparisons_of(comparisons),
        manifest or manifest_of(),
        certificate,
        fused_of() if fused is None else fused,
        **more,
    )


def bare_page():
    """As ``evaluate`` writes it: nothing was fitted."""
    manifest = {
        k: v for k, v in manifest_of().items() if k not in ("method", "inner_cross_validation")
    }
    return render(Content(metrics_of({"uni": VALUES["uni"]}), comparisons_of([]), manifest))


@pytest.fixture(scope="module")
def real_pages(tmp_path_factory):
    """``report.html`` of ``fuse`` and of ``evaluate`` on a small study with an expert of a nasty
    name."""
    rng = np.random.default_rng(0)
    ids, label = [f"s{i}" for i in range(60)], np.arange(60) % 2
    samples = pl.DataFrame({
        "sample_id": [*ids, "lost"],
        "label": [*np.array(["benign", "tumor"])[label], "tumor"],
        "split": [*np.repeat(["fit", "test"], 30), "test"],
    })  # fmt: skip
    experts = {
        name: pl.DataFrame({
            "sample_id": ids,
            "logit_benign": rng.normal(size=60) - label,
            "logit_tumor": rng.normal(size=60) + label,
        })
        for name in ("uni", NASTY)
    }  # fmt: skip
    study = pathfuse.read_study(samples=samples, predictions=experts)
    pages = {}
    results = {
        "fuse": pathfuse.fuse(study, method="logitprod", n_resamples=120, skip_unscored=True),
        "evaluate": pathfuse.evaluate(study, n_resamples=120),
    }
    for name, result in results.items():
        folder = result.save(tmp_path_factory.mktemp("run") / name)
        pages[name] = result, (folder / "report.html").read_text(encoding="utf-8")
    return pages


@pytest.fixture(params=["made", "bare", "fuse", "evaluate"])
def any_page(request):
    if request.param in ("fuse", "evaluate"):
        return request.getfixturevalue("real_pages")[request.param][1]
    return page_of() if request.param == "made" else bare_page()


def test_nothing_is_loaded_from_elsewhere(any_page):
    page = Page(any_page)
    loaded = [
        (tag, value) for tag, name, value in page.attributes if name in LOADING and value[0] != "#"
    ]
    assert {(tag, value[:22]) for tag, value in loaded} <= {
        ("image", "data:image/png;base64,")
    }  # the weight map
    assert page.tags.count("script") == 1
    assert not {"link", "iframe", "object", "embed", "img", "base", "audio", "video"} & set(
        page.tags
    )
    assert [
        u for u in re.findall(r"url\(\s*['\"]?([^)'\"]*)", any_page) if not u.startswith("#")
    ] == []
    assert "@import" not in any_page
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_the_page_is_balanced(any_page):
    page = Page(any_page)
    assert page.problems == []
    assert page.declarations == ["doctype html"]
    assert [page.tags.count(tag) for tag in ("html", "head", "title", "body", "h1")] == [1] * 5
    assert ("meta", "charset", "utf-8") in page.attributes
    assert ("html", "lang", "en") in page.attributes


def test_links_inside_the_page_have_their_target(any_page):
    page = Page(any_page)
    ids = {value for _, name, value in page.attributes if name == "id"}
    wanted = {
        value[1:]
        for _, name, value in page.attributes
        if name in ("href", "xlink:href") and value[0] == "#"
    }
    wanted |= set(re.findall(r"url\(#([^)]*)\)", any_page))
    assert wanted
    assert wanted <= ids


def test_the_checker_sees_faults():
    assert Page("<p><b></p>").problems
    assert Page("<table><tr><td>x</td></table>").problems
    assert Page("<div>").problems
    assert not Page('<p>a<br><svg><path d="M0"/></svg></p>').problems


def test_every_method_has_its_row_best_first():
    page = Page(page_of())
    header = next(row for row in page.rows if row[0] == "method")
    assert header == ["method", "NLL", "AUROC", "ECE", "n"]
    methods = [
        row[0] for row in page.rows if len(row) == 5 and row[0] in METHODS and row[-1] == "228"
    ]
    assert methods == ["fused", "logitprod", "best_expert", "uni", NASTY]
    assert page.row_of("fused") == [
        "fused",
        "0.4320.382 to 0.482",
        "0.9010.851 to 0.951",
        "0.1000.050 to 0.150",
        "228",
    ]
    assert [value for tag, name, value in page.attributes if (tag, name) == ("tr", "class")] == [
        "ours"
    ]


def test_every_method_of_a_real_run_is_there(real_pages):
    for result, text in real_pages.values():
        cells = {row[0] for row in Page(text).rows}
        assert set(result.metrics["method"]) <= cells
        assert {"uni", NASTY} <= cells
    assert set(real_pages["fuse"][0].metrics["method"]) >= {
        "fused",
        "logitprod",
        "best_expert",
        "stacking",
    }


def test_the_certificate_stands_there_with_its_limits(real_pages):
    text = Page(page_of()).text
    assert (
        "On the rows it was fitted on, the fusion's NLL is 0.346; the best expert there, uni, has 0.457. The guarantee "
        "(no worse than the best expert on the fit rows) holds. It is a statement about the fit rows and no evidence "
        "about new patients." in text
    )
    broken = Page(page_of(certificate={**CERTIFICATE, "holds": False})).text
    assert "(no worse than the best expert on the fit rows) does not hold." in broken
    result, text = real_pages["fuse"]
    certificate = result.certificate
    assert (
        f"the fusion's NLL is {certificate['fused']:.3f}; the best expert there" in Page(text).text
    )
    assert f"has {certificate['experts'][certificate['best_expert']]:.3f}" in Page(text).text


def test_without_a_fit_there_is_no_certificate_and_no_claim(real_pages):
    for text in (bare_page(), real_pages["evaluate"][1]):
        page = Page(text)
        assert "Certificate" not in page.text
        assert "Weights of the experts" not in page.text
        assert "Inner cross-validation" not in page.text
    assert "against every other" not in Page(bare_page()).text
    assert "2 experts judged on 228 samples of 114 patients." in Page(bare_page()).text


def test_what_was_left_out_and_noted_stands_there(real_pages):
    text = Page(page_of()).text
    assert "6 rows left out: role 'train': the experts saw these rows (first: s1, <i>s2)" in text
    assert "3 rows left out: scored by no expert (first: s9)" in text
    assert f"all: auroc of {NASTY} is undefined: the judged rows hold 1 class" in text
    assert "Warning: the fusion was fitted on 5 'train' rows <script>alert(1)</script>" in text
    assert "No row was left out" not in text
    one = {
        "expert": NASTY,
        "reason": "no tile",
        "n": 9,
        "first": ["s1"],
        "samples": 8,
        "patients": 7,
    }
    of_expert = Page(page_of(manifest={**manifest_of(), "left_out": [one]})).text
    assert f"{NASTY}: left out 9 (no tile: s1; 8 samples of 7 patients)" in of_expert
    assert "No row was left out" not in of_expert
    assert "No row was left out." in Page(page_of(manifest={**manifest_of(), "left_out": []})).text
    assert "1 row left out: scored by no expert (first: lost)" in Page(real_pages["fuse"][1]).text


def test_names_and_reasons_are_escaped(any_page):
    page = Page(any_page)
    assert not {"b", "i"} & set(page.tags)
    assert page.tags.count("script") == 1  # the page's own
    assert "<b>" not in any_page
    assert NASTY in page.text


def test_nasty_names_stand_in_tables_and_figures():
    page, text = Page(page_of()), page_of()
    assert page.row_of(NASTY)[1] == "1.2341.184 to 1.284"
    assert [NASTY, "12", "—", "87.5 %", "17"] in page.rows
    assert ["uni", "391", "100.0 %", "87.5 %", "17"] in page.rows
    drawn = [t for t in re.findall(r"<text[^>]*>([^<]*)</text>", text) if "x" in t and "b&gt;" in t]
    assert len(drawn) == 4  # ranking, differences, weights by sample, mean weights
    assert all(Page(t).text == NASTY for t in drawn)


def test_undefined_cells_are_an_em_dash():
    text = page_of()
    page = Page(text)
    assert page.row_of(NASTY)[2] == "—"
    assert [NASTY, "-0.802", "—", "—"] in page.rows
    for cell in (cell for row in page.rows for cell in row):
        assert not re.search(r"\b(nan|none|null|inf)\b", cell, re.IGNORECASE), cell
    alone = Page(page_of(intervals=False))
    assert alone.row_of("fused") == ["fused", "0.432", "0.901", "0.100", "228"]


def test_a_metric_undefined_for_all_still_has_a_page():
    values = dict.fromkeys(VALUES, (0.5, None, 0.1))
    page = Page(page_of(values))
    assert page.problems == []
    assert [page.row_of(method)[2] for method in VALUES] == ["—"] * 5


def test_comparisons_are_those_of_the_first_method_and_metric():
    page = Page(page_of())
    assert ["best_expert", "-0.068", "-0.120 to -0.020", "0.004"] in page.rows
    start = page.rows.index(["reference", "difference", "95 % interval", "p"])
    assert [row[0] for row in page.rows[start + 1 :]][:3] == [
        "best_expert",
        NASTY,
        "method",
    ]  # the next table's header
    assert "fused against every other (NLL)" in page.text
    assert TEST.capitalize() in page.text
    assert "not corrected" in page.text


def test_inner_cross_validation_is_shown():
    rows = Page(page_of()).rows
    assert ["logitprod", "0.444", "LogitProd(l2=0.1)", "0.765"] in rows
    assert ["stacking", "0.556", "C=<1>", "—"] in rows


def test_the_run_is_described():
    text = Page(page_of()).text
    assert (
        "2 experts, endpoint multiclass, method auto, fitted on 163 samples of 81 patients, judged on 228"
        in text
    )
    assert "228 samples of 114 patients. pathfuse 0.1.0, seed 7." in text
    assert "paired bootstrap by patient, 2000 resamples" in text


@pytest.mark.slow
def test_same_input_same_bytes(real_pages):
    assert render(content_of()) == page_of()
    result, text = real_pages["fuse"]
    again = render(result.content())
    assert again.encode() == text.encode()
    other = page_of(values={**VALUES, "fused": (0.4, 0.9, 0.1)})
    assert other != page_of()


@pytest.mark.slow
def test_same_bytes_in_another_process(tmp_path):
    metrics_of(VALUES).write_parquet(tmp_path / "metrics.parquet")
    comparisons_of(COMPARISONS).write_parquet(tmp_path / "comparisons.parquet")
    fused_of().write_parquet(tmp_path / "fused.parquet")
    (tmp_path / "rest.json").write_text(json.dumps([manifest_of(), CERTIFICATE]))
    code = (
        "import json, sys, polars as pl\n"
        "from pathfuse.report.content import Content\n"
        "from pathfuse.report.page import render\n"
        "m, c, f = (pl.read_parquet(n + '.parquet') for n in ('metrics', 'comparisons', 'fused'))\n"
        "sys.stdout.buffer.write(render(Content(m, c, *json.load(open('rest.json')), f)).encode())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": "123", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout.decode() == page_of()


@pytest.mark.parametrize(
    ("metric", "difference", "low", "high", "said"),
    [
        (
            "nll",
            -0.0679,
            -0.12,
            -0.02,
            "The fusion's NLL is 0.068 better than that of the best expert",
        ),
        ("nll", 0.0679, 0.02, 0.12, "The fusion's NLL is 0.068 worse than that of the best expert"),
        (
            "auroc",
            0.0512,
            0.02,
            0.12,
            "The fusion's AUROC is 0.051 better than that of the best expert",
        ),
        (
            "auroc",
            -0.0512,
            -0.12,
            -0.02,
            "The fusion's AUROC is 0.051 worse than that of the best expert",
        ),
    ],
)
def test_the_headline_knows_what_is_better(metric, difference, low, high, said):
    sentence = headline(
        comparisons_of([("fused", "best_expert", "all", metric, difference, low, high, 0.1, TEST)]),
        manifest_of(),
    )
    assert sentence.startswith(said)
    assert f"difference {difference:.3f}, 95 % interval {low:.3f} to {high:.3f}" in sentence
    assert "228 samples of 114 patients" in sentence
    assert "includes 0" not in sentence


def test_the_headline_says_when_the_interval_includes_no_difference():
    rows = [("fused", "best_expert", "all", "nll", -0.01, -0.05, 0.03, 0.6, TEST)]
    assert "the interval includes 0" in headline(comparisons_of(rows), manifest_of())


def test_the_headline_without_an_interval():
    rows = [("fused", "best_expert", "all", "nll", -0.01, None, None, None, "none")]
    sentence = headline(comparisons_of(rows), manifest_of())
    assert "0.010 better than that of the best expert" in sentence
    assert "no interval" in sentence
    assert "None" not in sentence


def test_the_headline_of_no_difference_at_all():
    """As when the fusion falls back on the best expert."""
    rows = [("fused", "best_expert", "all", "nll", 0.0, 0.0, 0.0, 1.0, TEST)]
    sentence = headline(comparisons_of(rows), manifest_of())
    assert "worse" not in sentence
    assert "better" not in sentence


def test_ranking_follows_the_direction_of_the_first_metric():
    frame = metrics_of(VALUES)
    assert [m["method"] for m in ranking(frame)] == [
        "fused",
        "logitprod",
        "best_expert",
        "uni",
        NASTY,
    ]
    auroc_first = frame.filter(pl.col("metric") == "auroc")
    assert [m["method"] for m in ranking(auroc_first)] == [
        "fused",
        "logitprod",
        "best_expert",
        "uni",
        NASTY,
    ]
    assert ranking(frame.clear()) == []
    flipped = auroc_first.with_columns(value=-pl.col("value"))
    assert [m["method"] for m in ranking(flipped)] == [
        "uni",
        "best_expert",
        "logitprod",
        "fused",
        NASTY,
    ]


def test_numbers_have_three_decimals():
    assert [number(v) for v in (None, 0.0, 1.23456, -0.5)] == ["—", "0.000", "1.235", "-0.500"]


def svg_of(figure):
    return Drawing("test", "", "", figure).inline()


def test_figures_show_what_they_are_given():
    svg = svg_of(interval_plot(metrics_of(VALUES), ["nll", "auroc"]))
    labels = [Page(t).text for t in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]
    assert [t for t in labels if t in METHODS] == [
        NASTY,
        "uni",
        "best_expert",
        "logitprod",
        "fused",
    ]  # bottom to top
    assert {"NLL (lower is better)", "AUROC (higher is better)"} <= set(labels)
    svg = svg_of(weight_plot(np.array([[0.75, 0.25], [0.5, 0.5]]), ["uni", NASTY]))
    weights = [Page(t).text for t in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]
    assert [t for t in weights if t in METHODS] == [
        NASTY,
        "uni",
    ]  # bottom to top: the table's order from the top


@pytest.mark.parametrize("name", ["cost_$", "-->", "%s {0} {{x}}", "a$b$c", "$^$", "病理"])
def test_names_that_some_format_could_misread(name):
    svg = svg_of(
        interval_plot(metrics_of({name: (0.5, 0.5, 0.5), "fused": (0.4, 0.4, 0.4)}), ["nll"])
    )
    assert Page(svg).problems == []
    assert name in [Page(t).text for t in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def test_labels_are_named_where_there_are_several():
    frames = [
        metrics_of(VALUES).with_columns(output=pl.lit(label)) for label in ("TP53", "CDH1", "all")
    ]
    gains = [
        comparisons_of(COMPARISONS).with_columns(output=pl.lit(label))
        for label in ("TP53", "CDH1", "all")
    ]
    rows = by_output(pl.concat(frames), pl.concat(gains))
    assert [(row["output"], row["value"], row["difference"]) for row in rows] == [
        ("TP53", 0.4321, -0.0679),
        ("CDH1", 0.4321, -0.0679),
    ]
    assert by_output(metrics_of(VALUES), comparisons_of(COMPARISONS)) == []


# Sections that some runs have

TESTS = pl.DataFrame({
    "method": ["fused"], "reference": ["best_expert"], "output": ["all"], "metric": ["auroc"],
    "test": ["DeLong, paired"], "difference": [0.0512], "statistic": [2.5], "p_value": [0.0001], "p_holm": [0.0123],
    "margin": [None], "conclusion": ["better <b>"],
}, schema_overrides={"margin": pl.Float64})  # fmt: skip
ABLATION = pl.DataFrame({
    "variant": ["without uni", "labels shuffled"], "kind": ["leave one out", "control"], "output": ["all"] * 2,
    "metric": ["nll", "auroc"], "value": [0.5, 0.5111], "ci_low": [0.4, None], "ci_high": [0.6, None],
    "difference": [0.0707, None], "difference_low": [0.01, None], "difference_high": [0.1, None],
    "p_value": [0.0123, None], "note": ["", "compatible with 0.5"],
})  # fmt: skip
SITES = pl.DataFrame(
    [
        ("Bern", "all", "fused", "nll", 0.3331, 40, 20, ""),
        ("Bern", "all", "best_expert", "nll", 0.4441, 40, 20, ""),
        ("Chur", "all", "fused", "nll", None, 3, 3, "3 patients, fewer than 10"),
        ("Chur", "all", "best_expert", "nll", None, 3, 3, "3 patients, fewer than 10"),
        ("Basel", "all", "fused", "nll", 0.2221, 90, 50, ""),
        ("Basel", "all", "best_expert", "nll", None, 90, 50, "undefined here"),
    ],
    schema=["site", "output", "method", "metric", "value", "n", "n_patients", "note"],
    orient="row",
)


def test_sections_without_a_table_are_absent():
    text = Page(page_of()).text
    for words in (
        "Tests of paired",
        "Ablation",
        "Results per site",
        "ROC curves",
        "Disagreement and error",
    ):
        assert words not in text


def test_tests_and_corrected_p_values():
    page = Page(render(content_of(tests=TESTS)))
    row = ["fused", "best_expert", "all", "AUROC", "0.051", "< 0.001", "0.012"]
    assert [*row, "better <b>", "DeLong, paired", "2.500", "—"] in page.rows
    assert "Holm's method" in page.text
    assert "DeLong's paired test" in page.text
    corrected = comparisons_of(COMPARISONS).with_columns(p_holm=pl.lit(0.0321))
    page = Page(render(content_of(comparisons=corrected)))
    assert ["best_expert", "-0.068", "-0.120 to -0.020", "0.004", "0.032"] in page.rows
    assert "not corrected" not in page.text


def test_folds_are_named_where_they_could_be_taken_for_training_rows():
    certificate = {
        **CERTIFICATE,
        "folds": {"0": {"holds": True}, "1": {"holds": True}, "2": {"holds": False}},
    }
    text = Page(page_of(certificate=certificate)).text
    assert "fitted anew for each of 3 outer folds on the others, judged on 228 samples" in text
    assert "2 of the 3 fits that were judged hold theirs" in text
    assert "outer folds" not in Page(page_of()).text


def test_ablation():
    page = Page(render(content_of(ablation=ABLATION)))
    assert [
        "without uni",
        "leave one out",
        "all",
        "NLL",
        "0.500",
        "0.400 to 0.600",
        "0.071",
        "0.010 to 0.100",
        "0.012",
        "",
    ] in page.rows
    assert [
        "labels shuffled",
        "control",
        "all",
        "AUROC",
        "0.511",
        "—",
        "—",
        "—",
        "—",
        "compatible with 0.5",
    ] in page.rows


def test_sites_with_most_patients_first_and_small_ones_in_a_sentence():
    assert [line["site"] for line in by_site(SITES)] == ["Basel", "Bern", "Chur"]
    page = Page(render(content_of(sites=SITES)))
    assert ["Basel", "0.222", "—", "90", "50", "undefined here"] in page.rows
    assert ["Bern", "0.333", "0.444", "40", "20", ""] in page.rows
    assert "Too few patients for values of their own, fewer than 10: Chur (3)." in page.text
    assert page.problems == []
    assert by_site(None) == []


def test_the_methods_paragraph_is_ready_to_paste():
    text = Page(page_of()).text
    assert "Predictions of 2 experts" in text
    assert "pathfuse 0.1.0 [1]" in text
    assert "2,000 bootstrap resamples of patients" in text
    assert "p-values were not corrected" in text
    paragraph = text[text.index("Written from the manifest") : text.rindex("BibTeX")]
    cited = {int(n) for group in re.findall(r"\[([\d, ]+)\]", paragraph) for n in group.split(",")}
    assert cited == set(range(1, max(cited) + 1))
    keys = re.findall(r"@(?:article|misc|book)\{(\w+),", text)
    assert len(keys) == len(set(keys)) == max(cited)
    assert "logitprod2026" in keys
    assert "mantel1966" not in keys
    bare = Page(bare_page()).text
    assert "Nothing was fitted" in bare
    assert "logitprod2026" not in bare


def test_every_table_can_be_sorted_and_reached_by_keyboard(real_pages):
    for _, text in real_pages.values():
        page = Page(text)
        boxes = re.findall(r'<div class="scroll"([^>]*)>', text)
        assert boxes
        assert all('tabindex="0"' in box and "aria-label=" in box for box in boxes)
        heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', text)
        assert heads
        assert all(head.startswith('<button type="button">') for head in heads)
        assert page.tags.count("table") == text.count("<table data-sortable>")


def test_colours_follow_the_page_and_pictures_are_named():
    drawn = draw(content_of())
    assert [one.name for one in drawn] == ["ranking", "differences", "weights_by_sample", "weights"]
    for one in drawn:
        svg = one.inline()
        assert not re.search(r"(?:fill|stroke): #", svg)
        assert "currentColor" in svg
        assert svg.startswith('<svg role="img" aria-label="')
        assert "<metadata>" not in svg
        assert one.svg.startswith("<?xml")
        assert "currentColor" not in one.svg


def test_figure_files_are_the_same_every_time_and_carry_no_date(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        for drawing in draw(content_of()):
            drawing.save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    stems = ("differences", "ranking", "weights", "weights_by_sample")
    assert files == sorted(f"{stem}.{suffix}" for stem in stems for suffix in ("pdf", "svg"))
    for name in files:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "other" / name).read_bytes()
        assert b"CreationDate" not in content
        assert b"dc:date" not in content


def test_p_values():
    assert [p_value(p) for p in (None, 0.0004, 0.001, 0.25)] == ["—", "< 0.001", "0.001", "0.250"]


def test_large_tables_stay_small():
    """1,000 targets: the page names some and says where the others are."""
    values = [metrics_of(VALUES).with_columns(output=pl.lit(f"g{k}")) for k in range(1000)]
    gains = [comparisons_of(COMPARISONS).with_columns(output=pl.lit(f"g{k}")) for k in range(1000)]
    content = Content(
        pl.concat([*values, metrics_of(VALUES)]),
        pl.concat([*gains, comparisons_of(COMPARISONS)]),
        manifest_of(),
    )
    text = render(content)
    assert len(text) < 500_000
    assert "900 more stand in metrics.csv." in Page(text).text


@pytest.mark.parametrize(
    ("temperatures", "words"),
    [([1.004], "is 1.00."), ([0.97, 1.1], "is 0.97 to 1.10."), ([0.2], "is 0.20."), ([], "")],
)
def test_the_temperature_is_a_figure_from_which_nothing_is_concluded(temperatures, words):
    inner = [
        {"fold": None, **{f"label{i}": {"temperature": t} for i, t in enumerate(temperatures)}}
    ]
    said = temperature_sentence(inner)
    assert said.endswith(words)
    assert bool(said) == bool(temperatures)
    assert not [word for word in ("nothing", "sure", "timid") if word in said]


def test_the_gain_sets_two_figures_against_each_other():
    row = {"method": "fused", "metric": "auroc", "gain_percent": 9.3, "value": 0.971,
           "mean_of_experts": 0.889, "ci_low": 1.0, "ci_high": 15.0}  # fmt: skip
    assert gain_sentence(pl.DataFrame([row])) == (
        "Gain over the mean of the single experts in AUROC: +9.3 % (0.971 against 0.889; 95 % interval "
        "+1.0 to +15.0 %)."
    )
