"""Numbers as leaderboards print them: in bold, with a spread behind them, with decimal commas."""

import re
from dataclasses import dataclass

FIGURE = r"(?:[0-9][0-9.,]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
BEHIND = rf"(?:\s*(?:±|\+/-|\+-|[_^])\s*{FIGURE}\s*%?|\s*\([^()]*\)\s*%?|\s*\[[^\[\]]*\]\s*%?)*"
CELL = re.compile(rf"^[\s_]*([-+]?{FIGURE})\s*(%?)({BEHIND})[\s_]*$")
MARKS = (
    (r"[−–]", "-"),
    ("\u00a0", " "),
    (r"<[^<>]*>", " "),
    (r"\\pm\b", "±"),
    (r"\\%", "%"),
    (r"\\[a-zA-Z]+", " "),
    (r"[*${}†‡§↑↓`]", " "),
)
"""Bold, footnotes and arrows of Markdown, HTML and LaTeX, and what they become."""


@dataclass(frozen=True)
class Printed:
    """A number as a cell shows it."""

    value: float
    per_cent: bool = False
    """Whether it has the sign."""
    behind: str = ""
    """What stands behind it and is left out, such as ``± 0.02`` or ``(0.61-0.92)``."""
    in_doubt: bool = False
    """Whether its comma may stand for thousands or for decimals: ``73,700``."""


def printed(text: str | None) -> Printed | None:
    """The number of a cell; None if there is none, or something else with it.

    Examples:
        >>> [printed(cell).value for cell in ("**0.81 ± 0.02**", "0.812 (0.61-0.92)", "0.812 [0.61, 0.92]")]
        [0.81, 0.812, 0.812]
        >>> printed("0,737 (0,01)"), printed("81.2%").per_cent
        (Printed(value=0.737, per_cent=False, behind='(0,01)', in_doubt=False), True)
        >>> printed("MIT"), printed("-"), printed("0.61-0.92"), printed("73,700").in_doubt
        (None, None, None, True)
    """
    for mark, instead in MARKS:
        text = None if text is None else re.sub(mark, instead, text)
    found = CELL.match(text) if text is not None else None
    if found is None:
        return None
    try:
        value = float(_with_point(found[1]))
    except ValueError:
        return None
    return Printed(value, bool(found[2]), found[3].strip(), _in_doubt(found[1]))


def _with_point(figure: str) -> str:
    """A figure as Python writes it; of points and commas the last one is that of decimals."""
    if "," not in figure:
        return figure
    whole, _, decimals = figure.rpartition(",")
    if "." in decimals or "," in whole:  # 1,234.5 or 1,234,567
        return figure.replace(",", "")
    return f"{whole.replace('.', '')}.{decimals}"


def _in_doubt(figure: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[1-9][0-9]{0,2},[0-9]{3}", figure))
