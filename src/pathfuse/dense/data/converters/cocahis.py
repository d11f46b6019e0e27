"""CoCaHis: frozen sections of liver and the majority of seven raters, in one HDF5 file."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from pathfuse.dense.data.converters.base import Label, Sample, write_samples
from pathfuse.dense.data.converters.layout import find_files
from pathfuse.dense.data.records import Split
from pathfuse.errors import InputError
from pathfuse.files.hdf5 import Hdf5Error, check_reach

if TYPE_CHECKING:
    import h5py

LOOKED_FOR = "CoCaHis.hdf5 with HE/raw and GT/GT_majority_vote"


def convert(source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
    """Converts ``HE/raw`` and ``GT/GT_majority_vote``; patients and official split from the file.

    Raises:
        InputError: As in ``Converter``; h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError('CoCaHis needs h5py: pip install "pathfuse[formats]"') from error
    path = find_files(source, r"[^/]+\.(?:hdf5|h5)", "CoCaHis", LOOKED_FOR)[0][0]
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"the file {path} cannot be read as HDF5: it is damaged or of another kind"
        ) from error
    with file:
        try:
            check_reach(file, path)
        except Hdf5Error as error:
            raise InputError(f"the file {path} cannot be read: {error}") from error
        images, truth = file.get("HE/raw"), file.get("GT/GT_majority_vote")
        if images is None or truth is None or len(images) != len(truth):
            raise InputError(
                f"the file {path} is not CoCaHis: looked for {LOOKED_FOR} of equal length"
            )
        patients, parts = (
            _field(file, "patient_num", len(images)),
            _field(file, "train_test_split", len(images)),
        )
        notes = [] if patients else ["patient_num was not found, so patients may be torn."]
        samples = [
            Sample(
                name=f"image_{i:03d}",
                source=path,
                image=partial(_pixels, images, i),
                label=partial(_label, truth, i),
                patient=f"patient_{patients[i]}" if patients else None,
                part=_part(parts[i]) if parts else None,
            )
            for i in range(len(images))
        ]
        return write_samples("cocahis", samples, out, seed=seed, force=force, notes=notes)


def _field(file: "h5py.File", name: str, n: int) -> list[str]:
    """An attribute or a data set of the group HE, GT or the file, as text.

    Empty if there is none of this length.
    """
    for group in (file["HE"], file["GT"], file):
        value: Any = group.attrs[name] if name in group.attrs else group.get(name)
        if value is not None and len(np.atleast_1d(value)) == n:
            return [v.decode() if isinstance(v, bytes) else str(v) for v in np.atleast_1d(value)]
    return []


def _part(word: str) -> str | None:
    word = word.strip().lower()
    return next((part for part in ("train", "test", "val") if word.startswith(part)), None)


def _pixels(images: "h5py.Dataset", i: int) -> UInt8[np.ndarray, "row column 3"]:
    return np.asarray(images[i]).astype(np.uint8)


def _label(truth: "h5py.Dataset", i: int) -> Label:
    values = np.asarray(truth[i])
    return Label(((values[..., 0] if values.ndim == 3 else values) > 0).astype(np.uint8))
