"""Fitted fusions as JSON and arrays: the content of a model folder. No pickle, ever."""

from typing import Any

import numpy as np

from pathfuse.fusion.auto import Auto
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.static_product import StaticProduct
from pathfuse.fusion.certificate import Certificate
from pathfuse.fusion.choose import Choose
from pathfuse.fusion.method import Method
from pathfuse.fusion.registry import method_class

Tensors = dict[str, np.ndarray]


def dump(fusion: Fusion) -> tuple[dict[str, Any], Tensors]:
    """A fitted fusion as a JSON-ready description and its arrays, keyed ``part/part/name``."""
    # The number of processes changes no result, so it is no part of the model.
    options = {name: value for name, value in fusion.get_params(deep=False).items() if name != "n_jobs"}
    content: dict[str, Any] = {
        "method": fusion.name,
        "options": options,
        "certificate": fusion.certificate_.as_dict(),
    }
    tensors: Tensors = {}
    if isinstance(fusion, Method):
        content |= {"setting": repr(fusion.setting_), "scores": {repr(k): v for k, v in fusion.scores_.items()}}
        return content, {**fusion.params_, **_prefixed("presence", fusion.presence_)}
    if isinstance(fusion, Auto):
        parts: dict[str, Fusion] = {**fusion.members_, "council": fusion.council_}
        content |= {"inner_scores": fusion.inner_scores_, "members": list(fusion.members_)}
        tensors |= _prefixed("presence", fusion.presence_)
    elif isinstance(fusion, Choose):
        parts = {fusion.chosen_.name: fusion.chosen_}
        content |= {"inner_scores": fusion.inner_scores_, "members": [fusion.chosen_.name]}
    content["parts"] = {}
    for key, part in parts.items():
        content["parts"][key], arrays = dump(part)
        tensors |= _prefixed(key, arrays)
    return content, tensors


def restore(content: dict[str, Any], tensors: Tensors) -> Fusion:
    """The inverse of ``dump``."""
    options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content["options"].items()}
    fusion = method_class(content["method"])(**options)
    fusion.certificate_ = Certificate.from_dict(content["certificate"])
    if isinstance(fusion, Method):
        fusion.params_ = {name: array for name, array in tensors.items() if not name.startswith("presence/")}
        fusion.presence_ = _below(tensors, "presence")
        fusion.setting_ = float(content["setting"])
        fusion.scores_ = {float(k): v for k, v in content["scores"].items()}
        return fusion
    parts = {key: restore(part, _below(tensors, key)) for key, part in content["parts"].items()}
    members = {name: part for name in content["members"] if isinstance(part := parts[name], Method)}
    if isinstance(fusion, Auto):
        fusion.members_, council = members, parts["council"]
        fusion.presence_ = _below(tensors, "presence")
        if isinstance(council, StaticProduct):
            fusion.council_ = council
        fusion.inner_scores_ = content["inner_scores"]
    elif isinstance(fusion, Choose):
        (fusion.chosen_,) = members.values()
        fusion.inner_scores_ = content["inner_scores"]
    return fusion


def _prefixed(key: str, arrays: Tensors) -> Tensors:
    return {f"{key}/{name}": array for name, array in arrays.items()}


def _below(tensors: Tensors, key: str) -> Tensors:
    return {name.removeprefix(f"{key}/"): array for name, array in tensors.items() if name.startswith(f"{key}/")}
