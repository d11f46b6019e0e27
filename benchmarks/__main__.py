"""``make bench``: prints the tables and keeps them under ``benchmarks/results/``."""

import sys
from pathlib import Path

import polars as pl

from benchmarks.bag_fusion import bag_fusion
from benchmarks.complementary import complementary
from benchmarks.coverage import coverage
from benchmarks.dense import dense, dense_rivals, dense_strategies, dense_tokens
from benchmarks.dense_instances import counting_speed, dense_instances
from benchmarks.dense_memory import dense_memory
from benchmarks.dense_speed import dense_speed
from benchmarks.drift import drift
from benchmarks.fit_time import fit_time
from benchmarks.fuse_time import fuse_time
from benchmarks.fusion_rivals import growth, study_rivals
from benchmarks.her2st import her2st
from benchmarks.intervals import interval_rivals, null_rejection
from benchmarks.kather_features import fusion_cost, kather_features
from benchmarks.lc25000 import lc25000
from benchmarks.mil import mil
from benchmarks.online import online
from benchmarks.planted_faults import planted_faults
from benchmarks.pooled_heads import pooled_heads
from benchmarks.published import published
from benchmarks.refit import refit
from benchmarks.scoring import scoring
from benchmarks.serving import serving
from benchmarks.training_epoch import training_epoch
from benchmarks.training_speed import training_speed

TABLES = {
    "fit_time": fit_time,
    "fuse_time": fuse_time,
    "published": published,
    "study_rivals": study_rivals,
    "growth": growth,
    "coverage": coverage,
    "interval_rivals": interval_rivals,
    "null_rejection": null_rejection,
    "mil": mil,
    "pooled_heads": pooled_heads,
    "refit": refit,
    "training_speed": training_speed,
    "training_epoch": training_epoch,
    "lc25000": lc25000,
    "complementary": complementary,
    "bag_fusion": bag_fusion,
    "kather_features": kather_features,
    "fusion_cost": fusion_cost,
    "her2st": her2st,
    "planted_faults": planted_faults,
    "online": online,
    "drift": drift,
}

BY_NAME = {
    "dense": dense,
    "dense_rivals": dense_rivals,
    "dense_strategies": dense_strategies,
    "dense_tokens": dense_tokens,
    "dense_speed": dense_speed,
    "dense_memory": dense_memory,
    "dense_instances": dense_instances,
    "counting_speed": counting_speed,
    "scoring": scoring,
    "serving": serving,
}
"""Too long for ``make bench``: made by ``make bench-dense``, or when named."""


def main(names: list[str]) -> None:
    tables = TABLES | BY_NAME
    unknown = [name for name in names if name not in tables]
    if unknown:
        sys.exit(
            f"benchmarks: no table named {', '.join(unknown)}; the tables are {', '.join(tables)}"
        )
    place = Path(__file__).parent / "results"
    place.mkdir(exist_ok=True)
    for name in names or TABLES:
        table = pl.DataFrame(tables[name](), infer_schema_length=None)
        table.write_csv(place / f"{name}.csv")
        with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=80, tbl_width_chars=160):
            print(f"\n{name}\n{table}")


if __name__ == "__main__":
    main(sys.argv[1:])
