"""Barcodes of public collections: which samples are of one case, although no ``patient_id`` says
so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

END = "(?:[^0-9A-Za-z]|$)"


@dataclass(frozen=True)
class Barcode:
    """How one collection names its samples."""

    collection: str
    pattern: str
    """Regular expression of polars; its first group is the case. Case of letters does not matter."""
    where: str
    """Which part of the barcode is the case, in words."""


BARCODES = (
    Barcode("TCGA", f"^(TCGA-[0-9A-Z]{{2}}-[0-9A-Z]{{4}}){END}", "the first 12 characters"),
    Barcode("CPTAC", f"^(C3[LN]-[0-9]{{5}}){END}", "the first two parts between dashes"),
    Barcode(
        "CPTAC", f"^([0-9]{{2}}(?:BR|CO|LU|OV)[0-9]{{3}}){END}", "the part before the first dash"
    ),
    Barcode("GTEx", f"^(GTEX-[0-9A-Z]{{4,5}}){END}", "the first two parts between dashes"),
    Barcode(
        "TARGET", f"^(TARGET-[0-9]{{2}}-[0-9A-Z]{{6}}){END}", "the first three parts between dashes"
    ),
    Barcode("HCMI", f"^(HCM-[A-Z]{{4}}-[0-9]{{4}}){END}", "the first three parts between dashes"),
    Barcode(
        "HTAN", "^(HTA[0-9]{1,2}_[0-9]{1,4})(?:_|$)", "the first two parts between underscores"
    ),
    Barcode(
        "CAMELYON17", "^(patient_[0-9]{3})_node_[0-9]", "the first two parts between underscores"
    ),
)


def cases_of(names: pl.Series) -> pl.DataFrame:
    """The case in each name, in capitals, and the place of its barcode in ``BARCODES``.

    Null where there is none.
    """
    table = pl.DataFrame({"name": names})
    dashed = pl.col("name").str.replace_all(r"^(?i)(TCGA|C3L|C3N|GTEX|TARGET|HCM)[_.]", "${1}-")
    dashed = (
        pl.when(dashed != pl.col("name"))
        .then(pl.col("name").str.replace_all("[_.]", "-"))
        .otherwise(pl.col("name"))
    )
    found = [dashed.str.extract(f"(?i){one.pattern}").str.to_uppercase() for one in BARCODES]
    places = [pl.when(case.is_not_null()).then(pl.lit(k, pl.Int32)) for k, case in enumerate(found)]
    return table.select(case=pl.coalesce(found), barcode=pl.coalesce(places))


@dataclass(frozen=True)
class Torn:
    """Cases whose samples count as several patients."""

    n_cases: int
    n_samples: int
    ids: tuple[str, str]
    """Two samples of the first such case; of two parts, if any case has samples in two."""
    parts: tuple[str, str] | None
    """The parts of these two; None where no case has samples in two."""
    case: str
    barcode: Barcode
    listed: bool
    """Whether there is a column ``patient_id``."""

    @property
    def cure(self) -> str:
        """What to do."""
        do = (
            "write the case into the column patient_id of every sample"
            if self.listed
            else "add a column patient_id"
        )
        return f"{do}{'' if self.listed else ' with the case'}, such as {self.case} ({self.barcode.where})"

    @property
    def trouble(self) -> str:
        """Why they may not be parted."""
        one, two = self.ids
        first, second = ("", "") if self.parts is None else (f" ({p})" for p in self.parts)
        return (
            f"the samples '{one}'{first} and '{two}'{second} are of one {self.barcode.collection} case but count as "
            f"two patients; {self.cure}"
        )

    @property
    def warning(self) -> str:
        """What to bear in mind where they are not parted."""
        one, two = self.ids
        which = f"{self.n_cases} cases, the first" if self.n_cases > 1 else "one case,"
        return (
            f"{self.n_samples} samples are of {which} {self.case} ('{one}' and '{two}'), but each counts as a patient "
            f"of its own, so intervals are too narrow; {self.cure}"
        )


def torn_cases(
    ids: Sequence[str], patients: Sequence[str], parts: Sequence[str] | None, listed: bool
) -> Torn | None:
    """The cases whose samples count as several patients, according to barcodes.

    What a person wrote into ``patient_id`` is believed unless it is such a barcode itself.

    Args:
        ids: ``sample_id`` of each sample, sorted.
        patients: Whom each counts as: ``patient_id``, or the sample itself.
        parts: Role or fold of each; None without.
        listed: Whether there is a column ``patient_id``.
    """
    what = cases_of(pl.Series(ids, dtype=pl.String))
    who = cases_of(pl.Series(patients, dtype=pl.String)) if list(patients) != list(ids) else what
    if who["case"].null_count() == len(who) == what["case"].null_count():
        return None
    rows = pl.DataFrame(
        {"id": ids, "patient": patients, "part": parts if parts is not None else [""] * len(ids)}
    )
    rows = rows.with_columns(
        case=pl.coalesce(who["case"], what["case"]),
        barcode=pl.coalesce(who["barcode"], what["barcode"]),
        doubtful=(pl.col("patient") == pl.col("id")) | who["case"].is_not_null(),
    ).drop_nulls("case")
    differs = {name: pl.col(name).min() != pl.col(name).max() for name in ("patient", "part")}
    by_case = rows.group_by("case").agg(doubtful=pl.col("doubtful").any(), **differs)
    by_case = by_case.filter(pl.col("doubtful") & pl.col("patient"))
    torn = rows.join(by_case.select("case", apart="part"), on="case", maintain_order="left")
    if not torn.height:
        return None
    apart = torn.filter("apart")
    shown, differ = (apart, "part") if apart.height else (torn, "patient")
    one = shown.row(0, named=True)
    other = shown.filter((pl.col("case") == one["case"]) & (pl.col(differ) != one[differ])).row(
        0, named=True
    )
    return Torn(
        torn["case"].n_unique(),
        torn.height,
        (one["id"], other["id"]),
        (one["part"], other["part"]) if apart.height else None,
        one["case"],
        BARCODES[one["barcode"]],
        listed,
    )
