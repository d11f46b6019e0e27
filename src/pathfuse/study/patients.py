"""An expert that speaks of patients, in a study whose samples are their slides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from pathfuse.errors import InputError
from pathfuse.files.spelling import spelled_otherwise
from pathfuse.files.tables import Table, text_column
from pathfuse.study.fields import PATIENT
from pathfuse.study.identify import EACH_IS_ONE, RowKind
from pathfuse.study.predictions import PredictionTable
from pathfuse.study.samples import Samples

SLIDES_NEEDED = (
    "the predictions are of slides and the samples are their patients: give a samples table with one row per slide "
    "(patient_id, slide_id)"
)


@dataclass(frozen=True)
class Meeting:
    """Which names of a table the samples table has, among its samples and among its patients."""

    names: list[str]
    as_samples: frozenset[str]
    as_patients: frozenset[str]
    torn: tuple[str, str] | None
    """A name that is a patient, and also a sample of another patient; and that patient."""

    @classmethod
    def of(cls, names: Sequence[str], samples: Samples) -> "Meeting":
        """How some names meet the samples table."""
        owner = dict(zip(samples.ids.tolist(), samples.patients.tolist(), strict=True))
        as_samples, as_patients = set(names) & set(owner), set(names) & set(owner.values())
        torn = next((n for n in sorted(as_samples & as_patients) if owner[n] != n), None)
        return cls(
            list(names),
            frozenset(as_samples),
            frozenset(as_patients),
            None if torn is None else (torn, owner[torn]),
        )

    def in_words(self, source: str, samples: str) -> str:
        """That the names could be of both."""
        n = len(self.names)
        shown = "" if self.torn is None else (
            f" ('{self.torn[0]}' is the name of a patient there, and also that of a sample of the patient "
            f"'{self.torn[1]}')"
        )  # fmt: skip
        return (
            f"{source}: its names could be samples or patients of {samples}: of {n}, {len(self.as_samples)} are "
            f"samples there and {len(self.as_patients)} are patients{shown}"
        )


def names_patients(table: Table, rows: RowKind | None, samples: Samples, unit: str) -> bool:
    """Whether the rows of a table are patients of a study.

    A column of patients says so wherever one of its names is a patient. Else the names decide, and
    where they could be both, the rows are samples only if a column of samples says so.

    Args:
        table: With ``sample_id``.
        rows: What its rows are by the name of its column.
        samples: Those of the study.
        unit: ``patient`` where experts may speak of patients.

    Raises:
        InputError: They could be both, and nothing decides.
    """
    if (samples.ids == samples.patients).all():
        return False
    names = [name for name in text_column(table, "sample_id") if name is not None]
    met = Meeting.of(names, samples)
    n_samples, n_patients = len(met.as_samples), len(met.as_patients)
    if not n_samples:
        # A name that has lost its zeros is a sample's, or it is a patient's by chance alone.
        lost = rows != "patient" and spelled_otherwise(names, names, samples.ids.tolist())
        return not lost and (n_patients > 0 or rows == "patient")
    if rows == "patient":
        if not n_patients:
            return bool(spelled_otherwise(names, names, samples.patients.tolist()))
        if met.torn is None or n_patients >= n_samples:
            return True
        way = (
            f"if its rows are patients, leave out those that {samples.source} has not; if they are samples, call their "
            "column sample_id"
        )
        raise InputError(f"{met.in_words(table.source, samples.source)}; {way}")
    if met.torn is None:
        return n_patients > n_samples
    sure = rows == "sample" or unit != "patient"
    if n_samples > n_patients or (sure and n_samples == n_patients):
        return False
    raise InputError(
        f"{met.in_words(table.source, samples.source)}; call their column sample_id if its rows are samples, or "
        "patient_id if they are patients"
    )


def one_sample_each(table: Table, samples: Samples) -> bool:
    """Whether each patient that a table names has one sample only."""
    ids = {name for name in text_column(table, "sample_id") if name is not None}
    found = [one for one in samples.patients.tolist() if one in ids]
    return len(found) == len(set(found))


def spread(expert: PredictionTable, samples: Samples) -> PredictionTable:
    """An expert of known patients, with a row for each sample of each patient."""
    own, table = _samples_of(samples), expert.table
    names = [name or "" for name in text_column(table, "sample_id")]
    lists = [own.get(name, [name]) for name in names]
    n = sum(len(own.get(name, ())) for name in names)
    frame = table.frame.with_columns(pl.Series("sample_id", lists)).explode("sample_id")
    note = f"{table.source}: its {len(names)} rows are patients; each speaks for the samples of its patient, {n} in all"
    notes = (*(one for one in table.notes if not one.endswith(EACH_IS_ONE)), note)
    table = replace(table, frame=frame, notes=notes)
    return replace(expert, table=table, folds=folds_by_sample(expert, samples))


def folds_by_sample(expert: PredictionTable, samples: Samples) -> dict[str, str]:
    """The fold of each sample whose patient an expert of patients has in one of its folds."""
    return {
        sample: expert.folds[patient]
        for patient, its_samples in _samples_of(samples).items()
        if patient in expert.folds
        for sample in its_samples
    }


def _samples_of(samples: Samples) -> dict[str, list[str]]:
    """Patients to their samples."""
    own: dict[str, list[str]] = {}
    for sample, patient in zip(samples.ids.tolist(), samples.patients.tolist(), strict=True):
        own.setdefault(patient, []).append(sample)
    return own


def with_patients_compared(table: Table, samples: Samples) -> Table:
    """A table of samples with a note where some are of another patient in the samples table.

    Rows are joined by sample, and the patients are those of the samples table. Names of patients
    that it does not have are not compared.

    Raises:
        InputError: The samples are the patients themselves, and a row is of another.
    """
    if PATIENT.column not in table.frame.columns:
        return table
    owner = dict(zip(samples.ids.tolist(), samples.patients.tolist(), strict=True))
    known = set(samples.patients[samples.has_patient].tolist())
    stated = zip(text_column(table, "sample_id"), text_column(table, PATIENT.column), strict=True)
    compared = [(s, p, owner[s]) for s, p in stated if s in owner and p in known]
    other = [(sample, patient, own) for sample, patient, own in compared if patient != own]
    if not other:
        return table
    sample, patient, own = other[0]
    if (samples.ids == samples.patients).all():
        raise InputError(
            f"{table.source}: its sample '{sample}' is of the patient '{patient}', but of the patient '{own}' in "
            f"{samples.source}; {SLIDES_NEEDED}"
        )
    note = (
        f"{table.source}: {len(other)} of {len(compared)} samples are of another patient than in {samples.source} "
        f"('{sample}' of '{patient}', there of '{own}'); rows are joined by sample, and the patients of "
        f"{samples.source} count"
    )
    return replace(table, notes=(*table.notes, note))
