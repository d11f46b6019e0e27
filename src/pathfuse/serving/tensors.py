"""The Open Inference Protocol, version 2: an input tensor for each expert, an output tensor for each
kind of answer.

https://github.com/kserve/open-inference-protocol
"""

from collections.abc import Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic asks for these before Python 3.12
)

import numpy as np
from jaxtyping import Float
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from pathfuse.endpoints.base import Endpoint
from pathfuse.errors import InputError
from pathfuse.serving.given import LONGEST_NAME, SOURCE, ExpertRows, Given, check_known, plain_ids
from pathfuse.serving.json_body import checked
from pathfuse.serving.samples import Number
from pathfuse.serving.scoring import Answers, listed_values
from pathfuse.study.predictions import SEEN
from pathfuse.workflows.model import FusedModel

IDS = "sample_id"
NUMBERS: dict[str, Any] = {"FP64": np.float64, "FP32": np.float32}
"""Types of the experts' tensors."""
Cell = Number | None
Text = Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_NAME)]


@with_config(ConfigDict(extra="ignore"))
class InputParameters(TypedDict, total=False):
    """What may be said of an input."""

    columns: Annotated[list[str], Field(min_length=1)]
    """The columns of an expert's matrix, where they are not those of the metadata."""


@with_config(ConfigDict(extra="forbid"))
class InputTensor(TypedDict):
    """What one expert said of all samples, or the names of the samples."""

    name: str
    shape: Annotated[
        list[Annotated[int, Field(strict=True, ge=0)]], Field(min_length=1, max_length=2)
    ]
    datatype: Literal["FP64", "FP32", "BYTES"]
    parameters: NotRequired[InputParameters]
    data: list[Cell] | list[list[Cell]] | list[Text]


@with_config(ConfigDict(extra="ignore"))
class OutputName(TypedDict):
    """An output that is asked for."""

    name: str


@with_config(ConfigDict(extra="forbid"))
class InferRequest(TypedDict):
    """The body of ``/v2/models/<name>/infer``."""

    id: NotRequired[Annotated[str, Field(max_length=128)]]
    parameters: NotRequired[dict[str, Any]]
    inputs: Annotated[list[InputTensor], Field(min_length=1)]
    outputs: NotRequired[list[OutputName]]


INFER = TypeAdapter(InferRequest)


def inputs_of(model: FusedModel) -> list[dict[str, Any]]:
    """The input tensors, for the metadata: a matrix for each expert, and the samples' names."""
    names = {"name": IDS, "datatype": "BYTES", "shape": [-1]}
    return [*(_input_of(model, name) for name in model.experts), names]


def _input_of(model: FusedModel, name: str) -> dict[str, Any]:
    columns = columns_of(model, name)
    shape = [-1, len(columns)]
    about = {"columns": list(columns)}
    return {"name": name, "datatype": "FP64", "shape": shape, "parameters": about}


def columns_of(model: FusedModel, name: str) -> tuple[str, ...]:
    """The columns that an expert's matrix is taken to have if the request names none."""
    return model.endpoint.expert_columns(model.label_maps[name], gives_risk=name in model.baselines)


def given_tensors(model: FusedModel, raw: bytes) -> tuple[Given, InferRequest]:
    """The samples of a request, and the request.

    A row that is NaN (``null``) throughout is of a sample that the expert did not score; so is every
    row of an expert without a tensor.

    Raises:
        RefusedError: It is not JSON, or has another form.
        InputError: A tensor has another shape or other columns, or an expert is unknown.
    """
    request: InferRequest = checked(INFER, raw)  # type: ignore[assignment]
    tensors = {one["name"]: one for one in request["inputs"]}
    if len(tensors) < len(request["inputs"]):
        raise InputError(f"{SOURCE}: two inputs have one name")
    if tensors.keys() <= {IDS}:
        raise InputError(f"{SOURCE}: there is no expert's input")
    (n, *others) = {one["shape"][0] for one in request["inputs"]}
    if others:
        raise InputError(f"{SOURCE}: the inputs have different numbers of samples")
    if not n:
        raise InputError(f"{SOURCE}: the inputs have no sample")
    named = tensors.pop(IDS, None)
    # First the data: a shape is only a number, and may name more samples than any memory holds.
    given = {name: _matrix(model, one) for name, one in tensors.items()}
    ids = [str(row) for row in range(1, n + 1)] if named is None else _ids(named)
    return Given(ids, {name: rows for name, rows in given.items() if len(rows.position)}), request


def _ids(tensor: InputTensor) -> list[str]:
    """The samples' names.

    Raises:
        InputError: They are not texts, too many or few, or one is empty or there twice.
    """
    names = tensor["data"]
    if tensor["datatype"] != "BYTES" or not all(isinstance(one, str) for one in names):
        raise InputError(f"{SOURCE}, input '{IDS}': the data must be texts, of the datatype BYTES")
    if tensor["shape"] != [len(names)]:
        raise InputError(f"{SOURCE}, input '{IDS}': the data do not fit the shape")
    return plain_ids([str(one) for one in names])


def _matrix(model: FusedModel, tensor: InputTensor) -> ExpertRows:
    """One expert's rows, without those that are NaN throughout.

    Raises:
        InputError: The model does not know the expert, or the data do not fit.
    """
    name, shape = tensor["name"], tensor["shape"]
    about = f"{SOURCE}, input '{name[:60]}'"
    if name not in model.experts:
        raise InputError(
            f"{about}: the model does not know this expert; its experts are "
            f"{', '.join(model.experts)}"
        )
    if tensor["datatype"] not in NUMBERS:
        raise InputError(f"{about}: the datatype must be {' or '.join(NUMBERS)}")
    columns = tuple(tensor.get("parameters", {}).get("columns", columns_of(model, name)))
    check_known(model.endpoint, name, columns)
    if len(set(columns)) < len(columns):
        raise InputError(f"{about}: two columns have one name")
    if len(shape) != 2 or shape[1] != len(columns):
        raise InputError(
            f"{about}: the shape must be [samples, {len(columns)}], for the columns "
            f"{', '.join(columns)}"
        )
    values = _numbers(about, tensor["data"], (shape[0], shape[1]))
    values = values.astype(NUMBERS[tensor["datatype"]]).astype(np.float64)
    position = np.flatnonzero(~np.isnan(values).all(axis=1))
    return ExpertRows(position, columns, values[position])


def _numbers(
    about: str, data: Sequence[Any], shape: tuple[int, int]
) -> Float[np.ndarray, "row column"]:
    """The data, flat or row by row.

    Raises:
        InputError: They do not fit the shape.
    """
    if any(isinstance(one, str) for one in data):
        raise InputError(f"{about}: the data must be numbers")
    nested = any(isinstance(one, list) for one in data)
    if nested and {len(row) for row in data} != {shape[1]}:
        raise InputError(f"{about}: the data do not fit the shape")
    flat = [cell for row in data for cell in row] if nested else data
    if len(flat) != shape[0] * shape[1]:
        raise InputError(f"{about}: the data do not fit the shape")
    return np.array(flat, dtype=np.float64).reshape(shape)


def outputs_of(model: FusedModel, answers: Answers) -> dict[str, dict[str, Any]]:
    """The output tensors by name.

    Args:
        model: The model.
        answers: What it says; without a sample the tensors are those of the metadata.
    """
    columns, n = dict(answers.columns), len(answers.ids)
    found: dict[str, dict[str, Any]] = {}
    sets = {name: columns.pop(name) for name in list(columns) if _is_of_sets(model, name)}
    weights = {name: columns.pop(f"weight_{name}") for name in model.experts}
    plain = {
        name: columns.pop(name) for name in ("prediction", "n_experts", SEEN) if name in columns
    }
    found["fused"] = _tensor(columns, n)
    found["weights"] = _tensor(weights, n)
    found["disagreement"] = _tensor(answers.disagreement, n)
    for name, values in plain.items():
        found[name] = {"datatype": _datatype(values), "shape": [n], "data": listed_values(values)}
    for name, values in sets.items():
        found[name] = _set(model.endpoint, values, n)
    return {name: {"name": name, **one} for name, one in found.items()}


def _is_of_sets(model: FusedModel, column: str) -> bool:
    """Whether a column is a conformal set or an end of an interval."""
    return bool(model.sets) and column.startswith(("prediction_set", "low_", "high_"))


def _set(endpoint: Endpoint, values: Any, n: int) -> dict[str, Any]:
    """A conformal set as a truth value for each outcome, or the ends of intervals as numbers."""
    if isinstance(values, np.ndarray):
        return {"datatype": "FP64", "shape": [n], "data": listed_values(values)}
    members = [row or [] for row in values.to_list()]
    inside = [name in row for row in members for name in endpoint.outcomes]
    about = {"columns": list(endpoint.outcomes)}
    shape = [n, len(endpoint.outcomes)]
    return {"datatype": "BOOL", "shape": shape, "parameters": about, "data": inside}


def _datatype(values: Any) -> str:
    kinds = {"f": "FP64", "i": "INT32", "b": "BOOL"}
    return kinds.get(np.asarray(values).dtype.kind, "BYTES")


def _tensor(columns: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Columns of numbers as one matrix."""
    matrix = np.stack(list(columns.values()), axis=1) if columns else np.zeros((n, 0))
    data = listed_values(matrix.reshape(-1))
    about = {"columns": list(columns)}
    return {"datatype": "FP64", "shape": list(matrix.shape), "parameters": about, "data": data}


def chosen_outputs(
    outputs: Mapping[str, dict[str, Any]], request: InferRequest
) -> list[dict[str, Any]]:
    """The outputs that were asked for; all if none was named.

    Raises:
        InputError: One does not exist.
    """
    names = [one["name"] for one in request.get("outputs", [])] or list(outputs)
    unknown = next((name for name in names if name not in outputs), None)
    if unknown is not None:
        raise InputError(
            f"{SOURCE}: there is no output '{unknown[:60]}'; the outputs are {', '.join(outputs)}"
        )
    return [outputs[name] for name in names]
