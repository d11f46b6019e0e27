"""What ``/openapi.json`` says of bodies and answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import TypeAdapter

from pathfuse.files.bodies import READERS
from pathfuse.serving.answers import JSON
from pathfuse.serving.given import ExpertRows, Given
from pathfuse.serving.samples import SAMPLES
from pathfuse.serving.scoring import Answers, score
from pathfuse.serving.settings import Settings
from pathfuse.serving.tensors import INFER, columns_of
from pathfuse.workflows.model import FusedModel

PREDICT, METRICS = "/predict", "/metrics"
PLACE = "#/components/schemas/{model}"
FAULTS = {
    "400": "The body cannot be read.",
    "401": "The token is wrong or missing.",
    "404": "There is no such model.",
    "405": "Another method is needed.",
    "408": "The body did not come in time.",
    "413": "The body is too long, or has too many samples.",
    "415": "The body is of another type.",
    "422": "Something in the body is wrong.",
    "503": "Too many requests wait, or the answer takes too long.",
}


def first_given(model: FusedModel) -> Given:
    """One made-up sample of which all experts say nothing: every column is 0."""
    experts = {}
    for name in model.experts:
        columns = columns_of(model, name)
        experts[name] = ExpertRows(
            np.zeros(1, dtype=np.int64), columns, np.zeros((1, len(columns)))
        )
    return Given(["example"], experts)


def first_answers(model: FusedModel) -> Answers:
    """What the model says of it."""
    return score(model, first_given(model))


def predict_body(model: FusedModel) -> dict[str, Any]:
    """The body of ``/predict``, with an example for this very model."""
    said = {name: dict.fromkeys(columns_of(model, name), 0.0) for name in model.experts}
    example = {"samples": [{"sample_id": "example", "experts": said}]}
    table = {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = {
        JSON: {"schema": {"$ref": PLACE.format(model="Samples")}, "example": example}
    }
    return {
        "requestBody": {"required": True, "content": {**content, **dict.fromkeys(READERS, table)}}
    }


def infer_body(about: Mapping[str, Any]) -> dict[str, Any]:
    """The body of ``/infer``, with an example for this very model."""
    inputs = [
        {**one, "shape": [1, *one["shape"][1:]], "data": [0.0] * one["shape"][1]}
        for one in about["inputs"]
        if len(one["shape"]) == 2
    ]
    schema = {"$ref": PLACE.format(model="InferRequest")}
    content = {JSON: {"schema": schema, "example": {"inputs": inputs}}}
    return {"requestBody": {"required": True, "content": content}}


def describe(app: FastAPI, settings: Settings, model: FusedModel) -> None:
    """Makes ``/openapi.json`` say what pydantic knows of the bodies, what this very model is called
    and knows, and how faults are answered.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _openapi(app, settings, model)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI asks


def _openapi(app: FastAPI, settings: Settings, model: FusedModel) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    adapters: list[tuple[str, Any, TypeAdapter[Any]]] = [
        ("samples", "validation", SAMPLES),
        ("infer", "validation", INFER),
    ]
    _, own = TypeAdapter.json_schemas(adapters, ref_template=PLACE)
    problem = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    components = {"schemas": {**own["$defs"], "Problem": problem}}
    experts = components["schemas"]["Sample"]["properties"]["experts"]
    experts["propertyNames"] = {"enum": list(model.experts)}
    if settings.token_digest is not None:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    found["components"] = components
    for path, operations in found["paths"].items():
        for operation in operations.values():
            operation["responses"] = _responses(path)
            for one in operation.get("parameters", []):
                one["schema"] = {"type": "string", "enum": [settings.name]}
    return found


def _responses(path: str) -> dict[str, Any]:
    """How an address answers."""
    answer: dict[str, Any] = {JSON: {"schema": {}}}
    if path == METRICS:
        answer = {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}
    if path == PREDICT:
        answer |= {one: {"schema": {"type": "string", "format": "binary"}} for one in READERS}
    fault = {JSON: {"schema": {"$ref": PLACE.format(model="Problem")}}}
    return {
        "200": {"description": "The answer.", "content": answer},
        **{code: {"description": why, "content": fault} for code, why in FAULTS.items()},
    }
