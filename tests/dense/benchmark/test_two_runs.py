"""A benchmark that is killed and started again from two processes: each cell is trained once."""

import re
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

pytest.importorskip("timm")

from pathfuse.dense.data.split_files import write_split
from pathfuse.testing.tissue import make_split

GRID = """\
models: {small: "tiny:patch=8,dim=12,depth=1", other: "tiny:patch=16,dim=12,depth=1"}
datasets: {tissue: data/split.json}
strategies: [lora]
rank: [1, 4]
size_px: [24, 32, 48]
recipe: {epochs: 2, batch: 4, decoder_width: 16, device: cpu}
fusion: {pixels: 500}
resamples: 20
out: out
"""
N_CELLS = 2 * 2 * 3


def started(grid, *options):
    command = [sys.executable, "-m", "pathfuse", "dense", "run", str(grid), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def trained(errors):
    """Cells that a run says it has trained."""
    return re.findall(r"^ *\d+ % (.*): done$", errors, re.MULTILINE)


@pytest.mark.slow
def test_three_sizes_two_ranks_two_models_killed_and_started_again_twice(tmp_path):
    (tmp_path / "data").mkdir()
    split = make_split(tmp_path / "data", train=4, val=2, test=4)
    write_split(split, tmp_path / "data" / "split.json")
    grid, out = tmp_path / "grid.yaml", tmp_path / "out"
    grid.write_text(GRID)
    first = started(grid)
    deadline = time.monotonic() + 240
    while True:  # killed while it is at its third cell or a later one
        done = {file.parent for file in out.glob("cells/*/*/*/*/cell.json")}
        at = list(out.glob(".claims/cells,*.json"))
        if len(done) >= 2 and at:
            first.send_signal(signal.SIGKILL)
            break
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    _, errors = first.communicate()
    left = [
        file
        for file in (out / ".claims").glob("cells,*.json")
        if not (out / file.stem.replace(",", "/") / "cell.json").exists()
    ]
    before = {
        file: file.stat().st_mtime_ns
        for file in out.rglob("model.safetensors")
        if (file.parent.parent / "cell.json").exists()
    }
    assert 2 <= len(before) < N_CELLS
    both = [started(grid), started(grid)]
    said = [run.communicate(timeout=300) for run in both]
    assert [run.returncode for run in both] == [0, 0], said
    again = [cell for _, err in said for cell in trained(err)]
    assert len(again) == len(set(again)) == N_CELLS - len(before)
    assert not set(again) & set(trained(errors))
    assert {file: file.stat().st_mtime_ns for file in before} == before
    notes = [line for _, err in said for line in err.splitlines() if "taken over from" in line]
    assert len(notes) == len(left)
    assert all(f"process {first.pid} on" in line and "has ended" in line for line in notes)
    assert not list((out / ".claims").iterdir())
    board = pl.read_csv(out / "leaderboard.csv").filter(metric="mDice", kind="model")
    assert set(board.select("base_strategy", "rank", "size_px", "model").iter_rows()) == {
        ("lora", rank, size, model)
        for rank in (1, 4)
        for size in (24, 32, 48)
        for model in ("small", "other")
    }
    assert board.height == N_CELLS
    page = (out / "leaderboard.html").read_text()
    for label in board["strategy"].unique():
        assert f'href="datasets/tissue.html#table-{label}"' in page
    for stdout, _ in said:
        assert f"Leaderboard: {out}/leaderboard.html" in stdout
        assert "0 failed" in stdout
    counts = [
        list(map(int, re.findall(r"(\d+) (?:cells )?(?:trained|unchanged)", one)))
        for one, _ in said
    ]
    assert all(sum(found) == N_CELLS for found in counts), said
