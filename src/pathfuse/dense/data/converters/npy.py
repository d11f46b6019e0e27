"""Nuclei in stacks of NumPy arrays: CoNIC and PanNuke.

Files are mapped, never read whole, and pickles are refused.
"""

from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8

from pathfuse.dense.data.converters.base import Label, Sample, write_samples
from pathfuse.dense.data.converters.layout import find_files
from pathfuse.dense.data.records import Split
from pathfuse.errors import InputError
from pathfuse.files.npy import npy_header
from pathfuse.files.tables import read_table

Stack = Shaped[np.ndarray, "image row column channel"]
PANNUKE_PARTS = {"1": "train", "2": "val", "3": "test"}
"""By fold."""


def convert_conic(source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
    """Converts ``images.npy`` and ``labels.npy``, grouped by source image if ``patch_info.csv`` is
    there.

    Raises:
        InputError: As in ``Converter``.
    """
    wanted = "images.npy and labels.npy"
    images = _stack(find_files(source, r"images\.npy", "CoNIC2022", wanted)[0][0], (3,))
    path = find_files(source, r"labels\.npy", "CoNIC2022", wanted)[0][0]
    labels = _stack(path, (2,))
    _same_length(images, labels, path)
    info = path.parent / "patch_info.csv"
    notes = []
    if info.is_file():
        names = [str(row[0]) for row in read_table(info).frame.iter_rows()]
        if len(names) != len(images):
            raise InputError(f"{info} has {len(names):,} rows for {len(images):,} images")
        groups = [name.rpartition("-")[0] or name for name in names]
    else:
        groups = ["all"] * len(images)
        notes = [
            "patch_info.csv was not found, so the source images are unknown and patches of one may be torn."
        ]
    samples = [
        Sample(
            name=f"{i:05d}",
            source=path,
            image=partial(_pixels, images, i),
            label=partial(_conic_label, labels, i),
            patient=groups[i] if not notes else None,
        )
        for i in range(len(images))
    ]
    return write_samples("conic2022", samples, out, seed=seed, force=force, notes=notes)


def convert_pannuke(source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
    """Converts ``images.npy`` and ``masks.npy`` of the three folds.

    Raises:
        InputError: As in ``Converter``.
    """
    wanted = "fold1/images.npy and fold1/masks.npy, and the same for folds 2 and 3"
    found = dict[str, dict[str, Path]]()
    # the folds are unpacked as "Fold 1/images/fold1/images.npy"; the number nearest to the file
    # counts
    for what in ("images", "masks"):
        pattern = rf"fold[ _]?(?P<fold>[123])/(?:(?!fold)[^/]+/)*{what}\.npy"
        for path, groups in find_files(source, pattern, "PanNuke", wanted):
            found.setdefault(groups["fold"], {})[what] = path
    samples = []
    for fold, files in sorted(found.items()):
        if len(files) < 2:
            raise InputError(
                f"fold {fold} of PanNuke in {source} lacks {({'images', 'masks'} - set(files)).pop()}.npy"
            )
        images, masks = _stack(files["images"], (3,)), _stack(files["masks"], (6,))
        _same_length(images, masks, files["masks"])
        samples += [
            Sample(
                name=f"fold{fold}_{i:04d}",
                source=files["masks"],
                image=partial(_pixels, images, i),
                label=partial(_pannuke_label, masks, i),
                part=PANNUKE_PARTS[fold],
            )
            for i in range(len(images))
        ]
    parts = {sample.part for sample in samples}
    if len(parts) < 3:  # a fold is missing: what there is is divided anew
        samples = [Sample(s.name, s.source, s.image, s.label) for s in samples]
        notes = [
            f"Only {len(parts)} of three folds were found, so the official split was not used."
        ]
    else:
        notes = []
    return write_samples("pannuke", samples, out, seed=seed, force=force, notes=notes)


def _stack(path: Path, channels: tuple[int, ...]) -> Stack:
    try:
        with path.open("rb") as file:
            npy_header(file, path.stat().st_size)
        stack: Stack = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"the file {path} cannot be read as a NumPy array: {error}") from error
    if stack.ndim != 4 or stack.shape[3] not in channels:
        raise InputError(
            f"the file {path} has the shape {stack.shape}: expected (image, row, column, {channels[0]})"
        )
    return stack


def _same_length(images: Stack, labels: Stack, path: Path) -> None:
    if len(images) != len(labels):
        raise InputError(f"the file {path} has {len(labels):,} entries for {len(images):,} images")


def _pixels(images: Stack, i: int) -> UInt8[np.ndarray, "row column 3"]:
    return np.clip(np.rint(images[i]), 0, 255).astype(np.uint8)


def _conic_label(labels: Stack, i: int) -> Label:
    return Label(labels[i, ..., 1].astype(np.uint8), labels[i, ..., 0].astype(np.int64))


def _pannuke_label(masks: Stack, i: int) -> Label:
    """Class 0 where no channel has a nucleus; of overlapping ones the later channel counts."""
    nuclei = masks[i, ..., :5].astype(np.int64)
    mask = np.zeros(nuclei.shape[:2], dtype=np.uint8)
    instances = np.zeros(nuclei.shape[:2], dtype=np.int64)
    above = 0
    for k in range(5):
        there = nuclei[..., k] > 0
        mask[there] = k + 1
        instances[there] = nuclei[..., k][there] + above  # numbers may repeat between channels
        above += int(nuclei[..., k].max())
    return Label(mask, instances)
