"""What JSON allows and nobody means is refused by name."""

import json

import pytest

from pathfuse.serving.json_body import checked
from pathfuse.serving.refused import RefusedError
from pathfuse.serving.samples import SAMPLES
from pathfuse.serving.tensors import INFER as INFER_BODY

INFER = "/v2/models/m/infer"
SAID = '{"logit_c0": 1.0, "logit_c1": 0.0, "logit_c2": -1.0}'
TENSOR = '{"name": "e0", "shape": [1, 3], "datatype": "FP64", "data": [1.0, 0.0, 0.0]}'


def post(served, raw, path="/predict"):
    headers = {"content-type": "application/json"}
    return served().client.post(path, content=raw, headers=headers)


def sample(experts):
    return f'{{"samples": [{{"sample_id": "n1", "experts": {experts}}}]}}'


@pytest.mark.parametrize(
    ("path", "raw", "key"),
    [
        ("/predict", sample(f'{{"e0": {SAID}, "e0": {SAID}}}'), "e0"),
        ("/predict", sample(f'{{"e0": {SAID}, "e\\u0030": null}}'), "e0"),
        ("/predict", sample('{"e0": {"logit_c0": 1, "logit_c1": 2, "logit_c0": 3}}'), "logit_c0"),
        ("/predict", sample(f'{{"e0": {SAID}}}, "sample_id": "n2"'), "sample_id"),
        ("/predict", '{"samples": [], ' + sample(f'{{"e0": {SAID}}}')[1:], "samples"),
        (INFER, f'{{"inputs": [], "inputs": [{TENSOR}]}}', "inputs"),
        (INFER, f'{{"inputs": [{TENSOR[:-1]}, "data": [0, 0, 0]}}]}}', "data"),
        (INFER, f'{{"inputs": [{TENSOR}], "parameters": {{"a": 1, "a": 1}}}}', "a"),
    ],
)
def test_one_key_twice_is_refused(served, path, raw, key):
    answer = post(served, raw, path)
    assert answer.status_code == 422
    assert f"the key '{key}' is twice" in answer.json()["error"]


def test_a_long_key_is_not_repeated_whole(served):
    key = "x" * 5000
    answer = post(served, sample(f'{{"{key}": null, "{key}": null}}'))
    assert answer.status_code == 422
    assert len(answer.json()["error"]) < 200


@pytest.mark.parametrize("number", ["1" + "0" * 200, "0." + "1" * 9999, "1e-9999"])
def test_numbers_of_many_digits_are_numbers(served, number):
    said = {"logit_c0": 0.0, "logit_c1": 0.0, "logit_c2": 0.5}
    raw = sample(json.dumps({"e0": said})).replace("0.5", number)
    assert post(served, raw).status_code == 200


def one_sample(**changed):
    return json.dumps({"samples": [{"sample_id": "n1", "experts": {}, **changed}]})


def one_tensor(**changed):
    return json.dumps({"inputs": [{**json.loads(TENSOR), **changed}]})


NUMBERS = "'inputs.0.data' must be a list of numbers, of lists of numbers, or of texts"
SENTENCES = [
    ("/predict", "[]", "the body must be a JSON object"),
    ("/predict", "null", "the body must be a JSON object"),
    (INFER, "7", "the body must be a JSON object"),
    ("/predict", "{}", "'samples' is missing"),
    ("/predict", '{"samples": []}', "'samples' is empty"),
    ("/predict", '{"samples": {}}', "'samples' must be a list"),
    ("/predict", '{"samples": [1]}', "'samples.0' must be a JSON object"),
    ("/predict", one_sample(sample_id=""), "'samples.0.sample_id' is empty"),
    ("/predict", one_sample(sample_id=5), "'samples.0.sample_id' must be a text"),
    ("/predict", one_sample(sample_id="x" * 600), "sample_id' has more than 512 characters"),
    ("/predict", one_sample(experts=[]), "'samples.0.experts' must be a JSON object"),
    ("/predict", one_sample(experts={"e0": 3}), "'samples.0.experts.e0' must be a JSON object"),
    ("/predict", one_sample(experts={"e0": {"a": "1"}}), "experts.e0.a' must be a number"),
    ("/predict", one_sample(patient="p"), "'samples.0.patient' is not known here"),
    ("/predict", '{"samples": [], "list[a": 1}', "'samples' is empty"),
    ("/predict", one_sample(**{"list[a": 1}), "'samples.0.list[a' is not known here"),
    ("/predict", one_sample(experts={"list[a": 3}), "experts.list[a' must be a JSON object"),
    (INFER, '{"inputs": []}', "'inputs' is empty"),
    (INFER, '{"id": 3, "inputs": []}', "'id' must be a text"),
    (INFER, one_tensor(shape=[1, 3, 1]), "shape' has 3 entries, but 2 at most are allowed"),
    (INFER, one_tensor(shape=[-1, 3]), "'inputs.0.shape.0' must be 0 or more"),
    (INFER, one_tensor(shape=[1.5, 3]), "'inputs.0.shape.0' must be a whole number"),
    (INFER, one_tensor(datatype="INT8"), "'inputs.0.datatype' must be 'FP64', 'FP32' or 'BYTES'"),
    (INFER, one_tensor(data=3), NUMBERS),
    (INFER, one_tensor(data=[1.0, "a", 0.0]), NUMBERS),
    (INFER, one_tensor(parameters={"columns": []}), "'inputs.0.parameters.columns' is empty"),
]


@pytest.mark.parametrize(("path", "raw", "words"), SENTENCES)
def test_another_form_is_said_in_plain_words(served, path, raw, words):
    answer = post(served, raw, path)
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert "input" not in answer.json()["error"].replace("'inputs", "").lower()


WHOLE = {
    SAMPLES: json.loads(sample(f'{{"e0": {SAID}, "e1": null}}')),
    INFER_BODY: {
        "id": "a",
        "parameters": {},
        "inputs": [{**json.loads(TENSOR), "parameters": {"columns": ["logit_c0"]}}],
        "outputs": [{"name": "fused"}],
    },
}
OTHERS = (None, True, -1, 10**40, 1.5, "", "x" * 9999, [], [[]], [{}], [None] * 3, {}, {"a": "b"})


def with_others(content):
    """The same with each of its parts replaced, left out, or with one more."""
    yield from OTHERS
    if isinstance(content, dict):
        yield content | {"more": 1}
        for key, inner in content.items():
            yield {k: v for k, v in content.items() if k != key}
            yield from (content | {key: other} for other in with_others(inner))
    if isinstance(content, list):
        for n, inner in enumerate(content):
            yield from ([*content[:n], other, *content[n + 1 :]] for other in with_others(inner))


@pytest.mark.parametrize("kind", WHOLE)
def test_whatever_is_wrong_has_a_sentence_of_ours(kind):
    checked(kind, json.dumps(WHOLE[kind]).encode())
    said = set()
    for content in with_others(WHOLE[kind]):
        try:
            checked(kind, json.dumps(content).encode())
        except RefusedError as error:
            said.add(str(error))
    assert len(said) > 15
    assert not [one for one in said if "is not what it must be" in one]
    assert not [one for one in said if "should" in one or "alidation" in one or "[" in one]


def test_what_is_not_json_is_said_once(served):
    answer = post(served, "{")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the body is not JSON: ")
    assert "Invalid JSON" not in answer.json()["error"]
