"""``pathfuse suite``: many small studies end to end, stopped and started again."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from pathfuse.workflows.suite.cards import read_cards

ARGUMENTS = ("--resamples", 120, "--method", "static_product")
STUDIES = ("brca_idc_ilc", "one", "two")
COLUMNS = [
    "study", "task", "endpoint", "status", "seconds", "n", "fused_nll", "best_expert_nll", "fused_f1_macro",
    "fused_f1_positive", "positive_class", "certificate_holds", "error",
]  # fmt: skip
TABLES = ("metrics.csv", "comparisons.csv", "fused.parquet", "certificate.json", "reliability.csv")
MAIN = "import sys; from pathfuse.cli import main; sys.exit(main())"


SMALL = {"n_fit": 12, "n_test": 12, "n_experts": 2, "classes": ("normal", "tumor")}


@pytest.fixture(scope="module")
def ran(tmp_path_factory, make_study, run_cli):
    """One real run over three small studies: their folder, the output, and what was said."""
    folder = tmp_path_factory.mktemp("suite")
    for seed, name in enumerate(STUDIES):
        make_study(folder / "studies" / name, seed=seed, **SMALL)
    said = run_cli("suite", "run", folder / "studies", "--out", folder / "out", *ARGUMENTS)
    return folder / "studies", folder / "out", said


@pytest.fixture
def studies(ran, tmp_path):
    """A copy of the three studies; the first has the name of a card."""
    return shutil.copytree(ran[0], tmp_path / "studies")


@pytest.fixture
def suite(run_cli, studies, tmp_path):
    """``suite(*more)`` runs and gives what was said, and the table."""

    def run(*more):
        said = run_cli("suite", "run", studies, "--out", tmp_path / "out", *ARGUMENTS, *more)
        file = tmp_path / "out/suite.csv"
        return said, pl.read_csv(
            file, schema_overrides={"error": pl.String}
        ) if file.exists() else None

    return run


@pytest.fixture
def fits(ran, monkeypatch):
    """Fuses nothing: every result is a copy of one real result. The studies that were read for it,
    in order."""
    seen = []
    real = ran[1] / "one"

    class Copy:
        def __init__(self):
            self.manifest = json.loads((real / "manifest.json").read_text())

        def save(self, folder, force):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(real, folder)
            (folder / "manifest.json").write_text(json.dumps(self.manifest))

    def fuse(study, *args, **options):
        seen.append(study.samples.source.split("/")[-2])
        return Copy()

    monkeypatch.setattr("pathfuse.workflows.suite.one_study.fuse", fuse)
    return seen


def status_of(table: pl.DataFrame) -> dict[str, str]:
    return dict(table.select("study", "status").iter_rows())


# list


def test_list_shows_every_card(run_cli, tmp_path):
    said = run_cli("suite", "list")
    assert said.status == 0
    for card in read_cards():
        assert all(
            text in said.out
            for text in (f"{card.name} ({card.family})", card.licence, card.url, card.note)
        )
    assert run_cli("suite", "list", "--family", "tile").out.count("licence") == 6
    assert run_cli("suite", "list", "--out", tmp_path / "cards.csv").status == 0
    assert pl.read_csv(tmp_path / "cards.csv").height == 22
    assert run_cli("suite", "list", "--family", "slides").status == 2


# run


def test_run_writes_studies_table_and_ranking(ran):
    _, out, (status, printed, err) = ran
    assert status == 0, err
    assert "3 done, 0 failed, 0 skipped" in printed
    assert err.count("done in") == 3
    table = pl.read_csv(out / "suite.csv")
    assert table.columns == COLUMNS
    assert table["study"].to_list() == list(STUDIES)
    assert table["task"].to_list() == ["brca_idc_ilc", None, None]
    assert set(table["status"]) == {"done"}
    assert set(table["endpoint"]) == {"multiclass"}
    assert set(table["n"]) == {12}
    assert table["error"].null_count() == 3
    for row in table.iter_rows(named=True):
        metrics = pl.read_csv(out / row["study"] / "metrics.csv").filter(pl.col("metric") == "nll")
        nll = dict(metrics.select("method", "value").iter_rows())
        assert row["fused_nll"] == nll["fused"]
        assert row["best_expert_nll"] == nll["best_expert"]
        certificate = json.loads((out / row["study"] / "certificate.json").read_text())
        assert row["certificate_holds"] is certificate["holds"]
    assert (table["fused_nll"] != table["best_expert_nll"]).any()
    assert any((out / "ranking").iterdir())
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["finished"]
    assert manifest["method"] == "static_product"
    assert set(manifest["studies"]["one"]["stamp"]["inputs"]) >= {
        "samples.csv",
        "predictions/expert_0.csv",
    }


@pytest.mark.slow
@pytest.mark.usefixtures("all_inner_folds")
def test_results_do_not_depend_on_jobs(ran, run_cli, tmp_path):
    outs = [tmp_path / "one", tmp_path / "two"]
    for jobs, out in enumerate(outs, start=1):
        flags = (*ARGUMENTS, "--jobs", jobs, "--only", *STUDIES[1:])
        assert run_cli("suite", "run", ran[0], "--out", out, *flags).status == 0
    first, second = (pl.read_csv(out / "suite.csv").drop("seconds") for out in outs)
    assert first.equals(second)
    for at in [f"{study}/{name}" for study in STUDIES[1:] for name in TABLES]:
        assert (outs[0] / at).read_bytes() == (outs[1] / at).read_bytes(), at


@pytest.mark.slow
def test_the_command_in_a_manifest_repeats_the_study(ran, run_cli, tmp_path):
    at = ran[1] / "one"
    command = shlex.split(json.loads((at / "manifest.json").read_text())["command"])
    again = [part if part != str(at) else str(tmp_path / "again") for part in command[1:]]
    assert run_cli(*again).status == 0
    for name in TABLES:
        assert (tmp_path / "again" / name).read_bytes() == (at / name).read_bytes()


def test_a_second_run_fits_nothing(suite, fits):
    _, first = suite()
    assert sorted(fits) == list(STUDIES)
    fits.clear()
    (status, out, _), second = suite()
    assert status == 0
    assert fits == []
    assert "3 done (3 unchanged)" in out
    assert second.equals(first)  # also the seconds of the run that did the work


def test_the_table_takes_the_mean_over_labels(suite, fits, tmp_path):
    _, first = suite()
    with (tmp_path / "out/one/metrics.csv").open("a") as file:
        file.write("fused,TP53,nll,99,,,12,12\n")  # as in a multilabel study
    _, second = suite()
    assert second.equals(first)


@pytest.mark.slow
def test_only_what_changed_is_fitted_again(suite, fits, studies, tmp_path):
    suite()
    fits.clear()
    file = studies / "one/predictions/expert_1.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")  # a sample less
    (_, out, _), _ = suite()
    assert fits == ["one"]
    assert "3 done (2 unchanged)" in out
    fits.clear()
    (studies / "two/predictions/expert_0.csv").unlink()  # a model less
    suite()
    assert fits == ["two"]
    fits.clear()
    (tmp_path / "out/brca_idc_ilc/fused.parquet").unlink()  # a result that is not whole
    suite()
    assert fits == ["brca_idc_ilc"]


@pytest.mark.parametrize(
    "more", [("--seed", 3), ("--force",), ("--method", "uniform_product"), ("--resamples", 21)]
)
def test_other_options_fit_again(suite, run_cli, studies, tmp_path, fits, more):
    suite("--only", "one")
    fits.clear()
    given = dict(zip(ARGUMENTS[::2], ARGUMENTS[1::2], strict=True))
    given |= {more[0]: more[1]} if len(more) == 2 else {}
    flags = [part for pair in given.items() for part in pair] + (
        ["--force"] if more == ("--force",) else []
    )
    said = run_cli("suite", "run", studies, "--out", tmp_path / "out", *flags, "--only", "one")
    assert said.status == 0, said.err
    assert fits == ["one"]


def test_another_version_fits_again(suite, fits, monkeypatch):
    suite("--only", "one")
    fits.clear()
    monkeypatch.setattr("pathfuse.__version__", "99.0")
    suite("--only", "one")
    assert fits == ["one"]


def test_only_skips_the_others_but_counts_what_they_have(suite, fits):
    (_, out, err), table = suite("--only", "two")
    assert fits == ["two"]
    assert status_of(table) == {"brca_idc_ilc": "skipped", "one": "skipped", "two": "done"}
    assert "1 done, 0 failed, 2 skipped" in out
    assert "a ranking needs two studies" in err
    _, table = suite("--only", "one", "brca_idc_ilc")
    assert set(status_of(table).values()) == {"done"}
    (status, _, err), _ = suite("--only", "three")
    assert status == 2
    assert "--only 'three' is not one of the studies: brca_idc_ilc, one, two" in err


def test_cohorts_come_from_cards_and_from_the_user(suite, fits, studies, tmp_path, monkeypatch):
    asked = {}

    class Saved:
        def save(self, folder, force):
            folder.mkdir()

    def rank(sources, *, metric, cohorts):
        asked.update(sources=[p.name for p in sources], metric=metric, file=cohorts)
        return Saved()

    monkeypatch.setattr("pathfuse.workflows.suite.run.rank", rank)
    (studies / "one/card.json").write_text('{"task": "brca_idc_ilc"}')
    assert suite()[0].status == 0
    assert asked["sources"] == list(STUDIES)
    assert asked["metric"] == "nll"
    assert pl.read_csv(asked["file"]).rows() == [
        ("brca_idc_ilc", "TCGA-BRCA"),
        ("one", "TCGA-BRCA"),
    ]
    file = tmp_path / "given.csv"
    file.write_text("study,cohort\ntwo,mine\none,mine\n")
    shutil.rmtree(tmp_path / "out/ranking")
    suite("--cohorts", file)
    assert pl.read_csv(asked["file"]).rows() == [
        ("brca_idc_ilc", "TCGA-BRCA"),
        ("one", "mine"),
        ("two", "mine"),
    ]
    file.write_text("study,cohort\nthree,mine\n")
    (status, _, err), _ = suite("--cohorts", file)
    assert status == 2
    assert "column 'study': 'three' is not one of the studies" in err


# What goes wrong


def test_a_broken_study_is_reported_and_the_others_go_on(suite, fits, studies, tmp_path):
    file = studies / "one/predictions/expert_0.csv"
    rows = file.read_text().splitlines()
    file.write_text("\n".join([*rows[:-1], rows[-1].split(",")[0] + ",high,0"]))
    (status, out, err), table = suite()
    assert status == 1
    assert "2 done, 1 failed, 0 skipped" in out
    assert "pathfuse: one failed: " in err
    (error,) = table.filter(pl.col("study") == "one")["error"].to_list()
    assert "expert_0.csv, column 'logit_" in error
    assert "'high' is not a number" in error
    assert not (tmp_path / "out/one").exists()
    assert (tmp_path / "out/ranking").is_dir()
    assert (tmp_path / "out/two/report.html").is_file()


def test_a_study_whose_numbers_break_the_fit_does_not_end_the_suite(suite, fits, monkeypatch):
    import pathfuse.workflows.suite.one_study

    plain = pathfuse.workflows.suite.one_study.fuse

    def fuse(study, *args, **options):
        if "/two/" in study.samples.source:
            raise np.linalg.LinAlgError("Singular matrix")
        return plain(study, *args, **options)

    monkeypatch.setattr("pathfuse.workflows.suite.one_study.fuse", fuse)
    (status, _, err), table = suite()
    assert status == 1
    assert "two failed: LinAlgError: Singular matrix" in err
    assert table["status"].to_list() == ["done", "done", "failed"]


def test_a_study_that_changes_while_it_is_read_fails(suite, fits, studies, monkeypatch):
    from pathfuse.workflows.suite.layout import Layout

    usual = Layout.read

    def read_and_change(layout):
        study = usual(layout)
        if layout.name == "two":
            with (studies / "two/samples.csv").open("a") as file:
                file.write("\n")
        return study

    monkeypatch.setattr(Layout, "read", read_and_change)
    (status, _, err), table = suite()
    assert status == 1
    assert (
        f"two failed: the tables in {studies}/two were changed while they were read; run it" in err
    )
    assert set(fits) == {"brca_idc_ilc", "one"}
    assert table["status"].to_list() == ["done", "done", "failed"]


def test_a_study_without_samples_fails_and_one_file_does_not_end_the_suite(suite, fits, studies):
    (studies / "two/samples.csv").unlink()
    (studies / "one/card.json").write_text('{"task": "bach"}')
    (status, _, _), table = suite()
    assert status == 1
    errors = dict(table.select("study", "error").iter_rows())
    assert errors["brca_idc_ilc"] is None
    assert "'bach' is not a task of the suite" in errors["one"]
    assert "no samples.csv (or" in errors["two"]


def test_a_study_of_another_endpoint_than_its_card_fails(suite, fits, studies):
    suite("--only", "one")
    (studies / "one/card.json").write_text(
        '{"task": "survival_kirc"}'
    )  # also where a result lies already
    (status, _, _), table = suite("--only", "one")
    assert status == 1
    (row,) = table.filter(pl.col("study") == "one").to_dicts()
    assert row["task"] == "survival_kirc"
    assert (
        "the target is of endpoint 'multiclass', but the card 'survival_kirc' is of endpoint"
        in row["error"]
    )


def test_a_study_with_other_classes_than_its_card_fails(suite, fits, studies):
    (studies / "one/card.json").write_text('{"task": "bracs_3"}')
    (status, _, _), table = suite()
    assert status == 1
    (error,) = table.filter(pl.col("study") == "one")["error"].to_list()
    assert "the label has 2 classes (normal, tumor), but the card 'bracs_3' has 3 (" in error


def test_a_ranking_that_fails_does_not_lose_the_studies(suite, fits, tmp_path, monkeypatch):
    from pathfuse.errors import InputError

    suite()

    def refuse(*args, **options):
        raise InputError("the studies share nothing")

    monkeypatch.setattr("pathfuse.workflows.suite.run.rank", refuse)
    (status, _, err), table = suite()
    assert status == 1
    assert "no ranking: the studies share nothing" in err
    assert set(table["status"]) == {"done"}
    assert not (tmp_path / "out/ranking").exists()


def test_nothing_found_is_wrong_input(run_cli, studies, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (empty, tmp_path / "nowhere", studies / "one"):
        said = run_cli("suite", "run", folder, "--out", tmp_path / "out")
        assert said.status == 2
        assert str(folder) in said.err
        assert not (tmp_path / "out").exists()


def test_outputs_that_would_destroy_something_are_refused(
    run_cli, suite, studies, make_study, tmp_path
):
    for out in (studies, studies.parent):
        said = run_cli("suite", "run", studies, "--out", out, *ARGUMENTS)
        assert said.status == 2
        assert "cannot be overwritten" in said.err
    said = run_cli("suite", "run", studies, "--out", studies / "one", *ARGUMENTS, "--force")
    assert said.status == 2
    assert "holds something else than a suite's results" in said.err
    assert (studies / "one/samples.csv").is_file()
    make_study(studies / "ranking", 12, 6)
    (status, _, err), _ = suite()
    assert status == 2
    assert "the study 'ranking' has the name of an output" in err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--method", "magic"), "method 'magic' is unknown"),
        (("--seed", -1), "--seed -1"),
        (("--resamples", -1), "--resamples -1"),
        (("--jobs", 0), "--jobs 0"),
    ],
)
def test_wrong_options_are_refused_before_any_work(run_cli, studies, tmp_path, more, sentence):
    said = run_cli("suite", "run", studies, "--out", tmp_path / "out", *more)
    assert said.status == 2
    assert sentence in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(suite, fits, studies, tmp_path):
    """Killed hard as soon as one study is through; what lies there is whole, and is not fitted
    again."""
    flags = [str(a) for a in ARGUMENTS]
    out = tmp_path / "out"
    child = subprocess.Popen(
        [sys.executable, "-c", MAIN, "suite", "run", str(studies), "--out", str(out), *flags],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not list(out.glob("[!.]*/manifest.json")):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    kept = {p.parent.name: p.stat().st_mtime_ns for p in out.glob("[!.]*/manifest.json")}
    assert 1 <= len(kept) < 3
    assert not (out / "suite.csv").exists()
    assert not json.loads((out / "manifest.json").read_text())["finished"]
    (status, said, err), table = suite()
    assert status == 0, err
    assert f"3 done ({len(kept)} unchanged)" in said
    assert set(table["status"]) == {"done"}
    assert set(fits) == set(STUDIES) - set(kept)
    assert {name: (out / name / "manifest.json").stat().st_mtime_ns for name in kept} == kept
    assert not [p.name for p in out.iterdir() if p.name.startswith(".")]


def test_an_interrupt_says_that_the_rest_is_kept(suite, fits, monkeypatch):
    import pathfuse.workflows.suite.run as module

    whole = module.run_study

    def stop_at_two(plan):
        if plan.layout.name == "two":
            raise KeyboardInterrupt
        return whole(plan)

    monkeypatch.setattr(module, "run_study", stop_at_two)
    (status, _, err), _ = suite()
    assert status == 130
    assert "what is done is kept" in err
    assert "nothing was written" not in err
    assert "two" not in fits
    monkeypatch.setattr(module, "run_study", whole)
    assert suite()[0].status == 0
    assert sorted(fits) == list(STUDIES)  # each once


@pytest.mark.slow
def test_a_study_whose_process_is_killed_fails_alone(ran, run_cli, tmp_path, killed):
    mark = killed("/out/.two.")
    command = ("suite", "run", ran[0], "--out", tmp_path / "out", *ARGUMENTS, "--jobs", 2)
    said = run_cli(*command)
    assert mark.exists()
    assert said.status == 1
    assert "pathfuse: two failed: its process was ended from outside, twice" in said.err
    assert "Studies: 2 done, 1 failed, 0 skipped" in said.out
    mark = killed("/out/.two.", once=True)
    said = run_cli(*command)
    assert mark.exists()
    assert (said.status, "Studies: 3 done (2 unchanged), 0 failed" in said.out) == (0, True)


def test_shards_fit_their_studies_and_leave_the_tables_to_the_last(ran, run_cli, tmp_path, fits):
    command = ("suite", "run", ran[0], "--out", tmp_path / "out", *ARGUMENTS)
    said = run_cli(*command, "--shard", "2/2")
    assert said.status == 0
    assert said.out.endswith(
        "Shard 2/2: 1 done, 0 failed, 0 skipped. Once all shards have ended, the same command "
        "without --shard writes the joint tables.\n"
    )
    assert fits == ["one"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["manifest.json", "one"]
    assert run_cli(*command, "--shard", "1/2").status == 0
    assert sorted(fits) == sorted(STUDIES)
    said = run_cli(*command)
    assert (said.status, len(fits)) == (0, 3)
    assert "3 done (3 unchanged)" in said.out
    assert (tmp_path / "out/ranking").is_dir()


@pytest.mark.parametrize("wrong", ["0/2", "3/2", "2", "a/b"])
def test_shards_that_cannot_be(ran, run_cli, tmp_path, wrong):
    said = run_cli("suite", "run", ran[0], "--out", tmp_path / "out", "--shard", wrong)
    assert (said.status, (tmp_path / "out").exists()) == (2, False)
    assert f"--shard {wrong}: write I/N with I from 1 to N" in said.err
