"""What checklists say of rows, partitions and outcomes."""

from dataclasses import replace

import polars as pl
import pytest

import pathfuse
from pathfuse.report.checklists import answers, data
from pathfuse.report.checklists.base import filled
from pathfuse.report.checklists.claim import CLAIM
from pathfuse.report.checklists.tripod_ai import TRIPOD_AI
from pathfuse.report.content import Content


def test_one_partition_is_disjoint_from_nothing(content, evaluated, evaluated_alone):
    refused = "By patient: a patient in two partitions is refused."
    assert data.disjoint(content) == data.disjoint(evaluated) == refused
    assert data.disjoint(evaluated_alone) == ""
    in_folds = replace(evaluated_alone, manifest={**evaluated_alone.manifest, "folds": 5})
    assert data.disjoint(in_folds) == refused


def test_rows_without_a_patient_are_not_disjoint_by_patient(two_experts):
    patients = [None] * 3 + [f"p{i // 2}" for i in range(3, 36)] + [None] * 4
    found = pathfuse.evaluate(two_experts(patient_id=patients), n_resamples=0).content()
    assert data.disjoint(found) == "By patient where one is given; 7 rows have none."
    none = pathfuse.evaluate(two_experts(patient_id=None), n_resamples=0).content()
    assert data.disjoint(none).startswith("By sample: no patients were given")


def test_rows_without_a_patient_count_once_in_folds(content):
    rows = {**content.manifest["rows"], "fit_without_patient": 1, "judged_without_patient": 1}
    manifest = {**content.manifest, "rows": rows, "folds": 4}
    found = data.disjoint(replace(content, manifest=manifest, certificate=None))
    assert found == "By patient where one is given; 1 row has none."


def test_an_evaluation_fits_nothing(evaluated, evaluated_alone):
    assert "nothing was fitted" in answers.objective(evaluated)
    assert data.partitions(evaluated) == (
        "Evaluated on 20 samples of 10 patients; the best expert was chosen on 20 samples of 10 patients."
    )
    for checklist in (TRIPOD_AI, CLAIM):
        for content in (evaluated, evaluated_alone):
            for one in filled(checklist, content).items:
                assert "itted on" not in one.answer, one
                assert "to fit on" not in one.answer, one
                assert "the fusion" not in one.answer.lower(), one


def test_the_folds_of_an_evaluation_choose_the_best_expert(evaluated_alone):
    found = replace(evaluated_alone, manifest={**evaluated_alone.manifest, "folds": 5})
    assert data.partitions(found).startswith("5 outer folds: the best expert chosen on the others")


def test_without_development_data_nothing_is_compared_with_it(content, evaluated, evaluated_alone):
    compared = [one for one in TRIPOD_AI.items if one.number in ("16", "20c")]
    compared += [one for one in CLAIM.items if one.number == "34"]
    for one in compared:
        assert one.fill(content) == one.fill(evaluated)
        assert one.fill(content) == "characteristics.csv has them by partition (fit, judged)."
        assert one.fill(evaluated_alone) == ""
    assert data.characteristics(evaluated_alone) == "characteristics.csv has them."


def _sites(values: dict[str, float | None]) -> pl.DataFrame:
    rows = [(site, value) for site, value in values.items() for _ in range(2)]
    return pl.DataFrame(rows, schema={"site": pl.String, "value": pl.Float64}, orient="row")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"A": 0.5, "B": None, "C": 0.7, "(none)": 0.1},
            "3 sites, 2 of them with enough patients for figures (sites.csv).",
        ),
        (
            {"A": None, "B": None},
            "2 sites, none of them with enough patients for figures (sites.csv).",
        ),
        ({"(none)": 0.5}, ""),
    ],
)
def test_sites_without_figures_have_no_results(content, values, expected):
    assert data.clusters(replace(content, sites=_sites(values))) == expected


def _of_time(content: Content, edges: list[str], horizon: float | None) -> Content:
    endpoint = {"kind": "survival", "time_edges": edges, "censoring": "later"}
    return replace(
        content,
        manifest={**content.manifest, "endpoint": endpoint, "positive_class": None,
                  "utility": None if horizon is None else {"horizon": horizon}},
    )  # fmt: skip


def test_survival_names_its_bins_and_its_horizon(content):
    edges = ["0.0", "7.26", "14.92", "inf"]
    found = data.outcome(_of_time(content, edges, 14.92))
    assert "Edges of the bins of time: 0, 7.26, 14.92, inf." in found
    assert found.endswith("Horizon of the decision curves: 14.92.")
    assert "orizon" not in data.outcome(_of_time(content, edges, None))
    many = data.outcome(_of_time(content, [*map(str, range(30)), "inf"], None))
    assert many.endswith("8, 9, ..., inf.")
    assert "Edges" not in data.outcome(content)


def test_outcomes_are_of_patients_where_these_are_judged(two_experts, content):
    assert data.participants(content).endswith(" Outcomes: 10 normal, 10 tumor.")
    one_each = ["normal", "normal", "tumor", "tumor"] * 10
    by_patient = pathfuse.evaluate(two_experts(label=one_each), unit="patient", n_resamples=0)
    assert data.participants(by_patient.content()) == (
        "20 samples of 10 patients were evaluated on. Outcomes of the patients: 5 normal, 5 tumor."
    )
