"""Which slides belong to which sample, and what had to be left out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pathfuse.bags.folder import FeatureFolder
from pathfuse.endpoints.base import Endpoint, Options
from pathfuse.endpoints.detect import endpoint_of
from pathfuse.endpoints.spelling import check_spelling
from pathfuse.errors import InputError
from pathfuse.experts.outputs import Targets, targets_of
from pathfuse.experts.recipe import BAG_HEADS, Recipe
from pathfuse.features.bank import FeatureBank
from pathfuse.tables.files import Table, read_table, text_column
from pathfuse.tables.samples import Samples, read_samples
from pathfuse.tables.study import edges_in_metadata

PAIRS = (("sample_id", "slide_id"), ("PATIENT", "FILENAME"))
"""Columns of a slide table: ours, and STAMP's."""
SHOWN = 5
"""Names that a reason lists."""


@dataclass(frozen=True)
class Unit:
    """What a head reads at once."""

    sample: int
    """Row of the samples table."""
    slides: tuple[str, ...]


@dataclass(frozen=True)
class People:
    """The samples with their truth, before any feature is read."""

    samples: Samples
    endpoint: Endpoint
    targets: Targets
    inputs: dict[str, str | None]
    """SHA-256 of the tables."""
    slides: dict[str, tuple[str, ...]] | None
    """``sample_id`` to its slides, from the slide table; None: a slide has the name of its sample."""
    blanks: dict[str, int] = field(default_factory=dict)
    """How many values of which column of which table lost blanks around them."""


@dataclass(frozen=True)
class Cohort:
    """Samples, their features, and what was left out or masked."""

    people: People
    folder: FeatureFolder
    units: tuple[Unit, ...]
    """Sorted by sample, then slide."""
    left_out: tuple[dict[str, Any], ...]

    @property
    def having(self) -> np.ndarray:
        """Bool, (sample,): samples with features."""
        flags = np.zeros(len(self.people.samples.ids), dtype=bool)
        flags[[unit.sample for unit in self.units]] = True
        return flags

    def units_of(self, rows: np.ndarray) -> list[Unit]:
        """The units of some samples."""
        wanted = set(rows.tolist())
        return [unit for unit in self.units if unit.sample in wanted]


def read_people(samples: Path, slides: Path | None, endpoint: str | None, time_edges: Sequence[float] | None) -> People:
    """Reads the samples table and the slide table.

    Raises:
        InputError: A table is wrong; see ``read_samples``.
    """
    table = read_table(samples)
    people = read_samples(table)
    kind, names = endpoint_of(list(people.frame.columns), people.source, endpoint)
    edges = tuple(time_edges) if time_edges is not None else edges_in_metadata([table])
    if kind.kind != "survival" and time_edges is not None:
        raise InputError(f"--time-edges is for survival, but the samples have the target of endpoint '{kind.kind}'")
    found = people.columns(names)
    judged = kind.from_columns(found, Options(edges))
    inputs, blanks = {table.source: table.sha256}, table.counted_blanks()
    belongs = None
    if slides is not None:
        belongs, listed = read_slides(slides)
        inputs[str(slides)], blanks = listed.sha256, blanks | listed.counted_blanks()
        known = set(people.ids.tolist())
        hint = people.hint([name for name in belongs if name not in known])
        if not set(belongs) & known:
            raise InputError(f"{slides}: none of its {len(belongs)} samples is in {people.source}{hint}")
        if hint:
            raise InputError(f"{slides}: a sample is spelled otherwise in {people.source}{hint}")
    return People(people, judged, targets_of(judged, judged.truth(found)), inputs, belongs, blanks)


def read_slides(path: Path) -> tuple[dict[str, tuple[str, ...]], Table]:
    """Reads a slide table.

    Returns:
        The slides of each sample, sorted, and the table.

    Raises:
        InputError: Columns or cells are missing, or a slide belongs to two samples.
    """
    table = read_table(path)
    pair = next((pair for pair in PAIRS if set(pair) <= set(table.frame.columns)), None)
    if pair is None:
        raise InputError(f"{path} has no columns 'sample_id' and 'slide_id'; it has {', '.join(table.frame.columns)}")
    found: dict[str, set[str]] = {}
    owner: dict[str, str] = {}
    for sample, slide in zip(text_column(table, pair[0]), text_column(table, pair[1]), strict=True):
        if sample is None or slide is None:
            raise InputError(f"{path}: a row lacks its '{pair[0] if sample is None else pair[1]}'")
        name = Path(slide).stem if pair[1] == "FILENAME" else slide
        if owner.setdefault(name, sample) != sample:
            raise InputError(f"{path}, column '{pair[1]}': '{name}' belongs to both '{owner[name]}' and '{sample}'")
        found.setdefault(sample, set()).add(name)
    check_spelling(table.source, pair[0], found)
    return {sample: tuple(sorted(names)) for sample, names in found.items()}, table


def join(people: People, folder: FeatureFolder, recipe: Recipe, strict: bool = False) -> Cohort:
    """Finds every sample's slides.

    Args:
        people: The samples.
        folder: One encoder's features.
        recipe: Says which head reads them, and how several slides are treated.
        strict: Refuse instead of leaving out.

    Raises:
        InputError: The head cannot read this granularity, nothing fits together, or ``strict`` and something is
            missing.
    """
    check_granularity(folder, recipe)
    ids = people.samples.ids.tolist()
    wanted = people.slides if people.slides is not None else {name: (name,) for name in ids}
    units, missing, absent = [], [], []
    broken = {one.name for one in folder.broken}
    for row, name in enumerate(ids):
        there = tuple(slide for slide in wanted.get(name, ()) if slide in folder.slides)
        absent += [s for s in wanted.get(name, ()) if s not in folder.slides and s not in broken]
        if not there:
            missing.append(name)
        elif recipe.several == "bag":
            units.append(Unit(row, there))
        else:
            units += [Unit(row, (slide,)) for slide in there]
    if not units:
        first, other = next(iter(wanted.values()))[0], next(iter(folder.slides))
        hint = "" if people.slides is not None else "; a table sample_id,slide_id says which belong together (--slides)"
        raise InputError(f"no slide of {people.samples.source} has features in {folder.source}: "
                         f"'{first}' is wanted, '{other}' is there{hint}")  # fmt: skip
    owner = {slide: sample for sample, slides in wanted.items() for slide in slides}
    strangers = [slide for slide in folder.slides if slide not in owner]
    listed = set(ids)
    unlabelled = [slide for slide in folder.slides if slide in owner and owner[slide] not in listed]
    reasons = [
        ("feature file could not be used: " + why, names) for why, names in by_reason(folder).items()
    ] + [("slide without a feature file", absent), ("sample without any usable slide", missing),
         ("slide of a sample that is not in the samples table", unlabelled),
         ("feature file of no sample", strangers)]  # fmt: skip
    left_out = tuple({"reason": why, "n": len(names), "first": names[:SHOWN]} for why, names in reasons if names)
    left_out += tuple(notes_of(folder))
    if strict and left_out:
        one = left_out[0]
        raise InputError(f"{folder.source}: {one['reason']}: {', '.join(one['first'])} ({one['n']} in all)")
    return Cohort(people, folder, tuple(units), left_out)


def notes_of(folder: FeatureFolder) -> list[dict[str, Any]]:
    """What a bank of several encoders masks or drops."""
    return folder.notes() if isinstance(folder, FeatureBank) else []


def by_reason(folder: FeatureFolder) -> dict[str, list[str]]:
    """Files that could not be used, by reason."""
    found: dict[str, list[str]] = {}
    for one in folder.broken:
        found.setdefault(one.reason, []).append(one.name)
    return found


def check_granularity(folder: FeatureFolder, recipe: Recipe) -> None:
    """Refuses a head that pools tiles on single vectors, and a tile head on bags.

    Raises:
        InputError: Naming both.
    """
    if folder.granularity == "slide" and recipe.head in BAG_HEADS:
        raise InputError(
            f"{folder.source} holds one vector per sample, and the head '{recipe.head}' pools bags of tiles; "
            "choose tile_mlp or linear_probe"
        )
    if folder.granularity == "tile" and recipe.head == "tile_mlp":
        raise InputError(
            f"{folder.source} holds bags of tiles, and the head 'tile_mlp' reads one vector per sample; "
            f"choose {', '.join(BAG_HEADS)} or linear_probe"
        )
