"""A published work, as a report and the documentation cite it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """One entry of a list of references, as text and as BibTeX."""

    key: str
    kind: str
    fields: dict[str, str]

    @property
    def text(self) -> str:
        """Authors. Title. Place, year."""
        place = (
            self.fields.get("journal")
            or self.fields.get("publisher")
            or self.fields.get("howpublished", "")
        )
        volume = f" {self.fields['volume']}" if "volume" in self.fields else ""
        pages = f", {self.fields['pages'].replace('--', '–')}" if "pages" in self.fields else ""
        authors = (
            f"{self.fields['author'].replace(' and others', ' et al.').replace(' and ', ', ').rstrip('.')}. "
            if "author" in self.fields
            else ""
        )
        return f"{authors}{self.fields['title']}. {place}{volume}{pages} ({self.fields['year']})."

    @property
    def bibtex(self) -> str:
        """A BibTeX entry."""
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in self.fields.items())
        return f"@{self.kind}{{{self.key},\n{body}\n}}"


def article(
    key: str, author: str, title: str, journal: str, volume: str, pages: str, year: str
) -> Reference:
    """An article; empty fields are left out."""
    fields = {
        "author": author,
        "title": title,
        "journal": journal,
        "volume": volume,
        "pages": pages,
        "year": year,
    }
    return Reference(key, "article", {name: value for name, value in fields.items() if value})
