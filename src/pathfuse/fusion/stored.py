"""What ``model.json`` says of a fitted fusion: the schema that ``store`` reads."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pathfuse.files.schema import Count, Name, Stored
from pathfuse.fusion.certificate import Certificate


def _a_number(text: str) -> str:
    float(text)
    return text


Number = Annotated[str, Field(max_length=40), AfterValidator(_a_number)]
"""As ``repr`` writes it: settings may be infinite, and JSON has no such number."""
Option = str | int | float | bool | None | list[str] | tuple[str, ...]


class StoredCertificate(Stored):
    """As ``Certificate.as_dict`` writes it."""

    objective: str
    fused: float
    experts: Annotated[dict[str, float], Field(min_length=1)]
    best_expert: str
    holds: bool
    n_rows_scored: dict[str, Count]
    fallback: str | None

    def restored(self) -> Certificate:
        """The certificate.

        Raises:
            ValueError: Its parts are of different experts.
        """
        if list(self.experts) != list(self.n_rows_scored):
            raise ValueError("the certificate names different experts in two places")
        return Certificate(
            self.fused,
            tuple(self.experts.values()),
            tuple(self.n_rows_scored.values()),
            self.fallback,
            self.objective,
        )


class StoredFusion(Stored):
    """As ``store.dump`` writes it."""

    method: Name
    options: dict[str, Option] = Field(default_factory=dict)
    certificate: StoredCertificate
    family: str | None = None
    setting: Number | None = None
    scores: dict[Number, float] | None = None
    inner_scores: dict[str, float] | None = None
    members: list[Name] | None = None
    parts: dict[str, "StoredFusion"] | None = None
    gaussian: bool = False
    """Of a regression of schema 2."""
