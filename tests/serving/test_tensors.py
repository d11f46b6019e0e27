"""The Open Inference Protocol: names and shapes from the metadata, NaN for who did not score."""

import numpy as np
import pytest

INFER = "/v2/models/m/infer"


def tensors_of(one, ids):
    """What the experts say, in the columns of the metadata; null where one did not score."""
    about = one.client.get("/v2/models/m").json()
    said = {sample["sample_id"]: sample["experts"] for sample in one.body(ids)["samples"]}
    inputs = []
    for tensor in about["inputs"]:
        if tensor["name"] == "sample_id":
            inputs.append({**tensor, "shape": [len(ids)], "data": ids})
            continue
        columns = tensor["parameters"]["columns"]
        rows = [said[i].get(tensor["name"]) for i in ids]
        data = [[None] * len(columns) if r is None else [r[c] for c in columns] for r in rows]
        del tensor["parameters"]
        inputs.append({**tensor, "shape": [len(ids), len(columns)], "data": data})
    return inputs


def test_tensors_are_answered_as_samples_are(served, each_kind):
    one = served(each_kind)
    ids = [s["sample_id"] for s in one.body()["samples"]][:30]
    rows = one.client.post("/predict", json=one.body(ids)).json()["samples"]
    answer = one.client.post(INFER, json={"id": "x", "inputs": tensors_of(one, ids)})
    assert answer.status_code == 200
    content = answer.json()
    assert (content["model_name"], content["model_version"], content["id"]) == ("m", "1", "x")
    outputs = {out["name"]: out for out in content["outputs"]}
    found = outputs["fused"]
    for k, column in enumerate(found["parameters"]["columns"]):
        values = np.array(found["data"], dtype=object).reshape(found["shape"])[:, k]
        assert values.tolist() == [row[column] for row in rows]
    weights = np.array(outputs["weights"]["data"]).reshape(outputs["weights"]["shape"])
    assert weights.tolist() == [[row[f"weight_{e}"] for e in one.model.experts] for row in rows]
    for name in ("prediction", "n_experts", "seen_in_fit"):
        assert outputs[name]["data"] == [row[name] for row in rows]
    sets = [name for name in rows[0] if name.startswith("prediction_set")]
    for name in sets:
        out = outputs[name]
        inside = np.array(out["data"]).reshape(out["shape"])
        members = [np.array(out["parameters"]["columns"])[row].tolist() for row in inside]
        assert members == [row[name] or [] for row in rows]


def test_the_outputs_are_those_of_the_metadata(served, each_kind):
    one = served(each_kind)
    ids = [one.body()["samples"][0]["sample_id"]]
    listed = one.client.get("/v2/models/m").json()["outputs"]
    given = one.client.post(INFER, json={"inputs": tensors_of(one, ids)}).json()["outputs"]
    shown = [
        {k: v for k, v in {**out, "shape": [-1, *out["shape"][1:]]}.items() if k != "data"}
        for out in given
    ]
    assert shown == listed


def test_flat_data_and_single_precision(served):
    one = served()
    ids = [s["sample_id"] for s in one.body()["samples"]][:5]
    nested = tensors_of(one, ids)
    flat = [
        t if t["name"] == "sample_id" else {**t, "data": [c for row in t["data"] for c in row]}
        for t in nested
    ]
    whole = one.client.post(INFER, json={"inputs": nested}).json()
    assert one.client.post(INFER, json={"inputs": flat}).json() == whole
    single = [t if t["name"] == "sample_id" else {**t, "datatype": "FP32"} for t in nested]
    found = one.client.post(INFER, json={"inputs": single}).json()["outputs"][0]["data"]
    assert found != whole["outputs"][0]["data"]
    assert found == pytest.approx(whole["outputs"][0]["data"], abs=1e-5)


def test_columns_may_be_named_and_outputs_chosen(served):
    one = served()
    tensor = {"name": "e0", "shape": [1, 2], "datatype": "FP64", "data": [0.2, 0.8],
              "parameters": {"columns": ["prob_c0", "prob_c2"]}}  # fmt: skip
    body = {"inputs": [tensor], "outputs": [{"name": "prediction"}]}
    (out,) = one.client.post(INFER, json=body).json()["outputs"]
    assert out == {"name": "prediction", "datatype": "BYTES", "shape": [1], "data": ["c2"]}


def tensor(**changed):
    return {"name": "e0", "shape": [1, 3], "datatype": "FP64", "data": [1.0, 0.0, 0.0], **changed}


def named(*ids):
    return {"name": "sample_id", "shape": [len(ids)], "datatype": "BYTES", "data": list(ids)}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([tensor(name="gigapath")], "does not know this expert"),
        ([tensor(shape=[1, 4])], "the shape must be [samples, 3]"),
        ([tensor(shape=[3])], "the shape must be [samples, 3]"),
        ([tensor(shape=[0, 3], data=[])], "no sample"),
        ([tensor(data=[1.0, 2.0])], "do not fit the shape"),
        ([tensor(shape=[10**12, 3])], "do not fit the shape"),  # nothing of that size is made
        ([tensor(data=[[1.0, 2.0], [3.0]])], "do not fit the shape"),
        ([tensor(data=["a", "b", "c"])], "must be numbers"),
        ([tensor(datatype="INT8")], "FP64"),
        ([tensor(datatype="BYTES")], "the datatype must be FP64 or FP32"),
        ([tensor(), tensor()], "two inputs have one name"),
        ([tensor(), tensor(name="e1", shape=[2, 3], data=[0.0] * 6)], "different numbers of samples"),
        ([tensor(data=[None, None, None])], "no expert scored"),
        ([tensor(data=[1.0, None, 0.0])], "empty or not a number"),
        ([tensor(parameters={"columns": ["logit_c0", "logit_c1", "logit_x"]})], "no sample has the label"),
        ([tensor(parameters={"columns": ["logit_c0", "logit_c0", "logit_c1"]})], "two columns"),
        ([{"name": "sample_id", "shape": [1], "datatype": "BYTES", "data": ["a"]}], "no expert's input"),
        ([tensor(), named(" ")], "the name of sample 1 is empty"),
        ([tensor(shape=[2, 3], data=[0.0] * 6), named("a", "a ")], "'a' is there twice"),
    ],
)  # fmt: skip
def test_wrong_tensors_are_answered_with_a_sentence(served, inputs, words):
    answer = served().client.post(INFER, json={"inputs": inputs})
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def test_an_unknown_output_and_binary_tensors_are_refused(served):
    client = served().client
    body = {"inputs": [tensor()], "outputs": [{"name": "logits"}]}
    assert "there is no output 'logits'" in client.post(INFER, json=body).json()["error"]
    headers = {"inference-header-content-length": "12"}
    answer = client.post(INFER, json={"inputs": [tensor()]}, headers=headers)
    assert answer.status_code == 400
    assert client.post("/v2/models/other/infer", json={"inputs": [tensor()]}).status_code == 404
