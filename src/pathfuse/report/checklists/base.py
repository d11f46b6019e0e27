"""A checklist of a reporting guideline: what it asks, and what the run can answer."""

import html
from collections.abc import Callable
from dataclasses import dataclass

from pathfuse.report.content import Content
from pathfuse.unseen import one_line

Fill = Callable[[Content], str]
"""What a run knows about an item; empty: this run knows nothing of it."""


@dataclass(frozen=True)
class Item:
    """One item, in our words; the guideline's own text is authoritative."""

    number: str
    section: str
    """Of the manuscript."""
    asks: str
    fill: Fill | None = None
    """None: only the authors can write it."""
    left: str = ""
    """What the authors have to add to what the run knows."""


@dataclass(frozen=True)
class Checklist:
    """A guideline's checklist."""

    name: str
    file: str
    """Of the result's folder, without ``.md``."""
    source: str
    """The publication."""
    items: tuple[Item, ...]


@dataclass(frozen=True)
class FilledItem:
    """An item with what the run says."""

    item: Item
    answer: str
    """Empty: the authors' to write."""


@dataclass(frozen=True)
class FilledChecklist:
    """A checklist with what the run says."""

    checklist: Checklist
    items: tuple[FilledItem, ...]

    @property
    def n_filled(self) -> int:
        """Items that the run fills."""
        return sum(bool(one.answer) and not one.item.left for one in self.items)

    @property
    def n_in_part(self) -> int:
        """Items that the run fills in part."""
        return sum(bool(one.answer) and bool(one.item.left) for one in self.items)

    @property
    def counts(self) -> str:
        """How many items are filled, in words."""
        rest = len(self.items) - self.n_filled - self.n_in_part
        return (
            f"of {len(self.items)} items {self.n_filled} are filled, {self.n_in_part} in part, and "
            f"{rest} are the authors' to write"
        )

    @property
    def markdown(self) -> str:
        """As a table for the supplement."""
        lines = [
            f"# {self.checklist.name}",
            "",
            f"{self.checklist.source} Items are paraphrased; the guideline's own wording counts.",
            f"From the run of pathfuse: {self.counts}. What is filled is theirs to check.",
            "",
            "| item | section | what it asks | from this run | left to the authors |",
            "|---|---|---|---|---|",
        ]
        for one in self.items:
            left = one.item.left if one.answer else one.item.left or "to be written"
            cells = (one.item.number, one.item.section, one.item.asks, one.answer or "—", left)
            lines.append("| " + " | ".join(_cell(text) for text in cells) + " |")
        return "\n".join(lines) + "\n"


def filled(checklist: Checklist, content: Content) -> FilledChecklist:
    """A checklist with the answers of a run."""
    items = (
        FilledItem(item, item.fill(content) if item.fill is not None else "")
        for item in checklist.items
    )
    return FilledChecklist(checklist, tuple(items))


def _cell(text: str) -> str:
    """A cell of a table: on one line, and no HTML of a title or a name comes through."""
    return html.escape(one_line(text), quote=False).replace("|", "\\|")
