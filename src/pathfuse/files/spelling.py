"""One name, one spelling: names that differ in a way that no person means are one name, written
twice.
"""

import re
from collections.abc import Iterable, Sequence

import polars as pl

from pathfuse.errors import InputError

BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff"
)
"""Every white space of Unicode, also non-breaking, and what has no width."""


_UNPADDED = (r"(^|[^0-9])0+([0-9])", "${1}${2}")
"""Takes the zeros in front of every number in a name."""


def bare(names: pl.Series) -> pl.Series:
    """Names without what no person means: case, width and composition of letters, ``.0`` and
    leading zeros.

    ``P1`` and ``p1`` become equal, and so do ``7``, ``007`` and ``7.0``.
    """
    if (names.str.len_bytes() != names.str.len_chars()).any():  # beyond ASCII
        names = names.str.normalize("NFKC")
    plain = names.str.to_lowercase()
    whole = plain.str.contains(r"^[0-9]+(\.0*)?$")
    if not whole.any():
        return plain
    number = plain.str.replace(r"\.0*$", "").str.replace(r"^0+([0-9])", "${1}")
    return pl.select(pl.when(whole).then(number).otherwise(plain)).to_series()


def two_spellings(names: Iterable[str | None]) -> tuple[str, str] | None:
    """The first name, in sorted order, that has another spelling in the list.

    Both, or None.
    """
    unique = pl.Series("name", list(names), dtype=pl.String).drop_nulls().unique()
    key = bare(unique)
    if key.n_unique() == len(unique):
        return None
    both = pl.DataFrame({"name": unique, "key": key}).sort("name")
    torn = both.filter(pl.col("key").is_duplicated())
    one, other = torn.filter(pl.col("key") == torn["key"][0])["name"].to_list()[:2]
    return one, other


def check_spelling(source: str, column: str, names: Iterable[str | None]) -> None:
    """Refuses a column that spells one name in two ways.

    Raises:
        InputError: Naming the column and both spellings.
    """
    pair = two_spellings(names)
    if pair is not None:
        raise InputError(
            f"{source}, column '{column}': '{pair[0]}' and '{pair[1]}' are two spellings of one name "
            f"(they differ by {difference(*pair)} only); write it in one way"
        )


def without_padding(names: pl.Series) -> pl.Series:
    """``bare`` names without leading zeros of the numbers inside them.

    ``P050`` and ``P50`` become equal, and so do ``BR-007_1`` and ``BR-7_01``.
    """
    return bare(names).str.replace_all(*_UNPADDED)


def difference(one: str, other: str) -> str:
    """In what two spellings of one name differ, in words.

    Examples:
        >>> difference("7", "007"), difference("7", "007.0"), difference("P1", "p1")
        ('leading zeros', "leading zeros and '.0'", 'letter case')
        >>> difference("P050", "P50"), difference("P050", "p50")
        ('leading zeros', 'letter case and leading zeros')
    """
    split = [re.fullmatch(r"(0*)([0-9]+?)(\.0*)?", name) for name in (one, other)]
    if split[0] is None or split[1] is None:
        zeros = bare(pl.Series([one, other])).n_unique() > 1
        if zeros:
            one, other = pl.Series([one, other]).str.replace_all(*_UNPADDED).to_list()
        letters = "letter case" if one.lower() == other.lower() else "the form of letters"
        parts = ["" if zeros and one == other else letters, "leading zeros" if zeros else ""]
        return " and ".join(part for part in parts if part)
    parts = [
        "leading zeros" if split[0][1] != split[1][1] else "",
        "'.0'" if split[0][3] != split[1][3] else "",
    ]
    return " and ".join(part for part in parts if part)


def respelled(names: Iterable[str], others: Iterable[str]) -> tuple[str, str] | None:
    """The first of some names that others spell otherwise, and their spelling of it.

    None if there is none.
    """
    own, pool = (
        pl.Series("own", list(names), dtype=pl.String),
        pl.Series("other", list(others), dtype=pl.String),
    )
    table = pl.DataFrame({"own": own, "key": bare(own), "n": range(len(own))})
    found = table.join(pl.DataFrame({"other": pool, "key": bare(pool)}), on="key").filter(
        pl.col("own") != pl.col("other")
    )
    return found.sort("n", "other").select("own", "other").row(0) if found.height else None


def padded(
    unknown: Iterable[str], own: Iterable[str], theirs: Iterable[str]
) -> tuple[str, str] | None:
    """The first of some names that others have with more or fewer zeros in front of a number.

    ``P1`` and ``P01`` of one side are two samples. Two sides mean the same only where neither has
    the spelling of the other, and no further name of theirs could be meant.

    Args:
        unknown: Names that the others do not have.
        own: All names of this side.
        theirs: All names of the other side.

    Returns:
        The name and their spelling of it; None if there is none.

    Examples:
        >>> padded(["P50"], ["P50", "P150"], ["P050", "P150"])
        ('P50', 'P050')
        >>> padded(["P050"], ["P50", "P050"], ["P50", "P0050"])
    """
    mine, pool = (
        pl.Series("name", list(names), dtype=pl.String).unique() for names in (own, theirs)
    )
    sides = [pl.DataFrame({"name": names, "key": without_padding(names)}) for names in (mine, pool)]
    alone = [side.filter(~pl.col("key").is_duplicated()) for side in sides]
    gone = pl.DataFrame({"name": pl.Series(list(unknown), dtype=pl.String)}).with_row_index("n")
    met = gone.join(alone[0], on="name").join(alone[1].rename({"name": "other"}), on="key")
    met = met.filter(pl.col("name") != pl.col("other")).sort("n")
    return met.select("name", "other").row(0) if met.height else None


def spelled_otherwise(unknown: Sequence[str], own: Iterable[str], theirs: Iterable[str]) -> str:
    """How the other side spells one of some names that it does not have, to follow a sentence.

    Empty if it has no other spelling of any; see ``respelled`` and ``padded``.
    """
    others = list(theirs)
    pair = respelled(unknown, others) or padded(unknown, own, others)
    if pair is None:
        return ""
    return (
        f"; it is '{pair[1]}' there that stands for '{pair[0]}' (they differ by {difference(*pair)} only): "
        "spell it in one way"
    )
