"""What a folder of features holds, in a few figures."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from pathfuse.features.folder import Broken, FeatureFolder


@dataclass(frozen=True)
class Summary:
    """One encoder's features."""

    source: str
    format: str
    granularity: str
    encoder: str | None
    dim: int
    dtypes: tuple[str, ...]
    n_slides: int
    n_tiles: int
    """In total; so many vectors."""
    min_tiles: int
    median_tiles: float
    max_tiles: int
    n_with_coords: int
    """Slides whose tiles have coordinates."""
    broken: tuple[Broken, ...]
    notes: tuple[str, ...]
    """How files were read where there was a choice, and what else there is to know."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        content = asdict(self)
        content["dtypes"], content["notes"] = list(self.dtypes), list(self.notes)
        content["broken"] = [
            {"name": b.name, "path": str(b.path), "reason": b.reason} for b in self.broken
        ]
        return content


def describe(folder: FeatureFolder) -> Summary:
    """Counts what a folder holds; reads no features."""
    slides = folder.slides.values()
    counts = [slide.n_tiles for slide in slides]
    return Summary(
        source=folder.source,
        format=folder.format,
        granularity=folder.granularity,
        encoder=folder.encoder,
        dim=folder.dim,
        dtypes=tuple(sorted({slide.dtype for slide in slides})),
        n_slides=len(counts),
        n_tiles=sum(counts),
        min_tiles=min(counts),
        median_tiles=float(median(counts)),
        max_tiles=max(counts),
        n_with_coords=sum(slide.has_coords for slide in slides),
        broken=folder.broken,
        notes=folder.warnings,
    )
