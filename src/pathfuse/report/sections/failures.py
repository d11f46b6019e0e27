"""Section ``failures``: the worst predictions, with each expert's word."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pathfuse.endpoints.base import Endpoint
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
        "sentence": _sentence(kind, **content.manifest[NAME]),
        "several_patients": _differ(table, there),
    }


def _sentence(
    kind: type[Endpoint], *, wrong: int, wrong_with_an_expert_right: int, **_: object
) -> str:
    """How many of the predictions are wrong, and in how many of these an expert was right."""
    right = wrong_with_an_expert_right
    if kind.in_time:
        return "An expert is right here if it gave what happened more than half of the probability."
    if kind.of_numbers and right:
        return f"In {right} of them at least one expert erred at most half as much."
    if kind.of_numbers:
        return "In none of them did an expert err at most half as much."
    if not wrong:
        return "None of them is wrong."
    if wrong == 1:
        return (
            f"1 of them is wrong, and {'at least one' if right else 'no'} expert was right there."
        )
    if not right:
        return f"{wrong} of them are wrong, and no expert was right in any of these."
    return f"{wrong} of them are wrong; in {right} of these at least one expert was right."


def _differ(table: pl.DataFrame, there: set[str]) -> bool:
    """Whether patients are called otherwise than samples."""
    if not {"sample_id", "patient_id"} <= there:
        return False
    return bool((table["sample_id"] != table["patient_id"]).any())


SECTION = Section(
    NAME, "The worst predictions", "disagreement", _draw, _shown, printed=("failures",)
)
