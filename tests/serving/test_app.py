"""What is wrong gets a status and a sentence, and the server stays up."""

import json
import logging
import threading
import time

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from pathfuse.files.bodies import PARQUET, READERS, bytes_of_table
from pathfuse.serving import app as application
from pathfuse.serving.app import create_app
from pathfuse.serving.logs import JsonLines
from pathfuse.serving.settings import Limits, Settings, digest_of_token

SAMPLE = {
    "sample_id": "n1",
    "experts": {"e0": {"logit_c0": 1.0, "logit_c1": 0.0, "logit_c2": -1.0}},
}
TOKEN = "a-token-of-some-length"  # noqa: S105 - of these tests


def with_expert(said, name="e0"):
    return {"samples": [{"sample_id": "n1", "experts": {name: said}}]}


def tokens_of(text):
    return {"authorization": text}


WRONG = {
    "no JSON": (b"{", 400, "the body is not JSON"),
    "nothing": (b"", 400, "the body is not JSON"),
    "no text": (b"\xff\xfe", 400, "the body is not JSON"),
    "deep": (b"[" * 100_000, 400, "the body is not JSON"),
    "another form": ({"rows": []}, 422, "'samples' is missing"),
    "no sample": ({"samples": []}, 422, "'samples' is empty"),
    "a word": (with_expert({"logit_c0": "high"}), 422, "must be a number"),
    "a number as a word": (with_expert({"logit_c0": "1.5"}), 422, "must be a number"),
    "null": (with_expert({"logit_c0": None}), 422, "must be a number"),
    "twice": ({"samples": [SAMPLE, SAMPLE]}, 422, "'n1' is there twice"),
    "twice but for blanks": (
        {"samples": [SAMPLE, {**SAMPLE, "sample_id": " n1\t"}]}, 422, "'n1' is there twice",
    ),
    "a name of blanks": ({"samples": [{**SAMPLE, "sample_id": " \u00a0"}]}, 422, "sample 1 is empty"),
    "unknown expert": (with_expert({"logit_c0": 1.0}, "gigapath"), 422, "does not know the expert"),
    "another label space": (
        with_expert({"logit_a": 1.0, "logit_b": 2.0}), 422, "no sample has the label 'a'",
    ),
    "a misspelled column": (with_expert({"logit_c0": 1.0, "lgit_c1": 2.0}), 422, "'lgit_c1'"),
    "one class": (with_expert({"logit_c0": 1.0}), 422, "at least two classes"),
    "no probabilities": (with_expert({"prob_c0": 0.1, "prob_c1": 0.2}), 422, "sum to 0.3"),
    "NaN": (b'{"samples":[{"sample_id":"n1","experts":{"e0":{"logit_c0":NaN,"logit_c1":0}}}]}', 422,
            "empty or not a number"),
    "infinite": (b'{"samples":[{"sample_id":"n1","experts":{"e0":{"logit_c0":1e999,"logit_c1":0}}}]}',
                 422, "infinite"),
    "no expert": ({"samples": [{"sample_id": "n1", "experts": {}}]}, 422, "no expert scored"),
    "all null": (with_expert(None), 422, "no expert scored"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_body_is_answered_with_a_sentence(served, case):
    content, status, words = WRONG[case]
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    client = served().client
    answer = client.post("/predict", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert len(answer.json()["error"]) < 400
    assert client.post("/predict", json={"samples": [SAMPLE]}).status_code == 200


@pytest.mark.parametrize(
    "raw", [b"", b"PAR1", b"PAR1" * 9, b"ARROW1\0\0" + b"\xff" * 99, b"\xff" * 500]
)
@pytest.mark.parametrize("kind", ["parquet", "arrow.stream", "arrow.file"])
def test_a_damaged_table_is_answered_with_a_sentence(served, kind, raw):
    headers = {"content-type": f"application/vnd.apache.{kind}"}
    answer = served().client.post("/predict", content=raw, headers=headers)
    assert answer.status_code == 400
    assert "is not a complete" in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop("expert"), "no column 'expert'"),
        (lambda t: t.drop("sample_id"), "no column 'sample_id'"),
        (lambda t: t.vstack(t), "occurs twice"),
        (lambda t: t.clear(), "has no row"),
        (lambda t: t.with_columns(sample_id=pl.lit("x" * 9999)), "a text is longer than may be"),
        (lambda t: t.with_columns(logit_c0=pl.lit("high")), "'high' is not a number"),
        (lambda t: t.with_columns(expert=pl.lit(None)), "row 1 is empty"),
        (lambda t: t.rename({"logit_c0": "logit_x"}), "no sample has the label 'x'"),
    ],
)
def test_a_wrong_table_is_answered_with_a_sentence(served, change, words):
    one = served()
    raw = bytes_of_table(change(one.table()), PARQUET)
    answer = one.client.post("/predict", content=raw, headers={"content-type": PARQUET})
    assert answer.status_code == 422
    assert words in answer.json()["error"]


COLUMNS = {"multiclass": "c0", "coarse": "none", "multilabel": "kras", "survival": "1", "risk": "1",
           "regression": "ki67"}  # fmt: skip


@pytest.mark.parametrize("cells", ["of all", "of one", "of none"])
@pytest.mark.parametrize("spelled", ["Logit_{0}", "logits_{0}", "Mean_{0}", "foo"])
def test_a_column_that_carries_no_prediction_is_refused_in_a_table(
    served, each_kind, spelled, cells
):
    one, name = served(each_kind), spelled.format(COLUMNS[each_kind])
    who = {"of all": pl.lit(True), "of one": pl.col("expert") == "e1", "of none": pl.lit(False)}
    table = one.table().with_columns(pl.when(who[cells]).then(1.0).alias(name))
    answer = one.client.post(
        "/predict", content=bytes_of_table(table, PARQUET), headers={"content-type": PARQUET}
    )
    assert answer.status_code == 422
    assert f"'{name}' is no column of predictions" in answer.json()["error"]


@pytest.mark.parametrize("spelled", ["Logit_c1", "logits_c1", "logit c1"])
def test_a_column_that_is_spelled_wrong_is_not_as_none(served, spelled):
    one = served()
    table = one.table().rename({"logit_c1": spelled})
    answer = one.client.post(
        "/predict", content=bytes_of_table(table, PARQUET), headers={"content-type": PARQUET}
    )
    assert answer.status_code == 422
    assert f"'{spelled}' is no column of predictions" in answer.json()["error"]


@pytest.mark.parametrize("media_type", [PARQUET, "application/json"])
def test_a_column_that_is_not_read_beside_others_is_refused(served, media_type):
    one = served("survival")
    said = {**dict.fromkeys(("hazard_logit_1", "hazard_logit_2", "hazard_logit_3"), 0.0),
            "hazard_9": 0.5}  # fmt: skip
    whole = pl.DataFrame([{"sample_id": "n1", "expert": "e0", **said}])
    body = json.dumps(with_expert(said)).encode()
    raw = bytes_of_table(whole, PARQUET) if media_type == PARQUET else body
    answer = one.client.post("/predict", content=raw, headers={"content-type": media_type})
    assert answer.status_code == 422
    assert "'hazard_9' is not read" in answer.json()["error"]


@pytest.mark.parametrize("media_type", READERS)
def test_a_table_of_lists_is_refused(served, media_type):
    raw = bytes_of_table(served().table().with_columns(logit_c0=pl.lit([1.0])), media_type)
    answer = served().client.post("/predict", content=raw, headers={"content-type": media_type})
    assert answer.status_code == 400
    assert "table of texts and numbers" in answer.json()["error"]


def test_the_body_is_limited_also_where_no_length_is_said(ask):
    limits = Limits(body_bytes=1000)
    long = json.dumps({"samples": [SAMPLE]}).encode() + b" " * 1000
    parts = (long[k : k + 100] for k in range(0, len(long), 100))
    for content in (long, parts):
        answer = ask(content, limits)
        assert answer.status_code == 413
        assert "more than 1,000 bytes" in answer.json()["error"]
    assert ask({"samples": [SAMPLE]}, limits).status_code == 200


def test_rows_are_limited_in_every_kind_of_body(ask, served):
    limits = Limits(rows=3)
    many = {"samples": [{**SAMPLE, "sample_id": f"n{k}"} for k in range(4)]}
    answer = ask(many, limits)
    assert answer.status_code == 413
    assert "4 samples, but 3 are allowed" in answer.json()["error"]
    headers = {"content-type": PARQUET}
    answer = ask(bytes_of_table(served().table(), PARQUET), limits, headers=headers)
    assert answer.status_code == 413
    data = {"name": "e0", "shape": [4, 3], "datatype": "FP64", "data": [0.0] * 12}
    assert ask({"inputs": [data]}, limits, path="/v2/models/m/infer").status_code == 413


def test_a_request_that_takes_too_long_is_given_up(ask, monkeypatch):
    going = threading.Event()

    def slow(model, requests):
        going.wait(5)
        return [ValueError() for _ in requests]

    monkeypatch.setattr("pathfuse.serving.batches.score_together", slow)
    answer = ask({"samples": [SAMPLE]}, Limits(seconds=0.1))
    going.set()
    assert answer.status_code == 503
    assert "no answer within 0.1 seconds" in answer.json()["error"]
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(("limit", "small"), [("MOST_WAITING", 10**9), ("MOST_LARGE", 0)])
def test_more_than_can_wait_are_sent_away(ask, monkeypatch, limit, small):
    monkeypatch.setattr(f"pathfuse.serving.batches.{limit}", 0)
    monkeypatch.setattr(application, "SMALL_BODY", small)
    answer = ask({"samples": [SAMPLE]})
    assert answer.status_code == 503
    assert "too many requests wait" in answer.json()["error"]


def test_large_requests_are_answered_like_small_ones(served, monkeypatch):
    one = served()
    small = one.client.post("/predict", json=one.body()).json()
    monkeypatch.setattr(application, "SMALL_BODY", 10)
    assert one.client.post("/predict", json=one.body()).json() == small
    monkeypatch.setattr(application, "SMALL_BODY", 10**9)
    monkeypatch.setattr(application, "TOGETHER", 1)
    assert one.client.post("/predict", json=one.body()).json() == small
    wrong = one.client.post("/predict", json=with_expert({"logit_x": 1.0, "logit_c1": 1.0}))
    assert wrong.status_code == 422


def test_other_types_and_compressed_bodies_are_refused(ask):
    assert ask(b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert ask(b"{}", headers={"content-encoding": "gzip"}).status_code == 415


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong", 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN}", 200),
    ],
)
def test_the_token_is_asked_for(ask, text, status):
    headers = {} if text is None else {"authorization": text}
    answer = ask({"samples": [SAMPLE]}, digest=digest_of_token(TOKEN), headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer TOKEN" in answer.json()["error"]
        assert TOKEN not in answer.text


def test_only_health_is_answered_without_the_token(served):
    client = TestClient(
        create_app(served().model, Settings("m", "1", Limits(), digest_of_token(TOKEN)))
    )
    open_to_all = {p for p in ADDRESSES if client.get(p).status_code == 200}
    assert open_to_all == {"/v2/health/live", "/v2/health/ready"}
    assert {client.get(p).status_code for p in ADDRESSES} == {200, 401}
    found = client.get("/openapi.json", headers={"authorization": f"Bearer {TOKEN}"}).json()
    assert found["security"] == [{"token": []}]


ADDRESSES = ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/m", "/v2/models/m/ready",
             "/metrics", "/openapi.json")  # fmt: skip


def test_every_address_answers(served):
    client = served().client
    for path in ADDRESSES:
        assert client.get(path).status_code == 200
    for path in ("/docs", "/redoc", "/", "/v2/models/other", "/v2/models/other/ready"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"].startswith("there is no")
    assert client.get("/predict").status_code == 405


class Listener(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(JsonLines().format(record))


@pytest.fixture
def listener():
    own = Listener()
    logger = logging.getLogger("pathfuse.serving")
    level = logger.level
    logger.addHandler(own)
    logger.setLevel(logging.INFO)
    yield own
    logger.removeHandler(own)
    logger.setLevel(level)


def test_a_line_of_the_log_holds_nothing_of_a_sample(ask, listener):
    said = {"sample_id": "SECRET-17", "experts": {"e0": {"logit_c0": 0.123456, "logit_c1": 0.0}}}
    answers = [
        ask({"samples": [said]}),
        ask({"samples": [{**said, "experts": {"e0": {"logit_c0": 1, "logit_SECRET": 2}}}]}),
        ask(b"{}", path="/SECRET/path?patient=SECRET"),
    ]
    assert len(listener.lines) == 3
    for line, answer in zip(listener.lines, answers, strict=True):
        found = json.loads(line)
        assert "SECRET" not in line
        assert "0.1234" not in line
        assert found["status"] == answer.status_code
        assert found["request_id"] == answer.headers["x-request-id"]
        assert set(found) == {
            "time", "level", "event", "request_id", "method", "route", "status", "ms", "rows", "pid",
        }  # fmt: skip
    assert json.loads(listener.lines[0])["rows"] == 1


def test_a_fault_of_ours_is_a_sentence_and_its_place_is_logged(ask, monkeypatch, listener):
    def broken(*_):
        raise ZeroDivisionError("SECRET")

    monkeypatch.setattr("pathfuse.serving.batches.score", broken)
    answer = ask({"samples": [SAMPLE]})
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("a fault of pathfuse")
    assert "Traceback" not in answer.text
    (line,) = listener.lines
    assert json.loads(line)["error"] == "ZeroDivisionError"
    assert any("test_app.py" in place for place in json.loads(line)["at"])
    assert "SECRET" not in line


def test_prometheus_reads_what_happened(served):
    one = served()
    client = TestClient(create_app(one.model, Settings("m", "1")))
    client.post("/predict", json=one.body())
    client.post("/predict", json={})
    lines = client.get("/metrics").text.splitlines()
    n = len(one.body()["samples"])
    absent = n - one.experts["e1"].height
    assert f"pathfuse_samples_total {float(n)}" in lines
    assert f'pathfuse_missing_experts_total{{expert="e1"}} {float(absent)}' in lines
    assert 'pathfuse_requests_total{route="/predict",status="200"} 1.0' in lines
    assert 'pathfuse_refused_total{status="422"} 1.0' in lines
    assert 'pathfuse_request_seconds_count{route="/predict"} 2.0' in lines


def test_health_is_answered_while_a_large_request_is_scored(served, monkeypatch):
    one = served()
    scoring, release = threading.Event(), threading.Event()

    def slow(model, given):
        scoring.set()
        release.wait(10)
        return np.asarray

    monkeypatch.setattr(application, "score", slow)
    monkeypatch.setattr(application, "TOGETHER", 0)
    with TestClient(create_app(one.model, Settings("m", "1"))) as client:
        work = threading.Thread(target=client.post, args=("/predict",), kwargs={"json": one.body()})
        work.start()
        assert scoring.wait(10)
        begun = time.perf_counter()
        assert client.get("/v2/health/live").status_code == 200
        assert time.perf_counter() - begun < 5
        release.set()
        work.join()
