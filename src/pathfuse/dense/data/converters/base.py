"""What all converters share: samples that were found become masks as PNG and split.json."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Int, Shaped, UInt8
from PIL import Image

from pathfuse.dense.data.cards import DatasetCard, find_dataset
from pathfuse.dense.data.converters.parts import draw_parts
from pathfuse.dense.data.image_headers import opened_header
from pathfuse.dense.data.images import check_values
from pathfuse.dense.data.mask_values import plain_numbers
from pathfuse.dense.data.records import IGNORE, Item, Split, torn_patients
from pathfuse.dense.data.set_checks import twins_of
from pathfuse.dense.data.split_files import SPLIT, write_split
from pathfuse.errors import InputError
from pathfuse.files.write import check_out, new_folder

MASKS, IMAGES, INSTANCES = "masks", "images", "instances"
NAMED = 3
"""Examples that a sentence names."""


@dataclass(frozen=True)
class Label:
    """The truth of one image."""

    mask: UInt8[np.ndarray, "row column"]
    """Class numbers, 255 where pixels do not count."""
    instances: Int[np.ndarray, "row column"] | None = None
    """Numbered nuclei or glands, 0 elsewhere."""


@dataclass(frozen=True)
class Sample:
    """One image with its truth, as found in the source; nothing is read before it is asked for."""

    name: str
    """Unique; becomes the image_id."""
    source: Path
    """What messages name: the file of the mask."""
    image: Path | Callable[[], UInt8[np.ndarray, "row column 3"]]
    """A file that stays where it is, or the way to pixels that are written as PNG."""
    label: Callable[[], Label]
    patient: str | None = None
    """None if unknown: the image is then its own group."""
    part: str | None = None
    """Of the official split; None if there is none."""


class Converter(Protocol):
    """Writes one data set.

    Raises:
        InputError: Nothing that looks like it is in the source, or a file of it is not as it should
            be.
    """

    def __call__(self, source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
        """Writes ``out/masks/*.png`` and ``out/split.json``; the source is not changed."""
        ...


def write_samples(
    variant: str,
    samples: Sequence[Sample],
    out: Path,
    *,
    seed: int,
    force: bool = False,
    notes: Iterable[str] = (),
) -> Split:
    """Draws what the official split leaves open, writes masks, and says where counts differ from
    the card.

    Args:
        variant: Of a card.
        samples: At least one.
        out: A new folder.
        seed: Of the draw.
        force: Whether an existing ``out`` is replaced.
        notes: Sentences from the converter.

    Raises:
        InputError: ``out`` exists, a file cannot be read, or a mask has values outside the classes.
    """
    card = find_dataset(variant)
    names = card.variants[variant]
    samples = sorted(_unique(samples), key=lambda sample: _natural(sample.name))
    parts, part_notes = draw_parts(
        [s.patient or s.name for s in samples], [s.part for s in samples], seed
    )
    check_out(out, force)
    out = out.resolve()
    with new_folder(out, force) as folder:
        items: dict[str, list[Item]] = {"train": [], "val": [], "test": []}
        skipped = []
        for sample, part in zip(samples, parts, strict=True):
            item = _write(sample, folder, len(names), card.mpp_um)
            if item is None:
                skipped.append(sample)
            else:
                items[part].append(item)
        if len(skipped) == len(samples):
            raise InputError(
                f"no mask of {card.name} has the size of its image, such as {skipped[0].source}"
            )
        split = Split(
            name=variant,
            n_classes=len(names),
            class_names=names,
            ignore=IGNORE,
            train=tuple(items["train"]),
            val=tuple(items["val"]),
            test=tuple(items["test"]),
        )
        split, same = _without_twins(split)
        split = replace(
            split,
            notes=(
                *notes,
                *_skipped(skipped),
                *_counts(card, split),
                *part_notes,
                *same,
                *_torn(split),
            ),
        )
        write_split(
            split, folder / SPLIT
        )  # relative paths hold in the final folder, too: it lies next to this one
    return _moved(split, folder, out)


def _without_twins(split: Split) -> tuple[Split, list[str]]:
    """Leaves out what trains or validates though the same image, byte for byte, is tested on; of
    training and validation what trains.
    """
    twins = [first[1] for first, _ in twins_of(split)]
    if not twins:
        return split, []
    ids = {item.image_id for item in twins}
    train, val = (
        tuple(item for item in part if item.image_id not in ids)
        for part in (split.train, split.val)
    )
    names = ", ".join(sorted(ids)[:NAMED]) + (" and others" if len(ids) > NAMED else "")
    return replace(split, train=train, val=val), [
        f"{len(ids)} images were left out since the same ones, byte for byte, are in a later part: {names}."
    ]


def _write(
    sample: Sample, folder: Path, n_classes: int, mpp_um: float | None = None
) -> Item | None:
    """None if image and mask differ in size."""
    label = sample.label()
    check_values(label.mask, n_classes, IGNORE, str(sample.source))
    if isinstance(sample.image, Path):
        image = sample.image.resolve()
        if _shape(image) != label.mask.shape:
            return None
    else:
        pixels = sample.image()
        if pixels.shape[:2] != label.mask.shape:
            return None
        image = _save(folder / IMAGES / f"{sample.name}.png", pixels)
    mask = _save(folder / MASKS / f"{sample.name}.png", label.mask)
    instances = None
    if label.instances is not None:
        instances = _save(folder / INSTANCES / f"{sample.name}.png", _renumbered(label.instances))
    patient = sample.patient or sample.name
    values = plain_numbers(n_classes, IGNORE)  # of which 0 may be a class like any other
    return Item(sample.name, image, mask, patient, instances, values, mpp_um)


def _shape(path: Path) -> tuple[int, int]:
    with opened_header(path, "image") as image:
        return image.height, image.width


def _save(path: Path, values: Shaped[np.ndarray, "row column *channel"]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(values)).save(path)
    return path


def _renumbered(instances: Int[np.ndarray, "row column"]) -> Shaped[np.ndarray, "row column"]:
    """1 to n without gaps, so that 16 bits suffice."""
    numbers, inverse = np.unique(instances, return_inverse=True)
    first = 1 if len(numbers) == 0 or numbers[0] > 0 else 0
    return (inverse.reshape(instances.shape) + first).astype(np.uint16)


def _moved(split: Split, folder: Path, out: Path) -> Split:
    """The split after the folder got its final name."""

    def place(path: Path) -> Path:
        return out / path.relative_to(folder) if path.is_relative_to(folder) else path

    def item(old: Item) -> Item:
        mask, instances = old.mask and place(old.mask), old.instances and place(old.instances)
        return replace(old, image=place(old.image), mask=mask, instances=instances)

    parts = {
        part: tuple(item(old) for old in getattr(split, part)) for part in ("train", "val", "test")
    }
    return replace(split, train=parts["train"], val=parts["val"], test=parts["test"])


def _unique(samples: Sequence[Sample]) -> list[Sample]:
    """Names that repeat between parts get the part before them."""
    repeated = {name for name, n in Counter(sample.name for sample in samples).items() if n > 1}
    renamed = [
        replace(sample, name=f"{sample.part}_{sample.name}") if sample.name in repeated else sample
        for sample in samples
    ]
    twice = next(
        (name for name, n in Counter(sample.name for sample in renamed).items() if n > 1), None
    )
    if twice:
        source = next(sample.source for sample in renamed if sample.name == twice)
        raise InputError(
            f"the image {twice!r} is there twice, once with {source}: remove one of them"
        )
    return renamed


def _natural(name: str) -> list[tuple[int, str]]:
    """Order in which train_2 comes before train_10."""
    return [(int(digits or 0), text) for digits, text in re.findall(r"(\d*)(\D*)", name)]


def _skipped(samples: Sequence[Sample]) -> Iterator[str]:
    if samples:
        names = ", ".join(sample.name for sample in samples[:NAMED])
        more = " and others" if len(samples) > NAMED else ""
        yield f"{len(samples)} images were left out since their masks have another size: {names}{more}."


def _counts(card: DatasetCard, split: Split) -> Iterator[str]:
    n = len(split.items)
    if card.n_images is not None and n != card.n_images:
        yield f"{n:,} images were found, where {card.name} has {card.n_images:,}."
    expected = Counter(card.parts)
    if expected and "val" not in expected:
        n_train = len(split.train) + len(split.val)
        if (n_train, len(split.test)) != (
            expected["train"],
            expected["test"],
        ) and n == card.n_images:
            yield (
                f"{n_train} images are to train on and {len(split.test)} to test on, "
                f"where the official split has {expected['train']} and {expected['test']}."
            )


def _torn(split: Split) -> Iterator[str]:
    torn = torn_patients(split)
    if torn:
        yield (
            f"The official split has {len(torn)} patients in two parts, such as {torn[0]}: "
            "scores on its test images are too good for new patients."
        )
