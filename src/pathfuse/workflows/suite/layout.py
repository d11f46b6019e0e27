"""How a user lays out studies: one folder per study, with ``samples.csv`` and ``predictions/``."""

from dataclasses import dataclass
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.files.digests import file_digest
from pathfuse.files.json import read_json
from pathfuse.files.tables import IN_WORDS, SUFFIXES, stem_of, tables_in
from pathfuse.study.study import Study, parse_edges, read_study
from pathfuse.workflows.suite.cards import Card, find_card

EDGES = "time_edges.txt"
LABEL_MAP = "label_map_"
CARD = "card.json"
OTHERS = ", ".join(SUFFIXES[1:])
"""Other ends of the name of the samples table."""


@dataclass(frozen=True)
class Layout:
    """The files of one study."""

    folder: Path
    samples: tuple[Path, ...]
    """One, unless the user made a mistake."""
    predictions: tuple[Path, ...]
    label_maps: dict[str, Path]
    """Per expert."""
    edges: Path | None

    @property
    def name(self) -> str:
        """The folder's name is the study's."""
        return self.folder.name

    @property
    def size(self) -> int:
        """Bytes of the prediction files: long studies start first."""
        return sum(file.stat().st_size for file in self.predictions)

    def check(self) -> None:
        """Refuses a folder that is not a whole study.

        Raises:
            InputError: Samples or predictions are missing, or there are two samples tables.
        """
        if not self.samples:
            raise InputError(f"{self.folder} has predictions/ but no samples.csv (or {OTHERS})")
        if len(self.samples) > 1:
            raise InputError(
                f"{self.folder} has {' and '.join(file.name for file in self.samples)}; keep one of them"
            )
        if not self.predictions:
            raise InputError(f"{self.folder}/predictions holds no table ({IN_WORDS})")

    def read(self) -> Study:
        """Reads the study.

        Raises:
            InputError: Something in it is wrong.
        """
        self.check()
        edges = parse_edges(_text(self.edges).strip(), str(self.edges)) if self.edges else None
        return read_study(
            self.samples[0], list(self.predictions), self.label_maps, time_edges=edges
        )

    def card(self) -> Card | None:
        """The card that ``card.json`` names (``{"task": "bracs_3"}``), or whose name the folder
        has.

        Raises:
            InputError: ``card.json`` names no task of the suite.
        """
        file = self.folder / CARD
        if not file.exists():
            return find_card(self.name)
        content = read_json(file)
        task = content.get("task") if isinstance(content, dict) else None
        if not isinstance(task, str):
            raise InputError(f'{file} must name a task, such as {{"task": "bracs_3"}}')
        card = find_card(task)
        if card is None:
            raise InputError(
                f"{file}, key 'task': '{task}' is not a task of the suite; see 'pathfuse suite list'"
            )
        return card

    def inputs(self) -> dict[str, str]:
        """SHA-256 of every file that decides the result, by its place in the folder.

        Raises:
            InputError: A file cannot be read.
        """
        files = [
            *self.samples,
            *self.predictions,
            *self.label_maps.values(),
            *([self.edges] if self.edges else []),
        ]
        return {str(file.relative_to(self.folder)): file_digest(file) for file in files}


def find_layouts(folder: Path) -> list[Layout]:
    """The studies under a folder, sorted by name; hidden folders are passed over.

    A folder with samples or predictions but not both counts as a study: it is reported, not passed
    over.

    Raises:
        InputError: The folder cannot be read, or holds no study.
    """
    try:
        places = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        found = [layout for place in places if (layout := _layout(place)) is not None]
    except OSError as error:
        raise InputError(
            f"{error.filename or folder} cannot be read: {error.strerror or error}"
        ) from error
    if not found:
        raise InputError(
            f"{folder} holds no study: no sub-folder has samples.csv (or {OTHERS}) and predictions/"
        )
    return found


def _layout(folder: Path) -> Layout | None:
    samples = tuple(file for suffix in SUFFIXES if (file := folder / f"samples{suffix}").is_file())
    predictions = folder / "predictions"
    if not samples and not predictions.is_dir():
        return None
    maps = {
        stem_of(file).removeprefix(LABEL_MAP): file
        for file in tables_in(folder)
        if file.name.startswith(LABEL_MAP)
    }
    edges = folder / EDGES
    return Layout(
        folder,
        samples,
        tuple(tables_in(predictions)) if predictions.is_dir() else (),
        maps,
        edges if edges.is_file() else None,
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not a UTF-8 text") from error
