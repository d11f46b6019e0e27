"""Which slides belong to which sample, and what had to be left out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pathfuse.endpoints.base import Endpoint, Options
from pathfuse.errors import InputError
from pathfuse.experts.heads.registry import HEADS
from pathfuse.experts.recipe import TrainingRecipe
from pathfuse.experts.slide_names import (
    check_rows_are_samples,
    check_spelled_alike,
    in_words,
    slides_by_pattern,
    with_option,
)
from pathfuse.experts.slide_table import of_only_samples, owned, read_slides
from pathfuse.experts.targets.table import Targets, targets_of
from pathfuse.features.bank import FeatureBank
from pathfuse.features.folder import FeatureFolder
from pathfuse.files.names import pattern_of
from pathfuse.study.fields import PATIENT
from pathfuse.study.intake import samples_table, take_in
from pathfuse.study.left_out import SHOWN
from pathfuse.study.reading import DEFAULT, Reading
from pathfuse.study.samples import Samples, read_samples
from pathfuse.study.study import edges_in_metadata

NO_FILE = "slide without a feature file"


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
    left_out: tuple[dict[str, Any], ...] = ()
    """Rows of the table that are not taken, a line of the manifest for each reason."""
    notes: tuple[str, ...] = ()
    """How the samples table was understood, a sentence each."""
    without: frozenset[str] = frozenset()
    """Names of the rows that are not taken."""
    pattern: str | None = None
    """What finds the name of a sample in that of a feature file; None: they are the same."""


@dataclass(frozen=True)
class Cohort:
    """Samples, their features, and what was left out or masked."""

    people: People
    folder: FeatureFolder
    units: tuple[Unit, ...]
    """Sorted by sample, then slide."""
    left_out: tuple[dict[str, Any], ...]
    """Lines of the manifest: reason, how many, the first of them, and the samples and patients that
    are touched."""
    warnings: tuple[str, ...] = ()

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


def read_people(
    samples: Path,
    slides: Path | None,
    endpoint: str | None,
    time_edges: Sequence[float] | None,
    reading: Reading = DEFAULT,
    names: Reading | None = None,
) -> People:
    """Reads the samples table and the slide table.

    Args:
        samples: The table with the truth.
        slides: The table that says which slides are of which sample; None: they have one name.
        endpoint: Name of the endpoint, if the table has targets of several.
        time_edges: Survival: bin edges.
        reading: How the samples table is understood.
        names: How names of feature files and of the slide table are shortened, where those of the
            samples are short already; None: as ``reading`` says.

    Raises:
        InputError: A table is wrong; see ``read_samples``.
    """
    table, names = samples_table(samples, reading), reading if names is None else names
    intake = take_in(table, endpoint, reading)
    people, kind = read_samples(intake.table), intake.kind
    edges = tuple(time_edges) if time_edges is not None else edges_in_metadata([table])
    if not kind.in_time and time_edges is not None:
        raise InputError(
            f"--time-edges is for survival, but the samples have the target of endpoint '{kind.kind}'"
        )
    found = people.columns(intake.targets)
    judged = kind.from_columns(found, Options(edges))
    inputs, blanks = {table.source: table.sha256}, table.counted_blanks()
    belongs = None
    if slides is not None:
        belongs, listed = read_slides(slides, names)
        inputs[str(slides)], blanks = listed.sha256, blanks | listed.counted_blanks()
        if owned(listed)[1] == PATIENT.column:
            belongs = of_only_samples(belongs, people, str(slides))
        known = set(people.ids.tolist())
        hint = people.hint([name for name in belongs if name not in known], list(belongs))
        if not set(belongs) & known:
            raise InputError(
                f"{slides}: none of its {len(belongs)} samples is in {people.source}{hint}"
            )
        if hint:
            raise InputError(f"{slides}: a sample is spelled otherwise in {people.source}{hint}")
    targets = targets_of(judged, judged.truth(found))
    return People(
        people,
        judged,
        targets,
        inputs,
        belongs,
        blanks,
        intake.left_out,
        intake.notes,
        intake.without,
        pattern_of(names.id_pattern, names.id_length),
    )


def slides_of(people: People) -> list[tuple[str, ...]]:
    """The slides of every sample, in the order of the samples table.

    None where the slide table has none.
    """
    ids = people.samples.ids.tolist()
    return (
        [(name,) for name in ids]
        if people.slides is None
        else [people.slides.get(name, ()) for name in ids]
    )


def join(
    people: People, folder: FeatureFolder, recipe: TrainingRecipe, strict: bool = False
) -> Cohort:
    """Finds every sample's slides.

    Args:
        people: The samples.
        folder: One encoder's features.
        recipe: Says which head reads them, and how several slides are treated.
        strict: Refuse instead of leaving out.

    Raises:
        InputError: The head cannot read this granularity, nothing fits together, or ``strict`` and
            something is missing.
    """
    check_granularity(folder, recipe)
    ids = people.samples.ids.tolist()
    given = people.slides
    people = people if given is not None else _with_file_names(people, folder)
    wanted = slides_of(people)
    called = [one for slides in wanted for one in slides]
    others = people.without if given is None else ()
    check_spelled_alike(people.samples.source, called, folder, others)
    units: list[Unit] = []
    for row, slides in enumerate(wanted):
        there = tuple(slide for slide in slides if slide in folder.slides)
        if recipe.several == "bag":
            units += [Unit(row, there)] if there else []
        else:
            units += [Unit(row, (slide,)) for slide in there]
    if not units:
        first, other = called[0], next(iter(folder.slides))
        hint = ""
        if given is None:
            hint = "" if people.pattern is not None else with_option(ids, folder)
            hint = hint or "; a table sample_id,slide_id says which belong together (--slides)"
        raise InputError(f"no slide of {people.samples.source} has features in {folder.source}: "
                         f"'{first}' is wanted, '{other}' is there{hint}")  # fmt: skip
    left_out = (*people.left_out, *_left_out(people, folder, units))
    if strict and left_out:
        one = left_out[0]
        raise InputError(
            f"{folder.source}: {one['reason']}: {', '.join(one['first'])} ({one['n']} in all)"
        )
    return Cohort(people, folder, tuple(units), left_out)


def _with_file_names(people: People, folder: FeatureFolder) -> People:
    """Samples without a slide table, with their slides as the folder calls them.

    Raises:
        InputError: The names in the folder are of patients, or encoders name slides differently.
    """
    check_rows_are_samples(people.samples, folder)
    if people.pattern is None:
        return people
    slides = slides_by_pattern(people.samples.ids.tolist(), folder, people.pattern)
    silent = slides_by_pattern(sorted(people.without), folder, people.pattern)
    return replace(
        people,
        slides=slides,
        notes=(*people.notes, *in_words(slides, folder)),
        without=people.without.union(*silent.values()),
    )


def _left_out(people: People, folder: FeatureFolder, units: Sequence[Unit]) -> list[dict[str, Any]]:
    """What is missing, broken, left over, masked or dropped."""
    ids, of_row = people.samples.ids.tolist(), slides_of(people)
    having, broken = {unit.sample for unit in units}, {one.name for one in folder.broken}
    absent = [s for slides in of_row for s in slides if s not in folder.slides and s not in broken]
    without = [row for row in range(len(ids)) if row not in having]
    wanted = people.slides if people.slides is not None else {name: (name,) for name in ids}
    owner = {slide: sample for sample, slides in wanted.items() for slide in slides}
    listed, there = set(ids), folder.slides
    reasons = [
        *(
            ("feature file could not be used: " + why, names)
            for why, names in by_reason(folder).items()
        ),
        (NO_FILE, absent),
    ]
    found = [gap(people, why, len(names), names) for why, names in reasons if names]
    if without:
        found.append(
            line(
                people,
                "sample without any usable slide",
                len(without),
                [ids[k] for k in without],
                without,
            )
        )
    rest = [
        ("slide of a sample that is not in the samples table",
         [slide for slide in there if slide in owner and owner[slide] not in listed]),
        ("feature file of no sample", [slide for slide in there if slide not in owner and slide not in people.without]),
    ]  # fmt: skip
    found += [gap(people, why, len(names), names) for why, names in rest if names]
    masks = folder.gaps() if isinstance(folder, FeatureBank) else {}
    return found + [gap(people, why, n, slides) for why, (n, slides) in masks.items()]


def gap(people: People, reason: str, n: int, slides: Sequence[str]) -> dict[str, Any]:
    """One line of ``left_out``.

    Args:
        people: The samples.
        reason: In words.
        n: How many slides or tiles.
        slides: The slides that it is about.

    Returns:
        ``reason``, ``n``, ``first`` (slides), and how many ``samples`` and ``patients`` of the
        table it touches.
    """
    touched = set(slides)
    rows = [row for row, own in enumerate(slides_of(people)) if not touched.isdisjoint(own)]
    return line(people, reason, n, slides, rows)


def line(
    people: People, reason: str, n: int, names: Sequence[str], rows: Sequence[int]
) -> dict[str, Any]:
    """One line of ``left_out`` about rows of the samples table; see ``gap``."""
    return {"reason": reason, "n": n, "first": list(names[:SHOWN]), **people.samples.counted(rows)}


def notes_of(folder: FeatureFolder) -> list[dict[str, Any]]:
    """What a bank of several encoders masks or drops."""
    return folder.notes() if isinstance(folder, FeatureBank) else []


def by_reason(folder: FeatureFolder) -> dict[str, list[str]]:
    """Files that could not be used, by reason."""
    found: dict[str, list[str]] = {}
    for one in folder.broken:
        found.setdefault(one.reason, []).append(one.name)
    return found


def check_granularity(folder: FeatureFolder, recipe: TrainingRecipe) -> None:
    """Refuses a head that pools tiles on single vectors, and a tile head on bags.

    Raises:
        InputError: Naming both.
    """
    if folder.granularity in recipe.facts.granularities:
        return
    others = ", ".join(
        name
        for name, facts in HEADS.items()
        if folder.granularity in facts.granularities and not facts.fuses
    )
    there, wanted = (
        ("one vector per sample", "pools bags of tiles")
        if folder.granularity == "slide"
        else ("bags of tiles", "reads one vector per sample")
    )
    raise InputError(
        f"{folder.source} holds {there}, and the head '{recipe.head}' {wanted}; choose one of {others}"
    )
