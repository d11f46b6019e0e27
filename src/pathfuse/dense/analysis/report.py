"""Token similarity of several encoders as a table, a figure and a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from jaxtyping import Float64
from matplotlib.ticker import MaxNLocator

from pathfuse.dense.analysis.token_similarity import ACROSS, GAP, WITHIN, TokenSimilarity
from pathfuse.evaluation.intervals import Sampled, percentile_interval
from pathfuse.evaluation.resampling import MIN_PATIENTS, draw
from pathfuse.files.write import write_file, write_json, write_text_file
from pathfuse.report.drawings import Drawing, save_drawings
from pathfuse.report.template import render_page
from pathfuse.report.theme import OURS, STYLE, THEIRS, panels, plain

TABLE, PAGE, FIGURES, MANIFEST = "tokens.csv", "tokens.html", "figures", "manifest.json"
COLUMNS: dict[str, type[pl.DataType]] = {
    "encoder": pl.String, "layer": pl.Int64, "pairs": pl.String, "similarity": pl.Float64,
    "ci_low": pl.Float64, "ci_high": pl.Float64, "n_images": pl.Int64, "n_patients": pl.Int64,
}  # fmt: skip


def table_of(
    found: Sequence[TokenSimilarity], n_resamples: int = 1000, seed: int = 0
) -> pl.DataFrame:
    """``COLUMNS``: means over images, with intervals that draw patients.

    Args:
        found: One per encoder.
        n_resamples: Bootstrap resamples.
        seed: Of the draw.
    """
    rows: list[dict[str, Any]] = []
    for one in found:
        patients = np.unique(one.patients, return_inverse=True)[1].reshape(-1)
        n = int(patients.max()) + 1
        counts = draw(
            patients, np.zeros_like(patients), n_resamples if n >= MIN_PATIENTS else 0, seed
        ).counts
        for pairs, values in (
            (WITHIN, one.within),
            (ACROSS, one.across),
            (GAP, one.within - one.across),
        ):
            limits = _limits(values, patients, counts, n)
            for layer, mean in enumerate(values.mean(axis=0)):
                low, high = limits[layer] if len(limits) else (None, None)
                rows.append({
                    "encoder": one.encoder, "layer": layer + 1, "pairs": pairs,
                    "similarity": float(mean), "ci_low": low, "ci_high": high,
                    "n_images": len(one.image_ids), "n_patients": n,
                })  # fmt: skip
    return pl.DataFrame(rows, schema=COLUMNS)


def _limits(
    values: Float64[np.ndarray, "image layer"],
    patients: np.ndarray,
    counts: np.ndarray,
    n: int,
) -> list[tuple[float, float]]:
    if not len(counts):
        return []
    member = np.eye(n)[patients]
    means = (counts @ (member.T @ values)) / (counts @ member.sum(axis=0))[:, None]
    tail = Sampled(n).tail()
    found = [percentile_interval(column, tail) for column in means.T]
    return [(one.low, one.high) for one in found]


def drawing(table: pl.DataFrame) -> Drawing:
    """Similarity by layer, a panel per encoder."""
    encoders = table["encoder"].unique(maintain_order=True).to_list()
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(encoders), height=2.9)
        for panel, encoder in zip(axes, encoders, strict=True):
            for pairs, colour, line in ((WITHIN, OURS, "-"), (ACROSS, THEIRS, "--")):
                own = table.filter((pl.col("encoder") == encoder) & (pl.col("pairs") == pairs))
                panel.plot(
                    own["layer"], own["similarity"], line, color=colour, marker="o", ms=4,
                    label=f"{pairs} classes" if pairs == ACROSS else f"{pairs} a class",
                )  # fmt: skip
                if own["ci_low"].is_not_null().all():
                    panel.fill_between(
                        own["layer"], own["ci_low"], own["ci_high"], color=colour, alpha=0.18, lw=0
                    )
            panel.set_title(plain(encoder))
            panel.set_xlabel("layer")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.grid()
        axes[0].set_ylabel("cosine similarity of tokens")
        axes[0].legend()
    caption = (
        "Mean cosine similarity of two patch tokens of one image, of the same class and of different "
        "classes, after every layer; bands are 95 % intervals by patient. The further the lines lie "
        "apart, the more a class shows in the tokens themselves."
    )
    return Drawing("token_similarity", caption, f"Lines by layer. {caption}", figure)


def write_tokens(
    found: Sequence[TokenSimilarity], manifest: Mapping[str, Any], folder: Path
) -> pl.DataFrame:
    """Fills a folder with ``tokens.csv``, ``tokens.html``, the figure as SVG and PDF, and ``manifest.json``.

    Returns:
        The table.
    """
    table = table_of(found)
    shown = drawing(table)
    last = table.filter(pl.col("layer") == pl.col("layer").max().over("encoder"))
    rows = [
        {
            "encoder": one.encoder,
            **{row["pairs"]: row for row in last.filter(pl.col("encoder") == one.encoder).iter_rows(named=True)},
        }
        for one in found
    ]  # fmt: skip
    page = render_page(
        "dense/analysis/tokens.html",
        {},
        title="Token similarity",
        rows=rows,
        kinds=[WITHIN, ACROSS, GAP],
        figure=shown.inline(),
        caption=shown.caption,
        manifest=manifest,
    )
    write_file(table, folder / TABLE, force=True)
    write_text_file(page, folder / PAGE, force=True)
    save_drawings([shown], folder / FIGURES)
    write_json(dict(manifest), folder / MANIFEST)
    return table
