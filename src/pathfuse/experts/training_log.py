"""Logs of a training for other programs: CSV, and event files of TensorBoard where that is
installed.
"""

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pathfuse.errors import InputError, unwritten
from pathfuse.progress import OnEpoch

COLUMNS = ("network", "epoch", "train_loss", "validation_loss", "rate")


def check_log_dir(folder: Path | None, out: Path) -> Path | None:
    """The folder of the logs, made if need be.

    Args:
        folder: As given; None: no logs.
        out: The output, which is replaced as a whole and may not hold them.

    Raises:
        InputError: It lies in the output, or cannot be made.
    """
    if folder is None:
        return None
    place = folder.resolve()
    if place.is_relative_to(out.resolve()):
        raise InputError(
            f"the logs {folder} would lie in the output {out}, which is written as a whole at the end; "
            "give --log-dir another folder"
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritten(f"the logs {folder}", error) from error
    return place


@contextmanager
def logged(
    folder: Path | None, expert: str, part: str, on_epoch: OnEpoch | None
) -> Iterator[OnEpoch | None]:
    """Writes every epoch of one part as it ends, and closes the logs after the last.

    Into ``<folder>/<expert>/<part>.csv``, and for TensorBoard into ``<folder>/<expert>/<part>/``. A
    part that begins anew overwrites its logs, one that goes on adds to them.

    Args:
        folder: Of all logs; None: nothing is logged.
        expert: Name of the expert.
        part: Name of the part.
        on_epoch: What is called with every epoch besides.

    Yields:
        What the training calls with every epoch.
    """
    if folder is None:
        yield on_epoch
        return
    file, events = folder / expert / f"{part}.csv", TensorBoard(folder / expert / part)
    file.parent.mkdir(parents=True, exist_ok=True)

    def log(line: dict[str, Any]) -> None:
        if on_epoch is not None:
            on_epoch(line)
        begins = (line["network"], line["epoch"]) == (1, 1) or not file.exists()
        with file.open("w" if begins else "a", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            if begins:
                writer.writerow(COLUMNS)
            writer.writerow(["" if _unknown(line.get(name)) else line[name] for name in COLUMNS])
        events.add(line, begins)

    try:
        yield log
    finally:
        events.close()


class TensorBoard:
    """Event files of TensorBoard; nothing where it is not installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def add(self, line: dict[str, Any], begins: bool) -> None:
        """Writes an epoch; the first removes the files of an earlier training."""
        if find_spec("tensorboard") is None:
            return
        if begins:
            self.close()
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
        writer = self._open()
        for name in COLUMNS[2:]:
            if not _unknown(line.get(name)):
                more = f" network {line['network']}" if line["network"] > 1 else ""
                writer.add_scalar(name + more, line[name], line["epoch"])
        writer.flush()

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _open(self) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder))
        return self._writer


def _unknown(value: float | None) -> bool:
    """Whether an epoch has no such figure, as without validation."""
    return value is None or math.isnan(value)
