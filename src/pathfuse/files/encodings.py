"""Bytes to text: UTF-8, UTF-16 and Windows-1252 are told apart, and what is not text is refused."""

import codecs
import re

from pathfuse.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", ""),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
"""Byte order mark, codec, and the name of what is worth a note. UTF-32 begins as UTF-16 does."""
_CONTROL = bytes(sorted(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1c\x1d\x1e\x1f")))
"""Bytes that no text holds."""
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A letter beyond ASCII in UTF-8."""


def decode(source: str, raw: bytes) -> tuple[str, str]:
    """The text of a file, and the name of its encoding; empty for UTF-8.

    Raises:
        InputError: It is not text, is cut off inside a letter, or mixes two encodings.
    """
    mark, codec, name = next((m for m in _MARKS if raw.startswith(m[0])), (b"", "", ""))
    if mark and name:
        return _strictly(source, raw, codec, name), name
    if b"\0" in raw:
        codec = _wide(raw)
        if not codec:
            raise InputError(
                f"{source} is not text: byte {raw.index(0) + 1} is zero; save the table as UTF-8 CSV"
            )
        return _strictly(source, raw, codec, "UTF-16"), "UTF-16"
    try:
        return raw.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        _check_one_byte_text(source, raw, error)
    try:
        return raw.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "Latin-1"


def _strictly(source: str, raw: bytes, codec: str, name: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source} is cut off or damaged: it begins as {name} text, and byte {error.start + 1} is not"
        ) from error


def _wide(raw: bytes) -> str:
    """UTF-16 without a mark: nearly every second byte of a table is zero."""
    head = raw[:4000]
    for start, codec in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = head[start::2].count(0), head[1 - start :: 2].count(0)
        if zeros > 0.8 * len(head[start::2]) and not others:
            return codec
    return ""


def _check_one_byte_text(source: str, raw: bytes, error: UnicodeDecodeError) -> None:
    """Refuses what is neither UTF-8 nor text with one byte per letter."""
    if len(raw.translate(None, _CONTROL)) < len(raw):
        raise InputError(f"{source} is not text; save the table as UTF-8 CSV") from error
    if _UTF8.search(raw) is None:
        return
    if error.end == len(raw) and error.reason == "unexpected end of data":
        raise InputError(f"{source} is cut off inside a letter") from error
    line = raw[: error.start].count(b"\n") + 1
    raise InputError(
        f"{source}, line {line}: the file mixes UTF-8 with another encoding; save it as UTF-8 CSV"
    ) from error
