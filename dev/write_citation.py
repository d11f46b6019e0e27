"""Writes CITATION.cff: pathfuse itself, and the works that its methods and figures rest on, as their
own files name them. A test checks that it is current.
"""

import re
from pathlib import Path
from typing import Any

import yaml

import pathfuse
from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.fusion.methods import methods_of
from pathfuse.fusion.registry import described
from pathfuse.references import Reference
from pathfuse.report.references import WORKS

FILE = Path(__file__).parents[1] / "CITATION.cff"
NAMED = {
    "Meta-Encoder": "bioRxiv 2025.06.05.657960",
    "FuseCPath": "arXiv 2510.27237",
    "PFM-DenseBench": "arXiv 2602.03887",
}
"""Systems that pathfuse repeats, whose papers docs/design is about; LogitProd is a method's work."""
KINDS = {"article": "article", "book": "book"}
MESSAGE = (
    "If pathfuse helps your work, please cite the works that you used: the end of every report has "
    "them, with BibTeX."
)


def works() -> list[Reference]:
    """What the fusion methods name, then what reports cite besides; each once."""
    named = [kind for endpoint in ENDPOINTS for kind in methods_of(endpoint).values()]
    named += [described(name, "multiclass") for name in ("auto", "choose")]
    found = {work.key: work for kind in named for work in kind.references}
    return sorted((found | WORKS).values(), key=lambda work: work.key)


def people(author: str) -> list[dict[str, str]]:
    """BibTeX's authors as persons; ``others`` stands for the rest."""
    found = []
    for one in author.split(" and "):
        family, _, given = one.partition(", ")
        found.append({"family-names": family, "given-names": given} if given else {"name": one})
    return found


def entry(work: Reference) -> dict[str, Any]:
    """A work in the words of the Citation File Format."""
    fields = work.fields
    made: dict[str, Any] = {"type": KINDS.get(work.kind, "generic"), "title": fields["title"]}
    made["authors"] = people(fields["author"])
    made["year"] = int(fields["year"])
    made |= {name: fields[name] for name in ("journal", "volume") if name in fields}
    if "pages" in fields:
        start, _, end = fields["pages"].partition("--")
        made |= {"start": start} | ({"end": end} if end else {})
    if "publisher" in fields:
        made["publisher"] = {"name": fields["publisher"]}
    if "howpublished" in fields:
        made["notes"] = fields["howpublished"]
    return made


def text() -> str:
    """The file."""
    systems = [
        {"type": "generic", "title": name, "authors": [{"name": f"The authors of {name}"}], "notes": f"{where}."}
        for name, where in NAMED.items()
    ]  # fmt: skip
    content = {
        "cff-version": "1.2.0",
        "message": MESSAGE,
        "type": "software",
        "title": "pathfuse",
        "abstract": re.sub(r"\s+", " ", (pathfuse.__doc__ or "").strip()),
        "version": pathfuse.__version__,
        "license": "Apache-2.0",
        "authors": [{"name": "The pathfuse authors"}],
        "references": [*systems, *map(entry, works())],
    }
    shown = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return f"# Made by dev/write_citation.py.\n{shown}"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
