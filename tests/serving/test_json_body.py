"""What JSON allows and nobody means is refused by name."""

import json

import pytest

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
