"""What is answered is what ``pathfuse predict`` writes, to the last bit."""

import io
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathfuse.evaluation.curves import divergence
from pathfuse.files.bodies import ARROW_FILE, ARROW_STREAM, PARQUET, bytes_of_table
from pathfuse.serving.batches import score_together
from pathfuse.serving.samples import given_samples
from pathfuse.serving.scoring import score


def rows_of(frame):
    return frame.to_dicts()


def without(rows, *names):
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


def same(rows, wanted, experts):
    """Every column that predict writes, and nothing but what is documented beside it."""
    for row, own in zip(rows, rows_of(wanted), strict=True):
        assert {k: row[k] for k in own} == own
        more = {k for k in row if k not in own}
        assert "missing" in more
        assert all(k == "missing" or k.startswith("disagreement") for k in more)
        assert (
            row["missing"] == [n for n in experts if own[f"weight_{n}"] == 0] or not row["missing"]
        )


def test_json_is_answered_as_predict_would(served, each_kind):
    one = served(each_kind)
    wanted = one.model.predict(one.experts)
    answer = one.client.post("/predict", json=one.body())
    assert answer.status_code == 200
    assert answer.json()["model"] == {"name": "m", "version": "1"}
    same(answer.json()["samples"], wanted, one.model.experts)


def test_a_sample_alone_is_answered_as_among_others(served, each_kind):
    one = served(each_kind)
    wanted = rows_of(one.model.predict(one.experts))[:12]
    alone = [
        one.client.post("/predict", json=one.body([row["sample_id"]])).json()["samples"][0]
        for row in wanted
    ]
    assert [{k: row[k] for k in own} for row, own in zip(alone, wanted, strict=True)] == wanted


@pytest.mark.parametrize("media_type", [PARQUET, ARROW_STREAM, ARROW_FILE])
@pytest.mark.parametrize("kind", ["multiclass", "coarse", "risk", "regression"])
def test_a_long_table_is_answered_alike(served, kind, media_type):
    one = served(kind)
    raw = bytes_of_table(one.table(), media_type)
    answer = one.client.post("/predict", content=raw, headers={"content-type": media_type})
    assert (
        answer.json()["samples"] == one.client.post("/predict", json=one.body()).json()["samples"]
    )


def test_the_answer_may_be_a_table(served):
    one = served()
    raw = bytes_of_table(one.table(), PARQUET)
    headers = {"content-type": PARQUET, "accept": PARQUET}
    answer = one.client.post("/predict", content=raw, headers=headers)
    assert answer.headers["content-type"] == PARQUET
    found, wanted = pl.read_parquet(io.BytesIO(answer.content)), one.model.predict(one.experts)
    assert found.select(wanted.columns).equals(wanted)
    assert found.columns == [*wanted.columns, "disagreement", "missing"]


def test_disagreement_is_that_of_the_report(served):
    one = served()
    rows = one.client.post("/predict", json=one.body()).json()["samples"]
    for row in rows[:20]:
        said = next(s for s in one.body([row["sample_id"]])["samples"])["experts"]
        logits = np.array([[[said[e][f"logit_c{k}"] for k in range(3)] for e in sorted(said)]])
        log_prob = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
        assert row["disagreement"] == pytest.approx(divergence(log_prob)[0], abs=1e-9)


def test_missing_experts_are_named_in_each_of_three_ways(served):
    one = served()
    body = one.body()
    (lacking, *_) = [s for s in body["samples"] if "e1" not in s["experts"]]
    absent = {"samples": [lacking]}
    null = {"samples": [{**lacking, "experts": {**lacking["experts"], "e1": None}}]}
    first, second = (
        one.client.post("/predict", json=b).json()["samples"][0] for b in (absent, null)
    )
    assert first == second
    assert first["missing"] == ["e1"]
    assert first["weight_e1"] == 0
    assert first["n_experts"] == 2


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=12), mixed=st.booleans())
def test_requests_that_are_scored_together_get_what_they_get_alone(served, cuts, mixed):
    one = served()
    samples = one.body()["samples"]
    requests, start = [], 0
    for size in cuts:
        requests.append({"samples": samples[start : start + size]})
        start += size
    if mixed:  # another layout, and one that is wrong
        requests.append(
            {"samples": [{"sample_id": "p", "experts": {"e0": {"prob_c0": 0.5, "prob_c1": 0.5}}}]}
        )
        requests.append({"samples": [{"sample_id": "w", "experts": {"e0": {"logit_c0": 1.0}}}]})
    given_ = [
        given_samples(one.model.endpoint, json.dumps(r).encode()) for r in requests if r["samples"]
    ]
    together = score_together(one.model, given_)
    for own, answer in zip(given_, together, strict=True):
        if isinstance(answer, Exception):
            assert own.ids == ["w"]
            with pytest.raises(type(answer), match="at least two classes"):
                score(one.model, own)
        else:
            assert answer.rows() == score(one.model, own).rows()


def test_who_was_fitted_on_is_said(served):
    one = served()
    rows = one.client.post("/predict", json=one.body()).json()["samples"]
    assert sum(row["seen_in_fit"] for row in rows) == 60


def test_blanks_around_a_name_are_stripped_as_predict_does(served):
    one = served()
    ids = [s["sample_id"] for s in one.body()["samples"]]
    frame = one.experts["e0"].sort("sample_id")
    columns = [name for name in frame.columns if name != "sample_id"]
    padded = [f" {name}\u00a0\t" for name in ids]
    blank = frame.with_columns(sample_id=pl.Series(padded))
    seen = one.model.predict({"e0": blank})["seen_in_fit"].to_list()
    assert sum(seen) == 60
    samples = [
        {"sample_id": name, "experts": {"e0": row}}
        for name, row in zip(padded, frame.select(columns).to_dicts(), strict=True)
    ]
    rows = one.client.post("/predict", json={"samples": samples}).json()["samples"]
    raw = bytes_of_table(blank.with_columns(expert=pl.lit("e0")), PARQUET)
    answer = one.client.post("/predict", content=raw, headers={"content-type": PARQUET})
    for found in (rows, answer.json()["samples"]):
        assert [row["sample_id"] for row in found] == ids
        assert [row["seen_in_fit"] for row in found] == seen
    inputs = [
        {"name": "sample_id", "shape": [len(ids)], "datatype": "BYTES", "data": padded},
        {"name": "e0", "shape": [len(ids), 3], "datatype": "FP64",
         "data": frame.select(columns).to_numpy().tolist()},
    ]  # fmt: skip
    body = {"inputs": inputs, "outputs": [{"name": "seen_in_fit"}]}
    (out,) = one.client.post("/v2/models/m/infer", json=body).json()["outputs"]
    assert out["data"] == seen
