"""``--force`` from the command line: what is somebody else's stays, with one sentence and before
any work."""

import json

import pytest

from pathfuse.files.places import LIST


@pytest.fixture
def study(tmp_path, make_study):
    return make_study(tmp_path / "study", 12, 12, n_experts=2, classes=("normal", "tumor"))


@pytest.fixture
def no_work(monkeypatch):
    """Whoever begins to work fails the test."""
    import pathfuse.cli.fuse
    import pathfuse.study.study
    import pathfuse.workflows.evaluate
    import pathfuse.workflows.fuse

    def work(*_, **__):
        pytest.fail("the work began")

    for module, name in ((pathfuse.workflows.fuse, "fuse"), (pathfuse.workflows.evaluate, "evaluate"),
                         (pathfuse.study.study, "read_study")):  # fmt: skip
        monkeypatch.setattr(module, name, work)


@pytest.mark.parametrize("command", ["fuse", "evaluate"])
def test_a_thesis_stays(study, tmp_path, run_cli, no_work, command):
    out = tmp_path / "results"
    (out / ".git").mkdir(parents=True)
    (out / "thesis.docx").write_text("years of work")
    said = run_cli(
        command, "--samples", study[0], "--predictions", study[1], "--out", out, "--force"
    )
    sentence = (
        f"the output {out} cannot be overwritten: it holds .git, which pathfuse did not write"
    )
    assert said == (2, "", f"pathfuse: {sentence}\n")
    assert (out / "thesis.docx").read_text() == "years of work"


def test_a_result_is_replaced_until_something_else_stands_in_it(study, tmp_path, run_cli):
    out = tmp_path / "out"
    command = (
        "evaluate",
        "--samples",
        study[0],
        "--predictions",
        study[1],
        "--resamples",
        120,
        "--out",
        out,
    )
    assert run_cli(*command).status == 0
    assert "metrics.csv" in json.loads((out / LIST).read_text())["written"]
    assert "exists already; --force overwrites it" in run_cli(*command).err
    assert run_cli(*command, "--force").status == 0
    (out / "figures/notes.txt").write_text("mine")
    said = run_cli(*command, "--force")
    assert (said.status, said.out) == (2, "")
    assert "it holds figures/notes.txt, which pathfuse did not write" in said.err
    assert (out / "figures/notes.txt").read_text() == "mine"


def test_a_folder_with_the_inputs_stays(study, tmp_path, run_cli, no_work):
    said = run_cli(
        "fuse",
        "--samples",
        study[0],
        "--predictions",
        study[1],
        "--out",
        tmp_path / "study",
        "--force",
    )
    assert (
        said.err
        == f"pathfuse: the output {tmp_path}/study cannot be overwritten: it holds {study[0]}\n"
    )


def test_a_link_stays_with_its_target(study, tmp_path, run_cli, no_work):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/a.txt").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    said = run_cli(
        "fuse",
        "--samples",
        study[0],
        "--predictions",
        study[1],
        "--out",
        tmp_path / "link",
        "--force",
    )
    assert said.status == 2
    assert f"link is a link to {tmp_path}/precious, which pathfuse leaves as it is" in said.err
    assert (tmp_path / "precious/a.txt").read_text() == "x"


def test_single_files_of_another_kind_stay(study, tmp_path, run_cli):
    thesis = tmp_path / "thesis.docx"
    thesis.write_text("years of work")
    survival = tmp_path / "s.csv"
    rows = [f"s{i},{'fit' if i else 'test'},{i + 1},1" for i in range(9)]
    survival.write_text("\n".join(["sample_id,split,time,event", *rows]) + "\n")
    commands = {
        ("init", "--out", thesis): "pathfuse writes .yaml or .yml here",
        (
            "bins",
            "--samples",
            survival,
            "--out",
            thesis,
        ): "it holds no time edges, so it is somebody else's",
        (
            "predict",
            "--model",
            tmp_path,
            "--predictions",
            study[1],
            "--out",
            thesis,
        ): "must end in .csv or .parquet",
        ("suite", "list", "--out", thesis): "must end in .csv or .json",
        ("inspect", study[1], "--json", thesis): "pathfuse writes .json here",
        (
            "fuse",
            "--samples",
            study[0],
            "--predictions",
            study[1],
            "--out",
            thesis,
        ): "is a file, not a folder",
        ("demo", "--out", thesis): "is a file, not a folder",
    }
    for command, sentence in commands.items():
        said = run_cli(*command, "--force")
        assert (said.status, said.out) == (2, ""), command
        assert sentence in said.err
    assert thesis.read_text() == "years of work"
    edges = tmp_path / "edges"
    assert run_cli("bins", "--samples", survival, "--out", edges).status == 0
    assert (
        run_cli("bins", "--samples", survival, "--out", edges, "--bins", 2, "--force").status == 0
    )


@pytest.mark.slow
def test_notes_in_a_study_of_a_suite_stay_and_the_others_go_on(tmp_path, make_study, run_cli):
    for seed, name in enumerate(("one", "two")):
        make_study(
            tmp_path / "studies" / name, 12, 12, n_experts=2, classes=("normal", "tumor"), seed=seed
        )
    command = ("suite", "run", tmp_path / "studies", "--out", tmp_path / "out", "--method", "static_product",
               "--resamples", 120)  # fmt: skip
    assert run_cli(*command).status == 0
    (tmp_path / "out/one/notes.txt").write_text("mine")
    (tmp_path / "out/ranking/notes.txt").write_text("mine")
    said = run_cli(*command, "--force")
    assert said.status == 1
    assert "one failed: the output" in said.err
    assert "it holds notes.txt, which pathfuse did not write" in said.err
    assert (tmp_path / "out/one/notes.txt").read_text() == "mine"
    assert (tmp_path / "out/ranking/notes.txt").read_text() == "mine"
    assert "1 done, 1 failed" in said.out


def test_a_ranking_never_replaces_a_result_that_it_read(tmp_path, run_cli, make_study):
    for seed, name in enumerate(("one", "two")):
        samples, predictions = make_study(
            tmp_path / "studies" / name, 12, 12, n_experts=2, seed=seed
        )
        assert run_cli("evaluate", "--samples", samples, "--predictions", predictions, "--resamples", 120,
                       "--out", tmp_path / "results" / name).status == 0  # fmt: skip
    said = run_cli("rank", tmp_path / "results", "--out", tmp_path / "results/one", "--force")
    assert said.status == 2
    assert f"it holds {tmp_path}/results/one/" in said.err
    assert (tmp_path / "results/one/metrics.csv").exists()
