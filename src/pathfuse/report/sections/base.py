"""What a section of the report is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pathfuse.report.content import Content
from pathfuse.report.drawings import Drawing


@dataclass(frozen=True)
class Section:
    """A section of ``report.html``; its template is ``report/sections/{id}.html``."""

    id: str
    title: str
    after: str
    """The ``id`` of the section of ``page.html`` that it follows; ``""``: it comes first."""
    draw: Callable[[Content], list[Drawing]]
    """Its figures."""
    shown: Callable[[Content], Mapping[str, Any] | None]
    """What its template shows, under the name ``shown``; None: the run has no such section."""

    printed: tuple[str, ...] = ()
    """Its tables that a paper prints, by name; points of curves are none."""

    @property
    def template(self) -> str:
        """Its file inside the package."""
        return f"report/sections/{self.id}.html"
