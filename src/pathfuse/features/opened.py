"""Feature folders that one run has opened, so that the experts of one encoder share one look at it."""

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from pathlib import Path

from pathfuse.features.bank import FeatureBank
from pathfuse.features.folder import FeatureFolder, open_folder


@dataclass
class OpenedFeatures:
    """Opens every folder once."""

    check_values: bool = True
    """Look for NaN and infinite values; see ``open_folder``."""
    fingerprint: bool = False
    """Read the contents for ``sha256`` on the way."""
    only: Collection[str] | None = None
    """The slides that are looked at; None: all."""
    known: dict[tuple[Path, bool], FeatureFolder] = field(default_factory=dict)
    """By place and ``strict``."""
    banks: dict[Hashable, FeatureBank] = field(default_factory=dict)
    """By encoders and how they are joined."""

    def bank(self, how: Hashable, join: Callable[[], FeatureBank]) -> FeatureBank:
        """Several encoders' features, joined once in the same way."""
        if how not in self.banks:
            self.banks[how] = join()
        return self.banks[how]

    def folder(self, path: Path, *, strict: bool = False) -> FeatureFolder:
        """One encoder's features.

        Raises:
            InputError: See ``open_folder``.
        """
        if (path, strict) not in self.known:
            self.known[path, strict] = open_folder(
                path,
                strict=strict,
                check_values=self.check_values,
                fingerprint=self.fingerprint,
                only=self.only,
            )
        return self.known[path, strict]
