"""What feature files are called, and what the samples call their slides: the same, or a refusal."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import polars as pl

from pathfuse.errors import InputError
from pathfuse.features.bank import FeatureBank
from pathfuse.features.folder import FeatureFolder
from pathfuse.files.names import ID_PATTERNS, counted_otherwise
from pathfuse.files.spelling import spelled_otherwise
from pathfuse.study.patients import Meeting
from pathfuse.study.samples import Samples


def names_in(folder: FeatureFolder) -> list[str]:
    """All slides of a folder, also those whose files cannot be used."""
    return [*folder.slides, *(one.name for one in folder.broken)]


def slides_by_pattern(
    ids: Sequence[str], folder: FeatureFolder, pattern: str
) -> dict[str, tuple[str, ...]]:
    """The slides of each sample: those in whose names a pattern finds the sample.

    A sample that it finds in none keeps its own name as its slide's. A file that the pattern does
    not fit is of the sample that is called like it.

    Args:
        ids: Samples, whose names are what the pattern finds already.
        folder: The features.
        pattern: A regular expression with a group.

    Raises:
        InputError: Encoders of a bank call the slides of one sample differently, so that they would
            not be joined.
    """
    found: dict[str, list[str]] = {}
    for name, part in _parts(names_in(folder), pattern):
        found.setdefault(part, []).append(name)
    if isinstance(folder, FeatureBank):
        _check_encoders(folder, pattern)
    return {one: tuple(sorted(found.get(one, [one]))) for one in ids}


def in_words(slides: Mapping[str, Sequence[str]], folder: FeatureFolder) -> tuple[str, ...]:
    """That names of files were shortened, and how many samples have several slides by it."""
    there = set(names_in(folder))
    longer = [(one, own[0]) for one, own in slides.items() if own[0] in there and own != (one,)]
    if not longer:
        return ()
    several = sum(len(own) > 1 for own in slides.values())
    more = f"; samples with several slides: {several}" if several else ""
    note = (
        f"{folder.source}: names of slides are shortened as those of samples are: '{longer[0][1]}' is of the sample "
        f"'{longer[0][0]}'{more}"
    )
    return (note,)


def _parts(names: Sequence[str], pattern: str) -> Iterable[tuple[str, str]]:
    """Names with what a pattern finds in each; a name that it does not fit stays whole."""
    series = pl.Series(list(names), dtype=pl.String)
    return zip(names, series.str.extract(pattern).fill_null(series), strict=True)


def _check_encoders(bank: FeatureBank, pattern: str) -> None:
    by_encoder = {}
    for name, folder in bank.encoders.items():
        own: dict[str, set[str]] = {}
        for slide, part in _parts(names_in(folder), pattern):
            own.setdefault(part, set()).add(slide)
        by_encoder[name] = own
    for (one, slides), (other, theirs) in combinations(by_encoder.items(), 2):
        for part in sorted(set(slides) & set(theirs)):
            if not slides[part] & theirs[part]:
                raise InputError(
                    f"{bank.source}: '{one}' calls a slide of '{part}' '{min(slides[part])}', and '{other}' calls it "
                    f"'{min(theirs[part])}'; encoders are joined by the names of their files: give them one name"
                )


def with_option(wanted: Sequence[str], folder: FeatureFolder) -> str:
    """The option that would let files and samples meet, with how many samples; empty if none.

    The finest comes first, so that slides of one case are told apart where the samples do so.
    """
    for option in ("tcga-slide", *ID_PATTERNS):
        there = {
            part for name, part in _parts(names_in(folder), ID_PATTERNS[option]) if part != name
        }
        n = len(there & set(wanted))
        if n:
            return f"; {n} of {len(wanted)} would have features with --id-pattern {option}"
    return ""


def check_spelled_alike(
    source: str, wanted: Iterable[str], folder: FeatureFolder, unused: Iterable[str] = ()
) -> None:
    """Refuses features whose names differ from those of the slides in a way that no person means.

    Args:
        source: The table that names the slides.
        wanted: Slides of the samples.
        folder: The features.
        unused: Further slides that the table names.

    Raises:
        InputError: A slide without a feature file is spelled otherwise there, or one side counts
            from 0 and the other from 1.
    """
    slides, there = list(dict.fromkeys(wanted)), names_in(folder)
    absent = sorted(set(slides) - set(there))
    if not absent or set(there) <= set(slides):
        return
    if hint := spelled_otherwise(absent, slides, there):
        raise InputError(
            f"{folder.source}: no features are called '{absent[0]}' as in {source}{hint}"
        )
    shift = counted_otherwise(there, [*slides, *unused])
    if shift is not None:
        raise InputError(
            f"{folder.source}: its slides are numbered {shift[0]}, and those of {source} {shift[1]}, so that each "
            "slide would get the features of the one next to it; count both from the same number"
        )


def check_rows_are_samples(samples: Samples, folder: FeatureFolder) -> None:
    """Refuses vectors of patients whose names are those of samples of other patients.

    Raises:
        InputError: Naming such a patient.
    """
    encoders = folder.encoders.values() if isinstance(folder, FeatureBank) else [folder]
    for one in encoders:
        if one.store.rows_are != "patient":
            continue
        met = Meeting.of(names_in(one), samples)
        if met.torn is not None:
            raise InputError(
                f"{met.in_words(one.source, samples.source)}; features are joined to samples: if its rows are samples, "
                "call their column sample_id; if they are patients, write one row for each of their samples"
            )
