"""The page in a real browser: headless Chromium, driven by keyboard and mouse over the DevTools
protocol.

Where there is no Chromium and it cannot be installed, all this is skipped, loudly. axe-core comes
from npm into a cache outside the repository.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import tarfile
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import pathfuse

spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browser)

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pathfuse-tests"
AXE = "axe-core@4.14.1"
SERIOUS = {"serious", "critical"}
LOUD = "\n*** THE REPORT WAS NOT TESTED IN A BROWSER: {} ***\n"


def loud_skip(why):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn(LOUD.format(why), stacklevel=2)
    pytest.skip(LOUD.format(why).strip())


@pytest.fixture(scope="module")
def tab():
    chromium = browser.find_chromium()
    if chromium is None:
        loud_skip("no Chromium, and it could not be installed")
    opened = browser.Browser(chromium)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The source of axe-core."""
    kept = CACHE / f"{AXE.replace('@', '-')}.min.js"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None or os.environ.get("PATHFUSE_OFFLINE"):
            loud_skip("no npm to fetch axe-core with: accessibility was not checked")
        place = tmp_path_factory.mktemp("npm")
        run = subprocess.run(
            [npm, "pack", "--silent", AXE], cwd=place, capture_output=True, timeout=300
        )
        packed = list(place.glob("axe-core-*.tgz"))
        if run.returncode != 0 or not packed:
            loud_skip("axe-core could not be fetched from npm: accessibility was not checked")
        with tarfile.open(packed[0]) as archive:
            source = archive.extractfile("package/axe.min.js").read()
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = CACHE / f"{kept.name}.{os.getpid()}"
        partial.write_bytes(source)
        partial.replace(kept)
    return kept.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports of ``fuse`` on three endpoints and of ``evaluate``, with sites, tests and ablation
    where possible."""
    place, studies = tmp_path_factory.mktemp("pages"), {}
    rng = np.random.default_rng(0)
    n = 120
    ids, label, site = (
        [f"s{i:03d}" for i in range(n)],
        rng.integers(3, size=n),
        rng.choice(["A", "B", "C"], n, p=[0.6, 0.35, 0.05]),
    )
    base = {"sample_id": ids, "split": ["fit", "test"] * 60, "site": site}
    names = np.array(["adipose", "stroma", "tumor"])
    follow_up = {"time": 10.0 * (label + 1) + rng.random(n), "event": rng.integers(2, size=n)}
    kinds = {
        "classes": (pl.DataFrame({**base, "label": names[label]}), lambda: {
            f"logit_{name}": rng.normal(size=n) + 2 * (label == k) for k, name in enumerate(names)}, None),
        "survival": (pl.DataFrame({**base, **follow_up}), lambda: {
            f"hazard_logit_{k}": rng.normal(size=n) - label for k in (1, 2, 3)}, [0, 12, 25, np.inf]),
        "numbers": (pl.DataFrame({**base, "target_A2M": label + rng.random(n), "target_B2M": rng.random(n)}),
            lambda: {"mean_A2M": label + rng.normal(size=n), "mean_B2M": rng.random(n)}, None),
    }  # fmt: skip
    for kind, (samples, said, edges) in kinds.items():
        experts = {f"expert_{m}": pl.DataFrame({"sample_id": ids, **said()}) for m in range(3)}
        studies[kind] = pathfuse.read_study(samples=samples, predictions=experts, time_edges=edges)
    results = {kind: pathfuse.fuse(study, n_resamples=120) for kind, study in studies.items()}
    results["evaluate"] = pathfuse.evaluate(studies["classes"], n_resamples=120)
    return {kind: result.save(place / kind) / "report.html" for kind, result in results.items()}


pytestmark = pytest.mark.slow  # a browser of its own, and the widest runs

KINDS = ("classes", "survival", "numbers", "evaluate")
TABLE = "document.querySelector('#methods ~ .scroll table')"


def column(tab, k):
    """The cells of one column of the method table, as they stand."""
    script = f"[...{TABLE}.tBodies[0].rows].map(r => r.cells[{k}].dataset.value || r.cells[{k}].textContent)"
    return tab.run(script)


def order_of(tab, k):
    return tab.run(f"{TABLE}.tHead.rows[0].cells[{k}].getAttribute('aria-sort')")


@pytest.mark.parametrize("kind", KINDS)
def test_no_error_and_no_request(tab, pages, kind):
    for dark in (False, True):
        tab.open(pages[kind], dark=dark)
        tab.click("#theme")
        tab.click("button[data-copy=methods-text]")
        tab.click("#methods ~ .scroll th:nth-child(2) button")
        assert tab.problems() == []
        asked = tab.requests()
        assert asked[0] == pages[kind].as_uri()
        assert all(url.startswith("data:image/png") for url in asked[1:])


def test_the_browser_sees_errors_and_requests(tab, tmp_path):
    """The checks above can fail."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><title>x</title><img src='file:///nowhere.png'><script>throw Error('x')</script>"
    )
    tab.open(page)
    assert len(tab.problems()) >= 2
    assert "file:///nowhere.png" in tab.requests()


def test_the_page_forbids_itself_the_network(tab, pages):
    tab.open(pages["classes"])
    script = "fetch('https://example.org').then(() => 'open', () => 'closed')"
    assert tab.run(script) == "closed"
    assert any("Content Security Policy" in said for said in tab.problems())


def test_sorting_by_click(tab, pages):
    tab.open(pages["classes"])
    assert order_of(tab, 1) == "ascending"
    nll = [float(v) for v in column(tab, 1)]
    assert nll == sorted(nll)
    tab.click("#methods ~ .scroll th:nth-child(2) button")
    assert order_of(tab, 1) == "descending"
    assert [float(v) for v in column(tab, 1)] == sorted(nll, reverse=True)
    tab.click("#methods ~ .scroll th:nth-child(3) button")  # AUROC: the best first
    assert (order_of(tab, 1), order_of(tab, 2)) == (None, "descending")
    auroc = [float(v) for v in column(tab, 2)]
    assert auroc == sorted(auroc, reverse=True)
    tab.click("#methods ~ .scroll th:nth-child(1) button")
    names = column(tab, 0)
    assert names == sorted(names)
    assert order_of(tab, 0) == "ascending"
    assert "Sorted by method, ascending" in tab.run("document.getElementById('status').textContent")


@pytest.mark.parametrize(("key", "code", "text"), [("Enter", 13, "\r"), (" ", 32, " ")])
def test_sorting_by_keyboard(tab, pages, key, code, text):
    tab.open(pages["classes"])
    tab.run(f"{TABLE}.tHead.rows[0].cells[1].querySelector('button').focus()")
    before = [float(v) for v in column(tab, 1)]
    tab.press(key, code, text)
    assert order_of(tab, 1) == "descending"
    assert [float(v) for v in column(tab, 1)] == before[::-1]
    tab.press(key, code, text)
    assert order_of(tab, 1) == "ascending"
    assert [float(v) for v in column(tab, 1)] == before
    tab.press("Tab", 9)
    tab.press(key, code, text)
    assert (order_of(tab, 1), order_of(tab, 2)) == (None, "descending")


def test_blank_cells_stay_at_the_end(tab, pages):
    tab.open(pages["classes"])
    tab.run(
        f"(() => {{ const c = {TABLE}.tBodies[0].rows[0].cells[1]; delete c.dataset.value; c.textContent = '—'; }})()"
    )
    for _ in range(2):
        tab.click("#methods ~ .scroll th:nth-child(2) button")
        assert column(tab, 1)[-1] == "—"


def test_the_first_key_leads_to_the_results(tab, pages):
    tab.open(pages["classes"])
    tab.press("Tab", 9)
    assert tab.run("document.activeElement.textContent") == "Skip to the results"
    assert tab.run("document.activeElement.getBoundingClientRect().left") >= 0
    tab.press("Enter", 13, "\r")
    assert tab.run("location.hash") == "#main"
    tab.press("Tab", 9)
    assert tab.run("document.getElementById('main').contains(document.activeElement)")
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def background(tab):
    return sum(
        map(int, re.findall(r"\d+", tab.run("getComputedStyle(document.body).backgroundColor"))[:3])
    )


@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark(tab, pages, dark):
    tab.open(pages["classes"], dark=dark)
    tab.run("localStorage.clear()")
    tab.open(pages["classes"], dark=dark)
    assert (background(tab) < 200) == dark
    assert (
        tab.run("document.getElementById('theme').getAttribute('aria-pressed')")
        == str(dark).lower()
    )
    ink = tab.run("getComputedStyle(document.querySelector('figure svg text')).fill")
    tab.click("#theme")
    assert (background(tab) < 200) == (not dark)
    assert (
        tab.run("document.getElementById('theme').getAttribute('aria-pressed')")
        == str(not dark).lower()
    )
    assert tab.run("getComputedStyle(document.querySelector('figure svg text')).fill") != ink
    tab.click("#theme")
    assert (background(tab) < 200) == dark
    tab.run("localStorage.clear()")


def test_it_prints_light_and_without_buttons(tab, pages):
    tab.open(pages["survival"], dark=True)
    tab.call(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[{"name": "prefers-color-scheme", "value": "dark"}],
    )
    assert tab.run("[...document.querySelectorAll('details')].some(e => !e.open)")
    tab.run("window.dispatchEvent(new Event('beforeprint')); 0")  # what printing begins with
    try:
        assert tab.run("[...document.querySelectorAll('details')].every(e => e.open)")
        assert background(tab) > 700
        assert tab.run(
            "[...document.querySelectorAll('.act, nav')].every(e => e.offsetParent === null)"
        )
        shown = "[...document.querySelectorAll('h2, figure, table')].every(e => e.getBoundingClientRect().height > 0)"
        assert tab.run(shown)
        assert len(tab.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"]) > 10_000
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize("kind", KINDS)
def test_a_narrow_page_does_not_scroll_sideways(tab, pages, kind):
    tab.open(pages[kind], width=420)
    assert tab.run("document.documentElement.scrollWidth") == 420


def test_copying_says_so(tab, pages):
    tab.open(pages["classes"])
    tab.click("button[data-copy=bibtex]")
    tab.run("new Promise(done => setTimeout(done, 200))")
    assert re.match("Copied|Selected", tab.run("document.getElementById('status').textContent"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_serious(tab, pages, axe, kind, dark):
    tab.open(pages[kind], dark=dark)
    tab.run(f"{axe}; 0")
    found = json.loads(
        tab.run(
            "axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations))"
        )
    )
    serious = [
        (v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in SERIOUS
    ]
    assert serious == []


def test_axe_sees_violations(tab, axe, tmp_path):
    """The check above can fail."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><title>x</title><body><button></button><p style='color:#eee'>pale words</p>"
    )
    tab.open(page)
    tab.run(f"{axe}; 0")
    found = json.loads(tab.run("axe.run().then(r => JSON.stringify(r.violations.map(v => v.id)))"))
    assert {"button-name", "color-contrast", "html-has-lang"} <= set(found)
