"""A slide table: which slides are of which sample, or of which patient."""

from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.fields import with_our_names
from pathfuse.files.names import bare_file_name, bare_names, pattern_of, shortened
from pathfuse.files.spelling import check_spelling, spelled_otherwise
from pathfuse.files.tables import Table, read_table, text_column
from pathfuse.study.fields import PATIENT, SAMPLE, SLIDE, id_names
from pathfuse.study.reading import DEFAULT, Reading
from pathfuse.study.samples import Samples


def read_slides(path: Path, reading: Reading = DEFAULT) -> tuple[dict[str, tuple[str, ...]], Table]:
    """Reads a slide table.

    Args:
        path: Where it is.
        reading: What a person said of the samples table; names of samples are shortened alike.

    Returns:
        The slides of each sample, sorted, and the table.

    Raises:
        InputError: Columns or cells are missing, or a slide belongs to two samples.
    """
    table = read_table(path, id_names(reading))
    columns, owner_column = owned(table)
    if owner_column is None or SLIDE.column not in columns.frame.columns:
        raise InputError(
            f"{path} has no columns 'sample_id' and 'slide_id'; it has {', '.join(table.frame.columns)}"
        )
    found: dict[str, set[str]] = {}
    owner: dict[str, str] = {}
    given: dict[str, str] = {}
    samples = bare_names(text_column(columns, owner_column))
    pattern = pattern_of(reading.id_pattern, reading.id_length)
    if pattern is not None:
        samples = shortened(table.source, owner_column, samples, pattern)
    for sample, slide in zip(samples, text_column(columns, SLIDE.column), strict=True):
        if sample is None or slide is None:
            lacking = owner_column if sample is None else SLIDE.column
            raise InputError(f"{path}: a row lacks its '{lacking}'")
        name = bare_file_name(slide)
        if given.setdefault(name, slide) != slide:
            raise InputError(
                f"{path}, column '{SLIDE.column}': '{given[name]}' and '{slide}' are one name but for the "
                "kind of file"
            )
        if owner.setdefault(name, sample) != sample:
            raise InputError(
                f"{path}, column '{SLIDE.column}': '{name}' belongs to both '{owner[name]}' and '{sample}'"
            )
        found.setdefault(sample, set()).add(name)
    check_spelling(table.source, owner_column, found)
    return {sample: tuple(sorted(names)) for sample, names in found.items()}, table


def owned(table: Table) -> tuple[Table, str | None]:
    """A slide table with our names for its columns, and the column that says whose a slide is."""
    columns, _ = with_our_names(table, (SLIDE, PATIENT), {})
    owners = (c for c in (SAMPLE.column, PATIENT.column) if c in columns.frame.columns)
    return columns, next(owners, None)


def of_only_samples(
    belongs: dict[str, tuple[str, ...]], samples: Samples, source: str
) -> dict[str, tuple[str, ...]]:
    """Slides of patients as those of the one sample that each patient has.

    Raises:
        InputError: A patient has several samples, and nothing says which of them a slide is of.
    """
    own: dict[str, list[str]] = {}
    for sample, patient in zip(samples.ids.tolist(), samples.patients.tolist(), strict=True):
        own.setdefault(patient, []).append(sample)
    unknown = [one for one in belongs if one not in own]
    if hint := spelled_otherwise(unknown, belongs, own):
        raise InputError(f"{source}: a patient is spelled otherwise in {samples.source}{hint}")
    if len(unknown) == len(belongs):
        return belongs
    several = next((one for one in belongs if len(own.get(one, ())) > 1), None)
    if several is not None:
        raise InputError(
            f"{source} says which patient a slide is of, and the patient '{several}' has several samples in "
            f"{samples.source} ('{own[several][0]}', '{own[several][1]}'): say which sample a slide is of, in columns "
            "sample_id and slide_id"
        )
    return {own.get(one, [one])[0]: slides for one, slides in belongs.items()}
