"""Lists what pathfuse installs in docs/reference/dependencies.md: from pyproject.toml, constraints.txt
and the metadata of the packages that are installed.

Run it in the environment of ``make env``, which has all extras: what is not installed cannot be listed.
A test checks that the page is current, that every package has a pin, and that no user gets a package
under the GPL.
"""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT, PINS = ROOT / "pyproject.toml", ROOT / "constraints.txt"
PAGE = ROOT / "docs" / "reference" / "dependencies.md"
OWN, CORE, ALL = "pathfuse", "core", "all"
UNKNOWN = "—"
INTRODUCTION = """\
What `pip install pathfuse` and its extras install, in the versions that were tested (`constraints.txt`); the ranges
that are allowed stand in `pyproject.toml`. Made by `dev/list_dependencies.py` from the packages' own metadata, on
Linux; a package may bring libraries under other licences in its wheels, as those of OpenSlide do (LGPL). No package
that users install is under the GPL. A dash: not installed where this page was made."""
DEVELOPMENT = """\
Tests, checks and this site need these besides; nobody who uses pathfuse does. scikit-survival and ecos, which it
brings, are under the GPL: tests compare figures with theirs, and pathfuse does not import them."""
HEAD = "| package | version | licence | for | why |\n|---|---|---|---|---|"


@dataclass
class Package:
    """One package of the table."""

    name: str
    licence: str
    needed: set[tuple[str, str]] = field(default_factory=set)
    """For which list (``core``, extras and dependency groups), and by which package of it; empty: by
    pathfuse itself."""

    @property
    def lists(self) -> set[str]:
        """The lists that bring it."""
        return {who for who, _ in self.needed}


def asked() -> dict[str, list[Requirement]]:
    """What the core, every extra and every dependency group ask for themselves."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    lists = {CORE: project["project"]["dependencies"], **extras, **project["dependency-groups"]}
    found = {
        name: [Requirement(one) for one in lines if isinstance(one, str)]
        for name, lines in lists.items()
        if name != ALL
    }
    for lines in found.values():  # an extra that takes in another one
        for own in [line for line in lines if line.name == OWN]:
            lines += [one for extra in own.extras for one in found[extra]]
    return {
        name: [line for line in lines if line.name != OWN] for name, lines in found.items() if lines
    }


def for_users() -> set[str]:
    """The core and the extras."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return {CORE, *project["optional-dependencies"]} - {ALL}


@cache
def reasons() -> dict[str, str]:
    """Why pathfuse asks for a package itself."""
    said = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"][OWN]["why"]
    return {canonicalize_name(name): why for name, why in said.items()}


@cache
def pins() -> dict[str, str]:
    """The tested versions."""
    lines = PINS.read_text(encoding="utf-8").splitlines()
    found = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version.strip() for name, version in found.items()}


@cache
def packages() -> dict[str, Package]:
    """Everything that is asked for, and what that requires as far as it is installed here."""
    found: dict[str, Package] = {}
    for who, lines in asked().items():
        todo, seen = [(line, "") for line in lines], set[tuple[str, str]]()
        while todo:
            line, parent = todo.pop()
            if line.marker is not None and not line.marker.evaluate({"extra": ""}):
                continue
            name, there = canonicalize_name(line.name), installed(line.name)
            if name not in found:
                found[name] = Package(name, UNKNOWN if there is None else licence(there))
            found[name].needed.add((who, parent))
            for extra in {"", *line.extras} if there is not None else ():
                if (name, extra) not in seen:
                    seen.add((name, extra))
                    todo += [(one, name) for one in required(there, extra)]
    return found


def installed(name: str) -> Distribution | None:
    """The metadata of a package, if it is installed."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def required(there: Distribution, extra: str) -> list[Requirement]:
    """What a package requires here, under one of its extras or (empty) none."""
    lines = [Requirement(line) for line in there.requires or []]
    kept = [one for one in lines if one.marker is None or one.marker.evaluate({"extra": extra})]
    for one in kept:
        one.marker = None
    return kept


def licence(there: Distribution) -> str:
    """The licence that a package states: as an expression, by its classifiers, or in words."""
    stated = there.metadata
    if stated.get("License-Expression"):
        return str(stated["License-Expression"])
    classes = [
        one.rpartition(" :: ")[2]
        for one in stated.get_all("Classifier") or []
        if one.startswith("License :: OSI Approved :: ")
    ]
    words = (stated.get("License") or UNKNOWN).strip().splitlines()
    return " or ".join(sorted(classes)) or words[0]


def asks_for_gpl(text: str) -> bool:
    """Whether a licence leaves no other choice than the GPL or the AGPL; the LGPL is neither.

    Examples:
        >>> [asks_for_gpl(text) for text in ("MIT", "LGPL-2.1-only", "MIT AND (MIT OR GPL-2.0-only)", "GPLv3")]
        [False, False, False, True]
    """
    parts = re.split(r"\sAND\s(?![^(]*\))", text)
    gpl = re.compile(r"(?<![A-Za-z])A?GPL|(?<!Lesser )General Public License")
    return any(all(gpl.search(choice) for choice in re.split(r"\s(?:OR|or)\s", p)) for p in parts)


def row(package: Package, lists: set[str], direct: bool) -> str:
    """One line of the table, of what some lists bring."""
    known = kept_rows().get(package.name, "").split(" | ")
    shown = known[2] if package.licence == UNKNOWN and len(known) > 2 else package.licence
    mine = {(who, parent) for who, parent in package.needed if who in lists}
    by = {who for who, _ in mine}
    parents = ", ".join(sorted({parent for _, parent in mine} - {""}))
    why = reasons()[package.name] if direct else f"needed by {parents}"
    cells = (package.name, pins().get(package.name, UNKNOWN), shown)
    return f"| {' | '.join(cells)} | {CORE if CORE in by else ', '.join(sorted(by))} | {why} |"


@cache
def kept_rows() -> dict[str, str]:
    """The lines of the page as it stands, by package."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    lines = [line for line in text.splitlines() if line.startswith("| ") and line not in HEAD]
    return {canonicalize_name(line.split(" | ")[0].removeprefix("| ")): line for line in lines}


def table(lists: set[str], direct: bool, known: set[str]) -> str:
    """The packages that some lists bring, by name.

    Args:
        lists: ``core``, extras or dependency groups.
        direct: Those that pathfuse asks for itself, or those that these need.
        known: Packages that stand elsewhere.
    """
    lines = [HEAD]
    for name, package in sorted(packages().items()):
        asks = bool(package.needed & {(who, "") for who in lists})
        if package.lists & lists and asks == direct and name not in known:
            lines.append(row(package, lists, direct))
    return "\n".join(lines)


def page() -> str:
    """The page of the reference."""
    users = for_users()
    others = set(asked()) - users
    known = {name for name, package in packages().items() if package.lists & users}
    parts = ["# Dependencies", INTRODUCTION, table(users, True, set())]
    parts += ["What these need:", table(users, False, set())]
    parts += ["## For development", DEVELOPMENT, table(others, True, known)]
    parts += ["What these need:", table(others, False, known)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
