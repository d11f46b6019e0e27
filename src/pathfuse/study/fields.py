"""What the columns of a samples table are called elsewhere."""

from collections.abc import Sequence

from pathfuse.files.fields import Field
from pathfuse.study.reading import Reading

ROLE_WORDS = {
    "fit": "fit", "val": "fit", "valid": "fit", "validation": "fit", "tune": "fit", "dev": "fit",
    "test": "test", "testing": "test",
    "train": "train", "training": "train",
}  # fmt: skip
"""Roles as tables have them. Rows that experts did not train on, and that are no test rows, are fit
rows."""

SAMPLE = Field(
    "sample_id",
    "sample",
    ("slide_id", "slide", "filename", "image_id", "image", "image_name", "wsi_id", "wsi", "slide_name",
     "file_name", "id"),
)  # fmt: skip
SLIDE = Field("slide_id", "slide", SAMPLE.others[1:-1])
"""Of a table that says which slides are of which sample."""
PATIENT = Field(
    "patient_id",
    "patient",
    ("case_id", "patient", "patientid", "submitter_id", "case_submitter_id", "bcr_patient_barcode",
     "patient_barcode", "case_barcode", "case", "subject_id", "subject", "participant_id"),
)  # fmt: skip
SPLIT = Field(
    "split", "split", ("role", "partition", "subset", "set", "phase"), frozenset(ROLE_WORDS)
)
FOLD = Field("fold", "fold", ("fold_id", "cv_fold", "kfold"))
SITE = Field("site", "site", ())
SAMPLES_FIELDS = (SAMPLE, PATIENT, SPLIT, FOLD, SITE)
PREDICTION_FIELDS = (SAMPLE, PATIENT)


def id_names(reading: Reading) -> frozenset[str]:
    """What a column of samples or patients may be called, in small letters."""
    chosen = [reading.columns.get(field.word) for field in PREDICTION_FIELDS]
    named = frozenset(name.lower() for name in chosen if name is not None)
    return named.union(*({field.column, *field.others} for field in PREDICTION_FIELDS))


def shared_with(reading: Reading, header: Sequence[str]) -> Reading:
    """What a person said, without names of columns of samples or patients that a table does not have.

    ``--columns sample=Slide`` is about the tables that have this column; the others are read as if
    it were not given.
    """
    lacking = {
        field.word
        for field in PREDICTION_FIELDS
        if field.word in reading.columns and reading.columns[field.word] not in header
    }
    if not lacking:
        return reading
    columns = {word: name for word, name in reading.columns.items() if word not in lacking}
    return reading.model_copy(update={"columns": columns})
