"""The model card says what the run knows, whatever the endpoint, and only that."""

import re

import pytest

import pathfuse
from pathfuse.report.model_card import UNKNOWN, model_card
from pathfuse.workflows.steps.licences import licences_of


def test_licences_go_by_the_name_of_the_model():
    named = ["uni_v2", "UNI_v2_abmil", "UNI2-h_pooled_forest", "virchow2_abmil", "mine", "uni"]
    found = licences_of(named)
    assert set(found) == {"uni_v2", "UNI_v2_abmil", "UNI2-h_pooled_forest", "virchow2_abmil", "uni"}
    assert found["UNI2-h_pooled_forest"] == found["uni_v2"] == "CC-BY-NC-ND-4.0 (MahmoodLab/UNI2-h)"
    assert found["uni"] == "CC-BY-NC-ND-4.0 (MahmoodLab/UNI)"


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "survival", "regression"])
def test_a_card_says_what_every_endpoint_knows(small_study, kind):
    result = pathfuse.fuse(small_study(kind), "static_product", n_resamples=0)
    text = model_card(result.content(), {"model.json": "abc"}, {"e1": "MIT (mine)"})
    assert "- `model.json`: SHA-256 abc" in text
    assert re.search(r"\| e1 \| 0\.\d{3} \| MIT \(mine\) \|", text)
    assert re.search(rf"\| e2 \| 0\.\d{{3}} \| {UNKNOWN} \|", text)
    assert f"- pathfuse: {result.manifest['pathfuse']}" in text
    value = result.metrics.filter(method="fused", output="all").row(0, named=True)["value"]
    assert f"| fused | {value:.3f}" in text
    for line in result.manifest["warnings"]:
        assert f"- {line}" in text
    assert "None" not in text
    assert "nan" not in text.lower().split()
