"""The result of ``pathfuse run``, ready to score: its experts, what each reads, and their fusion."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pathfuse.errors import InputError
from pathfuse.experts.layout import EXPERT
from pathfuse.files.digests import digest_of, file_digest
from pathfuse.files.json import read_object
from pathfuse.workflows.model import FusedModel
from pathfuse.workflows.model_file import load
from pathfuse.workflows.study_file.layout import ENCODERS_OF, EXPERTS, FUSED, KIND, MANIFEST


@dataclass(frozen=True)
class ScoringStudy:
    """A finished study."""

    place: Path
    model: FusedModel
    reads: Mapping[str, tuple[str, ...]]
    """Per expert of the fusion, the encoders whose features it reads."""
    stamp: str
    """Changes with the fusion or an expert."""

    def folder(self, expert: str) -> Path:
        """Of a trained expert."""
        return self.place / EXPERTS / expert

    @property
    def encoders(self) -> list[str]:
        """All that some expert reads."""
        return sorted({one for encoders in self.reads.values() for one in encoders})

    def check_encoders(self, given: Collection[str]) -> None:
        """Refuses features that no expert reads.

        Raises:
            InputError: Naming the encoders that there are.
        """
        unknown = next((name for name in given if name not in self.encoders), None)
        if unknown is not None:
            raise InputError(
                f"--features: no expert of {self.place} reads the encoder '{unknown}'; they read "
                f"{', '.join(self.encoders)}"
            )


def open_study(place: Path) -> ScoringStudy:
    """Reads the output folder of ``pathfuse run``.

    Raises:
        InputError: It is none, is not finished, or an expert or the fusion is missing or damaged.
    """
    manifest = read_object(place / MANIFEST)
    if manifest.get("kind") != KIND:
        raise InputError(f"{place} is not the output folder of 'pathfuse run'")
    if not manifest.get("finished"):
        raise InputError(f"{place} is not finished: run 'pathfuse run' to its end first")
    if ENCODERS_OF not in manifest:
        raise InputError(
            f"{place} does not say which encoders its experts read: an older pathfuse wrote it; "
            "'pathfuse run' with the same study.yaml adds that"
        )
    model = load(place / FUSED)
    reads = {name: tuple(manifest[ENCODERS_OF].get(name, ())) for name in model.experts}
    lacking = next((name for name, encoders in reads.items() if not encoders), None)
    if lacking is not None:
        raise InputError(f"{place} holds no expert '{lacking}', which its fusion needs")
    files = [place / FUSED / "model" / f"model.{kind}" for kind in ("json", "safetensors")]
    files += [place / EXPERTS / name / EXPERT for name in reads]
    return ScoringStudy(place, model, reads, digest_of([file_digest(file) for file in files]))
