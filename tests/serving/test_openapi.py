"""What ``/openapi.json`` says is true, and nothing that is built from it makes the server fail."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

schemathesis = pytest.importorskip("schemathesis")

from schemathesis.specs.openapi.checks import (  # noqa: E402 - after the skip
    content_type_conformance,
    status_code_conformance,
)

from pathfuse.serving.app import create_app  # noqa: E402
from pathfuse.serving.settings import Settings  # noqa: E402

pytestmark = pytest.mark.slow


def test_the_examples_are_answered(served):
    for kind in ("multiclass", "survival", "regression"):
        client = served(kind).client
        found = client.get("/openapi.json").json()
        for path, real in (
            ("/predict", "/predict"),
            ("/v2/models/{name}/infer", "/v2/models/m/infer"),
        ):
            body = found["paths"][path]["post"]["requestBody"]["content"]["application/json"]
            assert client.post(real, json=body["example"]).status_code == 200


@pytest.fixture(scope="module")
def operations(served):
    """Every address with its method."""
    app = create_app(served().model, Settings("m", "1"))  # which schemathesis starts and ends
    api = schemathesis.openapi.from_asgi("/openapi.json", app)
    found = [one.ok() for one in api.get_all_operations()]
    assert len(found) == 8
    return found


CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
]


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_nothing_that_is_sent_makes_the_server_fail(operations, mode):
    statuses = set()
    for operation in operations:

        @settings(max_examples=60, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case):
            answer = case.call()
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)
            if answer.status_code >= 400:
                assert set(answer.json()) == {"error"}

        with suppress(Unsatisfiable):  # an address without a body has nothing that could be wrong
            send()
    assert statuses & {400, 404, 415, 422}
    assert max(statuses) < 500
