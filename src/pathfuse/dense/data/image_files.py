"""Which file of a folder belongs to an image, by its name, and what a folder holds if none does."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.names import CHANNEL, channel_twin
from pathfuse.files.special import special_kind

ARRAYS = (".npy", ".npz")
"""Numbers of every class and pixel."""


def file_of(
    folder: Path,
    image_id: str,
    suffixes: Sequence[str] = ARRAYS,
    image_ids: Collection[str] = (),
) -> Path | None:
    """The file of an image: ``<image_id>`` and a suffix, or with nnU-Net's ``_0000`` on one side.

    Args:
        folder: One model's files.
        image_id: The image.
        suffixes: What is looked for. nnU-Net writes a mask next to its ``.npz``, of the same
            prediction: the ``.npz`` counts.
        image_ids: All images; a file that has the name of one of them belongs to no other.

    Raises:
        InputError: There are two files of it.
    """
    found = _named(folder, image_id, suffixes)
    twin = channel_twin(image_id)
    if not found and twin not in image_ids:
        found = _named(folder, twin, suffixes)
    arrays = [file for file in found if file.suffix in ARRAYS]
    if len(found) > 1 and [file.suffix for file in arrays] == [".npz"]:
        found = arrays
    if len(found) > 1:
        raise InputError(
            f"{folder} has two predictions of image '{image_id}': {found[0].name}, {found[1].name}"
        )
    return found[0] if found else None


def images_of(folders: Iterable[Path], suffixes: Sequence[str] = ARRAYS) -> list[str]:
    """The images that files are named after, sorted.

    ``<image>_0000`` is ``<image>`` unless both names are there in one folder.
    """
    stems = [
        {file.stem for file in folder.iterdir() if file.suffix in suffixes} for folder in folders
    ]
    everything = set().union(*stems)
    apart = {
        name
        for own in stems
        for name in own
        if name.endswith(CHANNEL) and channel_twin(name) in own
    }
    return sorted(
        {
            channel_twin(name) if name.endswith(CHANNEL) and name not in apart else name
            for name in everything
        }
    )


def holdings(folders: Iterable[Path | None]) -> str:
    """What folders hold, for a sentence about files that were not found in them.

    Examples:
        >>> holdings([])
        ''
    """
    return "; ".join(f"{folder} holds {_contents(folder)}" for folder in folders if folder)


def _contents(folder: Path) -> str:
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if not names:
        return "no file"
    kinds = Counter(Path(name).suffix or "no suffix" for name in names)
    counts = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    return f"{counts} (such as {', '.join(names[:2])})"


def _named(folder: Path, name: str, suffixes: Sequence[str]) -> list[Path]:
    return [file for s in suffixes if _is_there(file := folder / f"{name}{s}")]


def _is_there(file: Path) -> bool:
    """A pipe of that name is there too: whoever opens it says what it is."""
    return file.is_file() or special_kind(file) is not None
