"""Checks a built site: no page loads anything from the network, and every image and file that a
page names is there.

The strict build already fails on broken links between pages, on missing anchors and on unknown
Python names.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "object": "data",
}
HARMLESS = {"canonical", "prev", "next"}
"""Links that a browser does not fetch."""


class Page(HTMLParser):
    """What one page loads and links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        target = given.get(LOADS.get(tag, ""))
        if target and not (tag == "link" and given.get("rel") in HARMLESS):
            self.loads.append(target)
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))


def complaints(site: Path) -> list[str]:
    """One sentence per fault."""
    found = []
    for file in sorted(site.rglob("*.html")):
        page, name = Page(), file.relative_to(site)
        page.feed(file.read_text(encoding="utf-8"))
        found += [f"{name} loads {url}" for url in page.loads if urlsplit(url).netloc]
        for url in [*page.loads, *page.links]:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc or not parts.path or name.name == "404.html":
                continue
            target = (file.parent / unquote(parts.path)).resolve()
            if not target.exists():
                found.append(f"{name} points to {url}, which is not there")
    return found


if __name__ == "__main__":
    site = Path(sys.argv[1])
    pages = list(site.rglob("*.html"))
    found = complaints(site) if pages else [f"{site} holds no page"]
    for complaint in found:
        sys.stderr.write(f"{complaint}\n")
    sys.stdout.write(f"{len(pages)} pages, {len(found)} faults\n")
    sys.exit(1 if found else 0)
