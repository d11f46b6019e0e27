"""Instances that a model told apart itself: the label maps of HoVer-Net, StarDist, Cellpose, ...

A file holds a whole number for each pixel: 0 is background, every other number one instance.
"""

import math
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy import ndimage

from pathfuse.dense.data.converters.mat import read_mat
from pathfuse.dense.data.image_files import file_of
from pathfuse.dense.data.image_headers import MOST_PX
from pathfuse.dense.data.images import MASK_SUFFIXES, read_instances
from pathfuse.dense.evaluation.instances import LabelMap
from pathfuse.dense.evaluation.masks import Mask
from pathfuse.dense.evaluation.watershed import NEIGHBOURS
from pathfuse.errors import InputError
from pathfuse.files.npy import NpyError, npy_header, npz_headers
from pathfuse.files.special import refuse_special

MATLAB = ".mat"
CELLPOSE = tuple(f"_cp_masks{suffix}" for suffix in (".png", ".tif"))
"""How Cellpose calls the masks that it saves next to an image."""
CELLPOSE_PICKLE = "_seg.npy"
SUFFIXES = (".npy", ".npz", MATLAB, *MASK_SUFFIXES, *CELLPOSE)
MAP, TYPES, IDS = "inst_map", "inst_type", "inst_uid"
"""Variables of HoVer-Net's files: the map, the type of each instance, its number in the map."""


@dataclass(frozen=True)
class PredictedInstances:
    """What a model says of one image."""

    labels: LabelMap
    classes: Mask
    """Of each pixel; 0 where there is no instance."""


def instance_file(folder: Path, image_id: str, image_ids: Collection[str] = ()) -> Path | None:
    """The file of an image's instances, by its name; None if there is none.

    Raises:
        InputError: There are two, or only the pickle that Cellpose writes.
    """
    found = file_of(folder, image_id, SUFFIXES, image_ids)
    pickle = folder / f"{image_id}{CELLPOSE_PICKLE}"
    if found is None and pickle.is_file():
        raise InputError(
            f"{pickle} is a pickle, which can run code when it is opened: let Cellpose save the masks as an "
            "image (--save_png or --save_tif)"
        )
    return found


def read_instance_map(path: Path, n_classes: int) -> PredictedInstances:
    """Reads the instances that a model predicted in one image.

    Args:
        path: ``.npy`` or ``.npz`` with one matrix of whole numbers, ``.mat`` with ``inst_map`` as
            HoVer-Net writes it, or a label image of 8, 16 or 32 bits.
        n_classes: K. Of two, whatever is an instance is of class 1; of more, the file must say
            which class an instance is of (``inst_type`` of HoVer-Net).

    Raises:
        InputError: It cannot be read, or is no map of instances, or does not say their classes.
    """
    content: dict[str, Any] = {}
    if path.suffix == MATLAB:
        content = read_mat(path)
        labels = _whole(_variable(content, MAP, path))
    elif path.suffix in MASK_SUFFIXES:
        labels = read_instances(path)
    else:
        labels = _array(path)
    labels = _checked(labels, path)
    if n_classes <= 2:
        return PredictedInstances(labels, (labels != 0).astype(np.uint8))
    if TYPES not in content:
        raise InputError(
            f"the instances {path} have no classes, but the data have {n_classes}: a .mat file with {MAP} and "
            f"{TYPES}, as HoVer-Net writes it, says them; or compare with masks of two classes"
        )
    return PredictedInstances(labels, _classes(labels, content, n_classes, path))


class Scatter:
    """Whether a model's files are instances at all: a mask of classes has few numbers, each in many
    places.

    Args:
        name: The model.
        folder: Its files.
        n_classes: K.
    """

    def __init__(self, name: str, folder: Path, n_classes: int) -> None:
        self._name, self._folder, self._n_classes = name, folder, n_classes
        self._numbers = self._parts = 0
        self._could_be = True

    def see(self, predicted: PredictedInstances) -> None:
        """Looks at one image; once an image has more numbers than classes, at no more."""
        if not self._could_be:
            return
        numbers = np.unique(predicted.labels[predicted.labels != 0])
        self._could_be = len(numbers) < self._n_classes
        if self._could_be:
            self._numbers += len(numbers)
            self._parts += sum(
                ndimage.label(predicted.labels == number, structure=NEIGHBOURS)[1]
                for number in numbers
            )

    def check(self) -> None:
        """Refuses masks of classes.

        Raises:
            InputError: No image has more numbers than classes, and a number lies in more than two
                places on average.
        """
        if self._could_be and self._parts > 2 * self._numbers:
            raise InputError(
                f"the model {self._name} has masks of classes in {self._folder}, not instances: a number lies in "
                f"{self._parts / self._numbers:.1f} separate places on average; name the folder under --predictions"
            )


def _array(path: Path) -> np.ndarray:
    """The matrix of a file of numpy."""
    refuse_special(path, "the instances")
    try:
        _check_size(path)
        content = np.load(path, allow_pickle=False)
        arrays = dict(content) if path.suffix == ".npz" else {MAP: content}
    except InputError:  # our own sentence
        raise
    except NpyError as error:
        raise InputError(f"the instances {path} cannot be read: {error}") from error
    except (OSError, ValueError, EOFError, BadZipFile, RuntimeError, zlib.error) as error:
        raise InputError(
            f"the instances {path} cannot be read: the file is damaged, no array, or a pickle"
        ) from error
    if MAP not in arrays and len(arrays) != 1:
        raise InputError(
            f"{path} has the arrays {', '.join(arrays) or 'none'}: it needs one alone, or {MAP}"
        )
    return np.asarray(arrays.get(MAP, next(iter(arrays.values()))))


def _check_size(path: Path) -> None:
    """Refuses arrays of more numbers than an image that is held may have pixels, by their headers."""
    if path.suffix == ".npz":
        headers = list(npz_headers(path).values())
    else:
        with path.open("rb") as file:
            headers = [npy_header(file, path.stat().st_size)]
    n = sum(math.prod(header.shape) for header in headers)
    if n > MOST_PX:
        raise InputError(
            f"the instances {path} have {n:,} numbers; at most {MOST_PX // 10**6} million are read, one for each pixel"
        )


def _variable(content: dict[str, Any], name: str, path: Path) -> np.ndarray:
    if name not in content:
        known = ", ".join(key for key in content if not key.startswith("__"))
        raise InputError(f"the file {path} has no variable {name}: it has {known or 'none'}")
    return np.asarray(content[name])


def _whole(values: np.ndarray) -> np.ndarray:
    """MATLAB keeps whole numbers as fractions."""
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.rint(values)).all():
        return values.astype(np.int64)
    return values


def _checked(labels: np.ndarray, path: Path) -> LabelMap:
    """Refuses what is no map of instances."""
    if labels.ndim != 2:
        raise InputError(
            f"the instances {path} have the shape {labels.shape}: they are numbers in rows and columns"
        )
    if labels.dtype.kind not in "iu":
        raise InputError(
            f"the instances {path} are of the type {labels.dtype}: they are whole numbers, 0 for background and one "
            "for each instance"
        )
    if labels.size and labels.min() < 0:
        raise InputError(f"the instances {path} have the number {labels.min()}: 0 is background")
    small = not labels.size or labels.max() <= np.iinfo(np.int32).max
    return labels.astype(np.int32 if small else np.int64)


def _classes(labels: LabelMap, content: dict[str, Any], n_classes: int, path: Path) -> Mask:
    """The class of each pixel, by the types of the instances."""
    there = np.unique(labels[labels != 0])
    types = _whole(np.asarray(content[TYPES]).ravel())
    ids = _whole(np.asarray(content[IDS]).ravel()) if IDS in content else there
    if len(types) != len(ids):
        raise InputError(f"the file {path} has {len(types)} types of {len(ids)} instances")
    wrong = types[(types < 0) | (types >= n_classes)]
    if len(wrong):
        raise InputError(
            f"the file {path} has the type {wrong[0]}, but the classes are 0 to {n_classes - 1}"
        )
    lost = np.setdiff1d(there, ids)
    if len(lost):
        raise InputError(f"the file {path} has no type of the instance {lost[0]}")
    order = np.argsort(ids, kind="stable")
    place = np.searchsorted(ids[order], labels)
    of_pixel = types[order][np.minimum(place, max(len(ids) - 1, 0))] if len(ids) else 0
    return np.where(labels != 0, of_pixel, 0).astype(np.uint8)
