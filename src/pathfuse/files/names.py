"""Names of slides, patients and images as files have them, and what of a name identifies.

Two sides that name the same slide are joined by ``bare_names``: without blanks and without the
suffixes of known kinds of file, on both sides. A name is never cut at a dot that begins no such
suffix, since slides are called ``S20-100.1`` and ``S20-100.2``.
"""

import re
from collections.abc import Sequence

import polars as pl

from pathfuse.errors import InputError

FILE_SUFFIXES = (
    "h5", "hdf5", "pt", "pth", "npy", "npz", "zarr", "h5ad", "safetensors", "parquet",
    "svs", "ndpi", "ndpis", "mrxs", "scn", "bif", "vms", "vmu", "svslide", "qptiff", "czi", "dcm",
    "isyntax", "tif", "tiff", "ome", "png", "jpg", "jpeg", "bmp", "webp", "nii", "gz",
)  # fmt: skip
"""Of feature files, slides and images. ``.ome`` and ``.gz`` stand in front of or behind others."""
_SUFFIXES = rf"(?i)(?:\.(?:{'|'.join(FILE_SUFFIXES)}))+$"

ID_PATTERNS = {
    "tcga-case": r"(?i)^(TCGA-[0-9A-Z]{2}-[0-9A-Z]{4})(?:[^0-9A-Z]|$)",
    "tcga-slide": r"(?i)^(TCGA-[0-9A-Z]{2}-[0-9A-Z]{4}-[0-9]{2}[A-Z]?(?:-[0-9]{2}[A-Z]?)?-(?:DX|[TBM]S)[0-9A-Z]+)"
    r"(?:[^0-9A-Z]|$)",
    "cptac-case": r"(?i)^(C3[LN]-[0-9]{5})(?:[^0-9A-Z]|$)",
}
"""Regular expressions that have a name; the first group is what identifies."""
CASE_PATTERNS = ("tcga-case", "cptac-case")
"""Those that find a case."""
LAST_PART = r"([^/\\]+)$"
"""The name of a file in a path, whichever system wrote it."""


def bare_name(name: str) -> str:
    """A name without the suffixes of known kinds of file.

    Examples:
        >>> bare_name("TCGA-A1-A0SB-01Z-00-DX1.B34C.svs"), bare_name("S20-100.1"), bare_name("a.svs.h5")
        ('TCGA-A1-A0SB-01Z-00-DX1.B34C', 'S20-100.1', 'a')
    """
    return re.sub(_SUFFIXES, "", name) or name


def bare_file_name(path: str) -> str:
    """The same of a path: its last part, whichever system wrote it."""
    return bare_name(re.split(r"[/\\]", path.rstrip("/\\"))[-1])


def bare_names(names: Sequence[str | None]) -> list[str | None]:
    """``bare_name`` of each; None stays None."""
    return without_suffixes(pl.Series(list(names), dtype=pl.String)).to_list()


def without_suffixes(names: pl.Series) -> pl.Series:
    """The same of a column of text."""
    if not names.str.contains(".", literal=True).any():
        return names
    bare = names.str.replace(_SUFFIXES, "")
    return pl.select(pl.when(bare == "").then(names).otherwise(bare).alias(names.name)).to_series()


def pattern_of(id_pattern: str | None, id_length: int | None) -> str | None:
    """The regular expression that two options stand for; None where neither is given.

    Raises:
        InputError: Both are given, or the pattern is neither a name nor a regular expression with
            one group.
    """
    if id_pattern is None and id_length is None:
        return None
    if id_pattern is None:
        return rf"^(.{{1,{id_length}}})"
    if id_length is not None:
        raise InputError("--id-pattern and --id-length both shorten names; give one of them")
    if id_pattern in ID_PATTERNS:
        return ID_PATTERNS[id_pattern]
    try:
        groups = re.compile(id_pattern).groups
        pl.Series(["a"]).str.extract(id_pattern)
    except (re.error, pl.exceptions.PolarsError):
        groups = 0
    if groups < 1:
        raise InputError(
            f"--id-pattern '{id_pattern}' is neither {', '.join(ID_PATTERNS)} nor a regular expression "
            "with a group, such as '^(P[0-9]+)_'"
        )
    return id_pattern


def shortened(
    source: str, column: str, names: Sequence[str | None], pattern: str
) -> list[str | None]:
    """What a pattern finds in each name.

    Raises:
        InputError: It finds nothing in one of them.
    """
    series = pl.Series(list(names), dtype=pl.String)
    found = series.str.extract(pattern)
    missed = (found.is_null() & series.is_not_null()).arg_true()
    if len(missed):
        raise InputError(
            f"{source}, column '{column}': '{series[int(missed[0])]}' does not fit the pattern of "
            "--id-pattern"
        )
    return found.to_list()


def would_match(unknown: Sequence[str], known: Sequence[str]) -> str:
    """What would let names match that do not, with how many; empty if nothing would.

    Only what keeps all names of each side distinct is proposed, and never what takes two slides of
    one case for one.

    Args:
        unknown: Names of predictions.
        known: Names of samples.
    """
    ours, theirs = (pl.Series(list(names), dtype=pl.String).unique() for names in (unknown, known))
    option = "would match with --id-pattern"
    if n := _n_matching(ours, theirs, ID_PATTERNS["tcga-slide"]):
        return f"; {n} of {len(ours)} {option} tcga-slide"
    for name in CASE_PATTERNS:
        pattern = ID_PATTERNS[name]
        of_ours, of_theirs = ours.str.extract(pattern), theirs.str.extract(pattern)
        shared = set(of_ours.drop_nulls()) & set(of_theirs.drop_nulls())
        if not shared:
            continue
        if (of_theirs == theirs).all() and of_ours.drop_nulls().is_duplicated().any():
            return (
                "; the predictions are of slides, several of a case, and the samples are cases: give a samples "
                "table with one row per slide (patient_id, slide_id)"
            )
        if (of_ours == ours).all() and of_theirs.drop_nulls().is_duplicated().any():
            return (
                "; the predictions are of cases and the samples are slides, several of a case: add a column "
                "patient_id to the samples, and say --unit patient"
            )
        if (of_ours == ours).all() or (of_theirs == theirs).all():
            n = _n_matching(ours, theirs, pattern)
            return f"; {n} of {len(ours)} {option} {name}" if n else ""
    n = _n_matching(ours, theirs, LAST_PART)
    return (
        f"; {n} of {len(ours)} would match without folders: --id-pattern '{LAST_PART}'" if n else ""
    )


def _n_matching(ours: pl.Series, theirs: pl.Series, pattern: str) -> int:
    """How many of our names a pattern lets match; 0 unless it fits all names and keeps them distinct."""
    one, other = ours.str.extract(pattern), theirs.str.extract(pattern)
    if any(side.null_count() or side.is_duplicated().any() for side in (one, other)):
        return 0
    return len(set(one) & set(other))


DENSE = 0.8
"""Share of the numbers between the first and the last that must be there for a side to be counted
through."""


def counted_otherwise(names: Sequence[str], others: Sequence[str]) -> tuple[str, str] | None:
    """How two sides count the same rows, if one begins at 0 and the other at 1; None else.

    Rows that are numbered from 0 and from 1 meet by name, and each meets its neighbour. All names
    may have one beginning; a few numbers may be lacking. Where the count from 1 does not reach further
    than that from 0, it merely lacks the first row.

    Examples:
        >>> counted_otherwise(["0", "1", "2"], ["1", "2", "3"])
        ('0 to 2', '1 to 3')
        >>> counted_otherwise(["img_0", "img_1"], ["img_1", "img_2"])
        ('img_0 to img_1', 'img_1 to img_2')
        >>> counted_otherwise(["0", "1", "2"], ["1", "2"])
        >>> counted_otherwise(["0", "1", "2"], ["0", "1", "2"])
        >>> counted_otherwise(["2", "3", "4"], ["1", "2", "3"])
    """
    one, other = _counted(names), _counted(others)
    if one is None or other is None or one[0] == other[0] or one[1] != other[1]:
        return None
    from_0, from_1 = (one, other) if one[0] == 0 else (other, one)
    return (one[2], other[2]) if from_1[3] > from_0[3] else None


def _counted(side: Sequence[str]) -> tuple[int, str, str, int] | None:
    """The first number of names that count from 0 or 1, their beginning, both ends in words, and the
    last number.
    """
    names = pl.Series(list(side), dtype=pl.String).unique(maintain_order=True)
    if len(names) < 2:
        return None
    beginning = str(names[0]).rstrip("0123456789")
    digits = names.str.strip_prefix(beginning)
    if not (names.str.starts_with(beginning) & digits.str.contains("^[0-9]{1,18}$")).all():
        return None
    table = pl.DataFrame({"name": names, "number": digits.cast(pl.Int64)}).unique(
        "number", keep="first", maintain_order=True
    )
    first, last = (table.sort("number").row(row) for row in (0, -1))
    if len(table) < 2 or first[1] > 1 or len(table) < DENSE * (last[1] - first[1] + 1):
        return None
    return first[1], beginning, f"{first[0]} to {last[0]}", last[1]


CHANNEL = "_0000"
"""What nnU-Net writes behind the name of an image's first channel, and of nothing else."""


def channel_twin(name: str) -> str:
    """The other name under which nnU-Net knows the same image.

    Examples:
        >>> channel_twin("case_7"), channel_twin("case_7_0000")
        ('case_7_0000', 'case_7')
    """
    return name.removesuffix(CHANNEL) if name.endswith(CHANNEL) else name + CHANNEL
