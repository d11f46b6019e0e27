"""The job script of a suite: it submits itself, and its lines give what one run gives."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pathfuse.errors import InputError
from pathfuse.workflows.suite.slurm import MOST_TASKS, slurm_script

ROOT = Path(__file__).parents[3]
SMALL = {"n_fit": 12, "n_test": 12, "n_experts": 2, "classes": ("normal", "tumor")}
OPTIONS = {"method": "static_product", "n_resamples": 120}
TABLES = ("metrics.csv", "comparisons.csv", "fused.parquet", "certificate.json")
SBATCH = '#!/bin/bash\nprintf "%s\\n" "$*" >> "$0.log"\necho "17;cluster"\n'


@pytest.fixture
def studies(tmp_path, make_study):
    """Three small studies, in a folder whose name a shell would take apart."""
    for seed, name in enumerate(("one", "three", "two")):
        make_study(tmp_path / "my studies; $(touch x)" / name, seed=seed, **SMALL)
    return tmp_path / "my studies; $(touch x)"


@pytest.fixture
def run(tmp_path):
    """``run(script, **variables)``: the script in a shell that finds ``pathfuse`` and ``sbatch``."""
    tools = tmp_path / "tools"
    tools.mkdir()
    call = f'exec {sys.executable} -c "import sys; from pathfuse.cli import main; sys.exit(main())"'
    for name, text in (("sbatch", SBATCH), ("pathfuse", f'#!/bin/bash\n{call} "$@"\n')):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)

    def run(script, **variables):
        file = tmp_path / "suite.sh"
        file.write_text(script)
        known = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
        path = f"{tools}{os.pathsep}{known['PATH']}"
        source = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        return subprocess.run(
            ["bash", file], env={**known, "PATH": path, "PYTHONPATH": source, **variables},
            capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
        )  # fmt: skip

    return run


def test_the_script_is_one_of_bash_and_has_fewer_tasks_than_sites_allow(studies, tmp_path):
    file = tmp_path / "suite.sh"
    file.write_text(slurm_script(studies, tmp_path / "out", tasks=2, **OPTIONS))
    assert subprocess.run(["bash", "-n", file], check=False).returncode == 0
    text = file.read_text()
    assert "#SBATCH --requeue\n" in text
    assert "--array=1-2 " in text
    assert " --method static_product --resamples 120)" in text
    assert "--array=1-3 " in slurm_script(studies, tmp_path / "out")
    assert MOST_TASKS < 1000


def test_it_submits_an_array_and_a_job_that_waits_for_it(studies, tmp_path, run):
    done = run(slurm_script(studies, tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    array, last = (tmp_path / "tools/sbatch.log").read_text().splitlines()
    assert array == f"--parsable --array=1-3 {tmp_path}/suite.sh"
    assert last == f"--dependency=afterany:17 --cpus-per-task=2 {tmp_path}/suite.sh"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_its_tasks_and_its_last_job_give_what_one_run_gives(studies, tmp_path, run, run_cli):
    script = slurm_script(studies, tmp_path / "out", tasks=2, **OPTIONS)
    for task in ("2", "1"):
        done = run(script, SLURM_JOB_ID="17", SLURM_ARRAY_TASK_ID=task)
        assert done.returncode == 0, done.stderr
        assert f"Shard {task}/2: {2 if task == '1' else 1} done" in done.stdout
        assert not (tmp_path / "out/suite.csv").exists()
    done = run(script, SLURM_JOB_ID="18")
    assert done.returncode == 0, done.stderr
    assert "3 done (3 unchanged), 0 failed" in done.stdout
    assert not (tmp_path / "x").exists()
    shutil.move(tmp_path / "out", tmp_path / "array")
    flags = ("--method", "static_product", "--resamples", 120, "--jobs", 2)
    assert run_cli("suite", "run", studies, "--out", tmp_path / "out", *flags).status == 0
    for name in ("one", "two", "three"):
        for table in TABLES:
            file = Path(name) / table
            assert (tmp_path / "array" / file).read_bytes() == (
                tmp_path / "out" / file
            ).read_bytes()
    ranking = Path("ranking/ranks.csv")
    assert (tmp_path / "array" / ranking).read_bytes() == (tmp_path / "out" / ranking).read_bytes()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tasks": 0}, "--tasks 0: give a number from 1 to 999"),
        ({"tasks": 1000}, "--tasks 1000"),
        ({"memory": "4G\nrm -rf /"}, "--memory"),
        ({"time": "4 hours"}, "--time 4 hours: write it as sbatch has it"),
        ({"method": "nothing"}, "nothing"),
    ],
)
def test_what_cannot_be_a_script(studies, tmp_path, wrong, said):
    with pytest.raises(InputError, match=said):
        slurm_script(studies, tmp_path / "out", **wrong)
