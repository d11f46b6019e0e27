"""What every check says of itself, and an alarm that it raises."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from pathfuse.workflows.checks.evidence import Evidence


@dataclass(frozen=True)
class Alarm:
    """Something in a study that must be settled before its results say anything."""

    check: str
    """Name of the check that found it."""
    sentence: str
    """With the figures and a way forward."""

    def as_dict(self) -> dict[str, str]:
        """For the manifest."""
        return {"check": self.check, "sentence": self.sentence}


class Check(ABC):
    """One thing that may be wrong with a study. Its facts make the page "what the checks mean"."""

    name: ClassVar[str]
    looks_for: ClassVar[str]
    """What it finds, in words."""
    threshold: ClassVar[str]
    """When it speaks, and why there."""
    way_forward: ClassVar[str]
    """What to do about it."""

    @abstractmethod
    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One sentence for each alarm."""

    def alarms(self, evidence: Evidence) -> list[Alarm]:
        """What is wrong; mostly nothing."""
        return [Alarm(self.name, sentence) for sentence in self.sentences(evidence)]
