"""The commands of whole benchmarks: the paper's file, shards, devices, a job script."""

import numpy as np
import pytest

for name in ("torch", "torchvision", "timm", "peft"):
    pytest.importorskip(name)
Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def data(tmp_path):
    """A folder of one image per part, with masks of two classes."""
    for n, part in enumerate(("train", "val", "test")):
        for kind in ("images", "masks"):
            place = tmp_path / "data" / part / kind
            place.mkdir(parents=True)
            values = np.zeros((16, 24, 3) if kind == "images" else (16, 24), dtype=np.uint8)
            values[: 6 + n] = 1  # no two parts hold the same bytes
            Image.fromarray(values).save(place / f"{part}.png")
    return tmp_path / "data"


def grid_of(data):
    return (
        "models: {a: 'tiny:dim=12,depth=1'}\n"
        f"datasets: {{made: '{data}'}}\n"
        "strategies: [frozen]\nfuse: false\nresamples: 10\nout: result\nseeds: [0, 1]\n"
        "recipe: {epochs: 1, size_px: 32, decoder_width: 16}\n"
    )


def test_a_benchmark_in_shards_on_named_devices(run_cli, data, tmp_path):
    grid = tmp_path / "grid.yaml"
    grid.write_text(grid_of(data))
    for number in (1, 2):
        status, out, _ = run_cli("dense", "run", grid, "--shard", f"{number}/2", "--devices", "cpu")
        assert status == 0
        assert out.startswith(f"Shard {number}/2: 1 cells trained, 0 unchanged, 0 failed. Once all")
    status, out, _ = run_cli("dense", "run", grid)
    assert (status, out) == (
        0,
        f"0 cells trained, 2 unchanged, 0 failed. Leaderboard: {tmp_path}/result/leaderboard.html\n",
    )
    status, out, _ = run_cli("dense", "script", grid, "--slurm", "--tasks", "9", "--gpus", "0")
    assert status == 0
    assert "--array=1-2 " in out
    assert f"run {grid})" in out


def test_the_papers_benchmark_is_written(run_cli, tmp_path):
    file = tmp_path / "paper.yaml"
    status, out, _ = run_cli("dense", "init", "--paper", "--out", file)
    assert status == 0
    assert f"{file}: fill in" in out
    status, out, _ = run_cli("dense", "script", file, "--slurm")
    assert (status, out.splitlines()[1][:14]) == (0, "# 1530 cells o")


def test_wrong_input_ends_in_a_sentence(run_cli, data, tmp_path):
    good, absent = tmp_path / "good.yaml", tmp_path / "absent.yaml"
    good.write_text(grid_of(data))
    for arguments, sentence in [
        (("run", absent, "--shard", "0/2"), "--shard 0/2: write I/N"),
        (
            ("run", absent, "--devices", "cpu,cpu", "--jobs", "2"),
            "--devices runs one cell at a time on each device; leave out --jobs",
        ),
        (("run", good, "--devices", "cpu,tpu"), "the device 'tpu' is not there"),
        (("script", absent), "say which system the script is for: --slurm"),
        (("script", good, "--slurm", "--cpus", "0"), "--cpus 0: give a number from 1 to 1024"),
    ]:
        status, _, err = run_cli("dense", *arguments)
        assert status == 2, (arguments, err)
        assert err.count("\n") == 1, err
        assert sentence in err, err
        assert not (tmp_path / "result").exists()
