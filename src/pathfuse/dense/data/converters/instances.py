"""Images with numbered instances: the histology part of the Data Science Bowl 2018."""

from functools import partial
from pathlib import Path

import numpy as np

from pathfuse.dense.data.converters.base import Label, Sample, write_samples
from pathfuse.dense.data.converters.layout import IMG, MSK, PairLayout, find_pairs
from pathfuse.dense.data.images import read_instances
from pathfuse.dense.data.records import Split

LAYOUT = PairLayout(
    ((rf"images/(?P<name>[^/]+){IMG}", rf"instances/(?P<name>[^/]+){MSK}"),),
    "images/*.png with instances/*.png of the same name",
)


def convert(source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
    """Every instance is nucleus; parts are drawn by image, 60 / 15 / 25.

    Raises:
        InputError: As in ``Converter``.
    """
    pairs, notes = find_pairs(source, LAYOUT, "DSB2018 histology")
    samples = [
        Sample(pair.image.stem, pair.mask, pair.image, partial(_label, pair.mask)) for pair in pairs
    ]
    return write_samples("dsb2018_histology", samples, out, seed=seed, force=force, notes=notes)


def _label(path: Path) -> Label:
    instances = read_instances(path)
    return Label((instances > 0).astype(np.uint8), instances)
