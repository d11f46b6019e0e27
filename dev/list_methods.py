"""Lists the fusion methods in README.md and docs/reference/methods.md, from what the classes say of
themselves.

``make docs`` runs it; a test checks that both are current.
"""

from pathlib import Path

import pathfuse
from pathfuse.endpoints.detect import ENDPOINTS as KINDS
from pathfuse.fusion.methods import methods_of
from pathfuse.fusion.registry import described

ROOT = Path(__file__).parents[1]
README, PAGE = ROOT / "README.md", ROOT / "docs" / "reference" / "methods.md"
BEGIN, END = "<!-- methods -->", "<!-- end of methods -->"
ENDPOINTS = tuple(KINDS)
ALL = "all"
INTRODUCTION = """\
`--method` takes `auto`, `choose`, or one of the methods below. Each is fitted in every run and is a row of
`metrics.csv`; those that need no fit are rows of `pathfuse evaluate` too."""
NEW = """\
On arrays every method is a class of `pathfuse`; see [Python](api.md) for what all of them can do. A new one is a file
in `src/pathfuse/fusion/` and a line in its list of methods."""


def where() -> dict[str, list[str]]:
    """The endpoints of every method, in the order of the registry."""
    found: dict[str, list[str]] = {}
    for endpoint in ENDPOINTS:
        for name in methods_of(endpoint):
            found.setdefault(name, []).append(endpoint)
    return found


def table() -> str:
    """One line per method."""
    lines = [
        "| method | the fused prediction is | endpoints | votes in `auto` |",
        "|---|---|---|---|",
    ]
    for name, endpoints in where().items():
        kind = methods_of(endpoints[0])[name]
        shown = ALL if len(endpoints) == len(ENDPOINTS) else ", ".join(endpoints)
        lines.append(
            f"| `{name}` | {kind.summary} | {shown} | {'yes' if kind.in_council else 'no'} |"
        )
    return "\n".join(lines)


def page() -> str:
    """The page of the reference: the table, then every method with what it rests on."""
    parts = [
        "# Methods",
        INTRODUCTION,
        table(),
        NEW,
    ]
    for endpoint in ("survival", "regression"):
        for name, kind in methods_of(endpoint).items():
            title = f"## {name}" if endpoint == "survival" else f"## {name} (regression)"
            works = "\n".join(f"- {work.text}" for work in kind.references)
            home = "pathfuse" if kind.__name__ in pathfuse.__all__ else kind.__module__
            parts += [title, f"::: {home}.{kind.__name__}\n    options:\n      members: []"]
            parts += [works] if works else []
    for name in ("auto", "choose"):
        kind = described(name, "multiclass")
        parts += [f"## {name}", kind.summary[:1].upper() + kind.summary[1:] + "."]
        parts.append("\n".join(f"- {work.text}" for work in kind.references))
    return "\n\n".join(parts) + "\n"


def readme() -> str:
    """README.md with the table in its place."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
