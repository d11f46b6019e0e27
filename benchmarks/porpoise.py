"""Cases of TCGA with expression, mutations and survival, from the tables of PORPOISE (Chen et al.
2022)."""

import io
import zipfile
from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.feature_files import SHARED

PLACE = SHARED / "porpoise_tcga_survival" / "datasets_csv_mutsig"


@dataclass(frozen=True)
class Cases:
    """One row per case of a cancer, sorted by id."""

    table: pl.DataFrame
    """``case_id``, ``survival_months``, ``event`` and every column of the source."""
    expression: np.ndarray
    """Standardised by its makers, (case, gene)."""

    @property
    def ids(self) -> list[str]:
        """Barcodes of the cases."""
        return self.table["case_id"].to_list()


def cases(cancer: str, most: int) -> Cases:
    """Some cases of a cancer, drawn with seed 0, the first slide of each; blank expression is 0.

    Args:
        cancer: ``blca``, ``brca``, ``kirc``, ``lusc``.
        most: How many at most.
    """
    with zipfile.ZipFile(PLACE / f"tcga_{cancer}_all_clean.csv.zip") as file:
        content = file.read(file.namelist()[0])
    table = pl.read_csv(io.BytesIO(content), infer_schema_length=None)
    table = table.unique("case_id", keep="first", maintain_order=True).sort("case_id")
    drawn = np.random.default_rng(0).permutation(len(table))[:most]
    table = table[np.sort(drawn)].with_columns(event=1 - pl.col("censorship").cast(pl.Int64))
    genes = [name for name in table.columns if name.endswith("_rnaseq")]
    return Cases(table, np.nan_to_num(table.select(genes).to_numpy().astype(np.float64)))
