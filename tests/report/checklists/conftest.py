"""Small runs whose checklists are looked at."""

from collections.abc import Callable

import polars as pl
import pytest

import pathfuse
from pathfuse.report.content import Content
from pathfuse.study.study import Study

N = 40


@pytest.fixture(scope="session")
def two_experts() -> Callable[..., Study]:
    """A study of two classes; keyword arguments are columns of the samples table, None drops one."""

    def read(**columns: list[str] | list[str | None] | list[int] | None) -> Study:
        table = {
            "sample_id": [f"s{i}" for i in range(N)],
            "patient_id": [f"p{i // 2}" for i in range(N)],
            "split": ["fit"] * 20 + ["test"] * 20,
            "label": ["normal", "tumor"] * 20,
            **columns,
        }
        samples = pl.DataFrame({name: one for name, one in table.items() if one is not None})
        experts = {
            name: pl.DataFrame(
                {
                    "sample_id": samples["sample_id"],
                    "prob_normal": p,
                    "prob_tumor": [1 - x for x in p],
                }
            )
            for name, p in (
                ("uni", [0.6 + 0.01 * (i % 7) - 0.3 * (i % 2) for i in range(N)]),
                ("conch", [0.7 - 0.02 * (i % 5) - 0.2 * (i % 2) for i in range(N)]),
            )
        }
        return pathfuse.read_study(samples, experts)

    return read


@pytest.fixture(scope="session")
def content(two_experts: Callable[..., Study]) -> Content:
    """Of a fusion."""
    return pathfuse.fuse(
        two_experts(), method="static_product", n_resamples=200, title="Tumour in slides | a study"
    ).content()


@pytest.fixture(scope="session")
def evaluated(two_experts: Callable[..., Study]) -> Content:
    """Of an evaluation whose fit rows chose the best expert."""
    return pathfuse.evaluate(two_experts(), n_resamples=0).content()


@pytest.fixture(scope="session")
def evaluated_alone(two_experts: Callable[..., Study]) -> Content:
    """Of an evaluation of judged rows only."""
    return pathfuse.evaluate(two_experts(split=None), n_resamples=0).content()
