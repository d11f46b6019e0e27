"""Trainings in other processes tell the parent of their epochs."""

import json

from pathfuse.experts.epochs import EpochReader, PartShares, append_to, epoch_file, following

LINES = [{"epoch": k, "train_loss": 1 / k, "validation_loss": None} for k in (1, 2, 3)]


def test_lines_are_read_once_and_whole(tmp_path):
    file, absent, seen = epoch_file(tmp_path, "fold_0"), tmp_path / "none", []
    reader = EpochReader({file: seen.append, absent: seen.append})
    reader.read()
    append = append_to(file)
    append(LINES[0])
    append(LINES[1])
    with file.open("a") as out:
        out.write(json.dumps(LINES[2])[:9])
    reader.read()
    assert seen == LINES[:2]
    with file.open("a") as out:
        out.write(json.dumps(LINES[2])[9:] + "\n")
    reader.read()
    reader.read()
    assert seen == LINES


def test_files_of_a_stopped_run_are_not_shown(tmp_path):
    file, seen = tmp_path / "f", []
    append_to(file)(LINES[0])
    with following({file: seen.append}) as show_new:
        append_to(file)(LINES[1])
        show_new()
        assert seen == [LINES[1]]
    assert not file.exists()


def test_shares_of_parts_that_run_together():
    seen = []
    shares = PartShares(lambda message, share: seen.append((message, share)), total=4, done=1)
    one, two = shares.of("one"), shares.of("two")
    one("a", 0.5)
    two("b", 0.5)
    shares.finish("one")
    shares.finish("two")
    assert seen == [("a", 0.375), ("b", 0.5), ("one done", 0.625), ("two done", 0.75)]
