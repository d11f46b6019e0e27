"""The job script of a benchmark: it submits itself, and its tasks share the cells."""

import subprocess

import pytest

pytest.importorskip("timm")

from pathfuse.dense.benchmark.slurm import slurm_script
from pathfuse.errors import InputError

GRID = """\
models: {a: uni_v1, b: uni_v2}
datasets: {glas: glas.json}
strategies: [frozen, lora]
seeds: [0, 1]
out: out
"""


@pytest.fixture
def grid(tmp_path):
    file = tmp_path / "my grid.yaml"
    file.write_text(GRID)
    return file


def run(script, tmp_path, *words, **variables):
    """What the script starts, with sbatch and pathfuse that only say how they are called."""
    for name in ("sbatch", "pathfuse"):
        fake = tmp_path / "bin" / name
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(
            f'#!/bin/bash\nprintf "%s|" {name} "$@" >> {tmp_path}/said; echo >> {tmp_path}/said; echo 7\n'
        )
        fake.chmod(0o755)
    file = tmp_path / "job.sh"
    file.write_text(script)
    path = f"{tmp_path}/bin:/usr/bin:/bin"
    subprocess.run(["bash", file, *words], env={"PATH": path, **variables}, check=True)
    said = (tmp_path / "said").read_text().splitlines()
    (tmp_path / "said").unlink()
    return [line.rstrip("|").split("|") for line in said]


def test_it_submits_an_array_and_then_the_tables(grid, tmp_path):
    script = slurm_script(grid, tasks=100, gpus=2)
    job = str(tmp_path / "job.sh")
    assert run(script, tmp_path) == [
        [
            "sbatch",
            "--parsable",
            "--gres=gpu:2",
            "--array=1-8",
            job,
            "share",
        ],  # no more tasks than cells
        ["sbatch", "--dependency=afterany:7", "--gres=gpu:2", job, "tables"],
    ]
    call = ["pathfuse", "dense", "run", str(grid)]
    devices = ["--devices", "cuda:0,cuda:1"]
    task = run(script, tmp_path, "share", SLURM_ARRAY_TASK_ID="3")
    assert task == [[*call, "--shard", "3/8", *devices]]
    assert run(script, tmp_path, "tables") == [[*call, *devices]]


def test_it_submits_from_within_an_allocation_and_never_from_a_pipe(grid, tmp_path):
    script = slurm_script(grid)
    assert run(script, tmp_path, SLURM_JOB_ID="77")[0][0] == "sbatch"
    piped = subprocess.run(["bash"], input=script, text=True, capture_output=True, check=False)
    assert (piped.returncode, piped.stderr) == (
        2,
        "keep this script in a file and run: bash FILE\n",
    )


def test_without_gpus(grid, tmp_path):
    script = slurm_script(grid, tasks=3, gpus=0)
    assert "--gres" not in script
    assert "cuda" not in script
    assert run(script, tmp_path)[0][1:] == [
        "--parsable",
        "--array=1-3",
        str(tmp_path / "job.sh"),
        "share",
    ]
    assert run(script, tmp_path, "tables") == [["pathfuse", "dense", "run", str(grid)]]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tasks": 0}, "--tasks 0: give a number from 1 to 999"),
        ({"gpus": -1}, "--gpus -1: give a number from 0 to 64"),
        ({"memory": "4G; rm -r ~"}, "--memory 4G; rm -r ~: write it as sbatch has it"),
    ],
)
def test_what_cannot_be(grid, options, sentence):
    with pytest.raises(InputError) as error:
        slurm_script(grid, **options)
    assert sentence in str(error.value)
