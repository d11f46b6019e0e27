"""Section ``failures``: the worst predictions, with each expert's word."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pathfuse.endpoints.detect import ENDPOINTS
from pathfuse.report.content import Content
from pathfuse.report.drawings import Drawing
from pathfuse.report.sections.base import Section

PREFIX = "expert_"
NAME = "failures"


def _draw(_: Content) -> list[Drawing]:
    return []


def _shown(content: Content) -> Mapping[str, Any] | None:
    table = content.tables.get(NAME)
    if table is None:
        return None
    kind = ENDPOINTS[content.kind]
    experts = [name for name in table.columns if name.startswith(PREFIX)]
    experts = [name for name in experts if name.removeprefix(PREFIX) in content.manifest["experts"]]
    there = {name for name in table.columns if table[name].is_not_null().any()}
    return {
        **content.manifest[NAME],
        "rows": table.to_dicts(),
        "several": table["output"].n_unique() > 1,
        "experts": [(name, name.removeprefix(PREFIX)) for name in experts],
        "there": there,
        "of_numbers": kind.of_numbers,
        "in_time": kind.in_time,
        "several_patients": _differ(table, there),
    }


def _differ(table: pl.DataFrame, there: set[str]) -> bool:
    """Whether patients are called otherwise than samples."""
    if not {"sample_id", "patient_id"} <= there:
        return False
    return bool((table["sample_id"] != table["patient_id"]).any())


SECTION = Section(
    NAME, "The worst predictions", "disagreement", _draw, _shown, printed=("failures",)
)
