"""The samples table: what is true, who belongs to whom, and which role each row has.

See docs/reference/tables.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pathfuse.endpoints.columns import Columns
from pathfuse.errors import InputError
from pathfuse.files.spelling import check_spelling, spelled_otherwise
from pathfuse.files.tables import Table, id_column, text_column
from pathfuse.study.barcodes import Torn, torn_cases
from pathfuse.types import Index

SECTIONS = ("section", "slide")
"""Columns that say which section of tissue a spot lies in."""
ROLES = ("fit", "test", "train")
FEWEST_BLANK, BLANK_SHARE = 10, 0.2
"""So many samples, and this share of all, must lack their patient, where others have one, before
that is a warning: a few are known to be of nobody."""


@dataclass(frozen=True)
class Samples:
    """Rows sorted by ``sample_id``, so that nothing depends on the order of a file."""

    source: str
    ids: np.ndarray
    """Text, unique, sorted."""
    patients: np.ndarray
    """Text."""
    roles: np.ndarray | None
    """``fit``, ``test`` or ``train``; None if folds are given instead, or nothing is."""
    folds: np.ndarray | None
    """Integer outer fold, or None."""
    frame: pl.DataFrame
    """The whole table, sorted alike."""
    has_patient: np.ndarray
    """Bool: whether the table names the row's patient; elsewhere a row stands for itself in
    ``patients``."""
    torn: Torn | None = None
    """Barcodes say that samples of several patients are of one; all of these have one role or fold."""

    @property
    def drawn(self) -> str:
        """What a bootstrap over ``patients`` draws, in words: ``patient``, or ``sample`` where none
        is named.
        """
        return "patient" if self.has_patient.any() else "sample"

    def counted(self, rows: Sequence[int]) -> dict[str, int]:
        """How many ``samples`` some rows are, and of how many ``patients`` where patients were
        given.
        """
        counts = {"samples": len(rows)}
        if self.has_patient.any():
            counts["patients"] = len(set(self.patients[list(rows)].tolist()))
        return counts

    @property
    def sections(self) -> np.ndarray | None:
        """Int, (sample,): the section or slide of each sample, inside its patient.

        From the column ``section``, else ``slide``; None without one, without patients, or where
        every sample is a section of its own.
        """
        column = next((name for name in SECTIONS if name in self.frame.columns), None)
        if column is None or not self.has_patient.all():
            return None
        names = self.frame[column].cast(pl.String).fill_null("").to_list()
        pairs = [f"{patient}\n{name}" for patient, name in zip(self.patients, names, strict=True)]
        found = np.unique(np.array(pairs, dtype=str), return_inverse=True)[1]
        return None if found.max(initial=-1) + 1 == len(found) else np.asarray(found)

    @property
    def warnings(self) -> list[str]:
        """What a run says of the table."""
        if self.torn is not None:
            return [f"{self.source}: {self.torn.warning}"]
        n, blank = len(self.ids), int((~self.has_patient).sum())
        if blank == n or blank < FEWEST_BLANK or blank < BLANK_SHARE * n:
            return []
        sentence = (
            f"{self.source}: {blank} of {n} samples have an empty cell for their patient, and each counts as a "
            "patient of its own, so that one patient may be in two roles; if an empty cell means the patient "
            "above it, write the patient into every row"
        )
        return [sentence]

    def check_whole(self, rows: Index) -> None:
        """Refuses samples of one case as several patients, before they are parted.

        Args:
            rows: Those that will be parted.

        Raises:
            InputError: Naming two of them, and how to say that they belong together.
        """
        torn = self.torn and torn_cases(
            self.ids[rows].tolist(), self.patients[rows].tolist(), None, self.torn.listed
        )
        if torn is not None:
            raise InputError(f"{self.source}: {torn.trouble}")

    def hint(self, unknown: list[str], own: list[str]) -> str:
        """How the table spells one of some identifiers that it does not hold.

        Empty if none of them.

        Args:
            unknown: The identifiers.
            own: All of the table that has them.
        """
        return spelled_otherwise(unknown, own, self.ids.tolist())

    def columns(self, names: list[str]) -> Columns:
        """Some columns as text."""
        table = Table(self.source, self.frame)
        values = {name: np.array(text_column(table, name), dtype=object) for name in names}
        return Columns(self.source, self.ids.tolist(), values)


@dataclass(frozen=True)
class Partition:
    """One fit and what it is judged on."""

    name: str
    """Empty for a ``split``; the fold's number otherwise."""
    fit: Index
    judged: Index


def read_samples(table: Table) -> Samples:
    """Checks and sorts a samples table.

    Raises:
        InputError: Identifiers are not unique, a role or fold is unknown, a patient has two roles,
            or a name has two spellings.
    """
    ids = np.array(id_column(table), dtype=object)
    order = np.argsort(ids.astype(str), kind="stable")
    sorted_table = Table(table.source, table.frame[order.tolist()])
    ids = ids[order]
    patients, has_patient = ids.copy(), np.zeros(len(ids), dtype=bool)
    if "patient_id" in table.frame.columns:
        given = np.array(text_column(sorted_table, "patient_id"), dtype=object)
        has_patient = given != None  # noqa: E711 - element by element
        patients = np.where(has_patient, given, ids)
        check_spelling(table.source, "patient_id", patients.tolist())
    if "site" in table.frame.columns:
        check_spelling(table.source, "site", text_column(sorted_table, "site"))
    roles = _roles(sorted_table, ids) if "split" in table.frame.columns else None
    folds = _folds(sorted_table, ids) if "fold" in table.frame.columns else None
    if roles is not None and folds is not None:
        raise InputError(
            f"{table.source} has both a column 'split' and a column 'fold'; give one of them"
        )
    for column, part in (("split", roles), ("fold", folds)):
        if part is not None:
            _check_patients(table.source, column, patients, part)
    parts = (
        roles.tolist()
        if roles is not None
        else [f"fold {k}" for k in folds.tolist()]
        if folds is not None
        else None
    )
    torn = torn_cases(ids.tolist(), patients.tolist(), parts, "patient_id" in table.frame.columns)
    if torn is not None and torn.parts is not None:
        raise InputError(f"{table.source}: {torn.trouble}")
    return Samples(table.source, ids, patients, roles, folds, sorted_table.frame, has_patient, torn)


def _roles(table: Table, ids: np.ndarray) -> np.ndarray:
    roles = np.array(text_column(table, "split"), dtype=object)
    for row, role in enumerate(roles):
        if role not in ROLES:
            shown = "empty" if role is None else f"'{role}'"
            raise InputError(
                f"{table.source}, column 'split', sample '{ids[row]}': the role is {shown}; "
                "it must be fit, test or train"
            )
    return roles


def _folds(table: Table, ids: np.ndarray) -> np.ndarray:
    folds = np.empty(len(ids), dtype=np.int64)
    for row, text in enumerate(text_column(table, "fold")):
        try:
            number = float(text or "")
            folds[row] = int(number)
            whole = folds[row] == number
        except (ValueError, OverflowError):
            whole = False
        if not whole:
            raise InputError(
                f"{table.source}, column 'fold', sample '{ids[row]}': '{text or ''}' must be a whole number"
            )
    if len(np.unique(folds)) < 2:
        raise InputError(
            f"{table.source}, column 'fold': there is one fold only; at least two are needed"
        )
    return folds


def _check_patients(source: str, column: str, patients: np.ndarray, part: np.ndarray) -> None:
    seen: dict[str, str] = {}
    for patient, role in zip(patients, part, strict=True):
        first = seen.setdefault(patient, role)
        if first != role:
            raise InputError(
                f"{source}, column '{column}': patient '{patient}' is in both {column} '{min(first, role)}' "
                f"and '{max(first, role)}'; a patient must stay in one"
            )


def partitions(samples: Samples, allow_in_sample: bool = False) -> list[Partition]:
    """Which rows a fusion is fitted on and which it is judged on.

    Args:
        samples: The samples table.
        allow_in_sample: Fit on ``train`` rows as well.

    Raises:
        InputError: There is nothing to fit on or nothing to evaluate.
    """
    if samples.folds is not None:
        return [
            Partition(
                str(k), np.flatnonzero(samples.folds != k), np.flatnonzero(samples.folds == k)
            )
            for k in np.unique(samples.folds)
        ]
    if samples.roles is None:
        raise InputError(f"{samples.source} has neither a column 'split' nor a column 'fold'")
    wanted = ("fit", "train") if allow_in_sample else ("fit",)
    fit, judged = (
        np.flatnonzero(np.isin(samples.roles, wanted)),
        np.flatnonzero(samples.roles == "test"),
    )
    if not len(fit):
        trained = int((samples.roles == "train").sum())
        hint = (
            f"; its {trained} 'train' rows were seen by the experts and are used only with --allow-in-sample"
            if trained
            else ""
        )
        raise InputError(f"{samples.source}, column 'split': no row has the role 'fit'{hint}")
    if not len(judged):
        raise InputError(f"{samples.source}, column 'split': no row has the role 'test'")
    return [Partition("", fit, judged)]
