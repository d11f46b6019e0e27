"""Which files are tables: by the end of their names, and by the bytes that they begin with."""

import re
from pathlib import Path

from pathfuse.errors import InputError

TEXT = {".csv": ",", ".tsv": "\t", ".txt": ",\t"}
"""Files of text, and what may separate their columns without a note about it."""
PACKED = ".gz"
SUFFIXES = (*TEXT, *(suffix + PACKED for suffix in TEXT), ".parquet", ".xlsx")
"""Of all tables that are read, in the order in which they are listed."""
IN_WORDS = ".csv, .tsv or .txt (each also with .gz), .parquet or .xlsx"

_PICKLE = (
    "is a Python pickle, which can run any code when it is opened and is never read; in the program that "
    "wrote it, save the table as CSV, in Python with pandas.DataFrame(...).to_csv('table.csv', index=False)"
)
SAVE_ANEW = "open it in Excel or LibreOffice and save the sheet as .xlsx without macros, or as CSV"
_REFUSED = {
    ".pkl": _PICKLE,
    ".pickle": _PICKLE,
    ".xls": f"is a spreadsheet of the old kind (.xls), which is not read; {SAVE_ANEW}",
    ".xlsm": f"is a spreadsheet with macros, which is not read; {SAVE_ANEW}",
    ".xlsb": f"is a binary spreadsheet (.xlsb), which is not read; {SAVE_ANEW}",
    ".ods": f"is an OpenDocument spreadsheet, which is not read; {SAVE_ANEW}",
}
"""What is close to a table and yet not read, with the way out."""
_NOT_A_TABLE = "not a table; give the table itself as CSV, Parquet or .xlsx"
_BEGINNINGS = (
    (
        rb"\xd0\xcf\x11\xe0",
        f"is a spreadsheet of the old kind (.xls) or has a password, which is not read; {SAVE_ANEW}",
    ),
    (rb"\x80[\x02-\x05]", _PICKLE),
    (rb"\x89HDF", f"is an HDF5 file, {_NOT_A_TABLE}"),
    (rb"\x93NUMPY", f"is an array of NumPy (.npy), {_NOT_A_TABLE}"),
    (rb"%PDF", f"is a PDF, {_NOT_A_TABLE}"),
    (rb"ARROW1", "is an Arrow (Feather) file, which is not read; save it as Parquet or CSV"),
    (rb"BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!", f"is a compressed file, {_NOT_A_TABLE}"),
    (
        rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype\s+html|html)",
        "is a web page, not a table: the download of the table did not work",
    ),
    (
        rb"version https://git-lfs",
        "is a pointer of Git LFS, not the table itself: fetch it with 'git lfs pull'",
    ),
)
"""Beginnings of files that are not read, as patterns, and what is said about each."""


def split_sheet(path: Path) -> tuple[Path, str | None]:
    """The workbook and the sheet of ``cohort.xlsx#Sheet2``; None where no sheet is named.

    Examples:
        >>> [str(part) for part in split_sheet(Path("data/cohort.xlsx#Sheet 2"))]
        ['data/cohort.xlsx', 'Sheet 2']
    """
    found = re.fullmatch(r"(?i)(.+\.xlsx)#(.+)", path.name)
    return (path.with_name(found[1]), found[2]) if found else (path, None)


def suffix_of(path: Path) -> str:
    """The end of a name that makes it a table, in small letters, such as ``.csv.gz``; empty if
    there is none. The sheet of a workbook is no part of it.
    """
    name = split_sheet(path)[0].name.lower()
    ends = [suffix for suffix in SUFFIXES if name.endswith(suffix) and len(name) > len(suffix)]
    return max(ends, key=len, default="")


def stem_of(path: Path) -> str:
    """The name of a file without the suffix of a table and a sheet; dots in it stay.

    Examples:
        >>> [stem_of(Path(name)) for name in ("uni.csv", "uni.v2.tsv.gz", "resnet.50")]
        ['uni', 'uni.v2', 'resnet.50']
    """
    name = split_sheet(path)[0].name
    return name[: len(name) - len(suffix_of(path))]


def check_suffix(path: Path) -> None:
    """Refuses what is not a table by its name.

    Raises:
        InputError: Saying how a table is made of it, if that is known.
    """
    if suffix_of(path):
        return
    reason = _REFUSED.get(path.suffix.lower())
    raise InputError(f"{path} {reason}" if reason else f"{path} is not a table: {IN_WORDS}")


def kind_of(source: str, raw: bytes) -> str:
    """What a file is by its first bytes: ``parquet``, ``zip``, ``gzip`` or ``text``.

    Raises:
        InputError: It is of another kind, which is not read.
    """
    for mark, kind in ((b"PAR1", "parquet"), (b"PK\x03\x04", "zip"), (b"\x1f\x8b", "gzip")):
        if raw.startswith(mark):
            return kind
    reason = next((what for mark, what in _BEGINNINGS if re.match(mark, raw)), None)
    if reason is not None:
        raise InputError(f"{source} {reason}")
    return "text"
