"""Files of tools that hold no predictions, or that cannot be read safely: said, with a way out."""

from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.json import read_object
from pathfuse.study.formats.base import Format, Source

PICKLES = (".pkl", ".pickle", ".joblib")
"""Files that run code when they are opened."""


def find(path: Path) -> list[Source] | None:
    """See ``Format``.

    Raises:
        InputError: The file is one of those.
    """
    if path.is_dir():
        return None
    if path.suffix.lower() in PICKLES:
        raise InputError(
            f"{path}: a pickle can run code when it is opened, so it is not read; save the predictions as a table "
            "(in pandas: frame.to_csv), or from CLAM give the folder EVAL_<name> with its fold_<k>.csv"
        )
    if path.suffix.lower() == ".json" and "metrics" in read_object(path):
        raise InputError(
            f"{path} holds results of eva and no predictions of samples, which eva does not write; "
            "'pathfuse rank' reads such results, and eva's predictions need a callback of your own that writes them"
        )
    return None


REFUSED = Format(
    "refused",
    "pickles, which can run code, and results without predictions of samples",
    "docs/howto/from-other-tools.md",
    find,
    importable=False,
)
