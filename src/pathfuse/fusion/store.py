"""Fitted fusions as JSON and arrays: the content of a model folder. No pickle, ever."""

from typing import Any

import numpy as np

from pathfuse.files.schema import checked
from pathfuse.fusion.auto import Council
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.family import CATEGORICAL
from pathfuse.fusion.choose import Choice
from pathfuse.fusion.family import AnyFamily
from pathfuse.fusion.gaussian.auto import GaussianAuto
from pathfuse.fusion.gaussian.family import GAUSSIAN
from pathfuse.fusion.method import AnyMethod, Method
from pathfuse.fusion.registry import fusion_class
from pathfuse.fusion.stored import StoredFusion

Tensors = dict[str, np.ndarray]
AnyFusion = Fusion[Any]
FAMILIES: dict[str, AnyFamily] = {family.name: family for family in (CATEGORICAL, GAUSSIAN)}


def dump(fusion: AnyFusion) -> tuple[dict[str, Any], Tensors]:
    """A fitted fusion as a JSON-ready description and its arrays, keyed ``part/part/name``."""
    # The number of processes changes no result, so it is not part of the model.
    options = {
        name: value for name, value in fusion.get_params(deep=False).items() if name != "n_jobs"
    }
    content: dict[str, Any] = {
        "method": fusion.name,
        "options": options,
        "certificate": fusion.certificate_.as_dict(),
    }
    if fusion.family is not CATEGORICAL:  # which is what files of schema 1 and 2 do not name
        content["family"] = fusion.family.name
    tensors: Tensors = {}
    if isinstance(fusion, Method):
        content |= {
            "setting": repr(fusion.setting_),
            "scores": {repr(k): v for k, v in fusion.scores_.items()},
        }
        return content, {**fusion.params_, **_prefixed("presence", fusion.presence_)}
    if isinstance(fusion, Council):
        parts: dict[str, AnyFusion] = {**fusion.members_, "council": fusion.council_}
        content |= {"inner_scores": fusion.inner_scores_, "members": list(fusion.members_)}
        tensors |= _prefixed("presence", fusion.presence_)
    elif isinstance(fusion, Choice):
        parts = {fusion.chosen_.name: fusion.chosen_}
        content |= {"inner_scores": fusion.inner_scores_, "members": [fusion.chosen_.name]}
    content["parts"] = {}
    for key, part in parts.items():
        content["parts"][key], arrays = dump(part)
        tensors |= _prefixed(key, arrays)
    return content, tensors


def restore(content: dict[str, Any], tensors: Tensors) -> AnyFusion:
    """The inverse of ``dump``; reads what older versions wrote, too.

    Raises:
        ValueError: No version wrote this.
    """
    return _restored(checked(StoredFusion, content), tensors)


def _restored(stored: StoredFusion, tensors: Tensors) -> AnyFusion:
    if stored.gaussian:
        return _restore_old_gaussian(stored, tensors)
    options: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in stored.options.items()
    }
    family = FAMILIES.get(stored.family or CATEGORICAL.name)
    if family is None:
        raise ValueError(f"there is no family of fusions '{stored.family}'")
    kind = fusion_class(stored.method, family)
    unknown = set(options) - set(kind.argument_names())
    if unknown:
        raise ValueError(f"{stored.method} has no option '{min(unknown)}'")
    fusion = kind(**options)
    fusion.certificate_ = stored.certificate.restored()
    if isinstance(fusion, Method):
        scores = {float(k): v for k, v in (stored.scores or {}).items()}
        return _with_params(fusion, tensors, _setting(stored), scores)
    members = {name: _part(stored, name, tensors) for name in _members(stored)}
    if isinstance(fusion, Council):
        fusion.members_, fusion.council_ = members, _part(stored, "council", tensors)
        fusion.presence_ = _below(tensors, "presence")
        fusion.inner_scores_ = stored.inner_scores or {}
    elif isinstance(fusion, Choice):
        if len(members) != 1:
            raise ValueError(f"{fusion.name} holds {len(members)} methods, not the chosen one")
        (fusion.chosen_,) = members.values()
        fusion.inner_scores_ = stored.inner_scores or {}
    return fusion


def _members(stored: StoredFusion) -> list[str]:
    if not stored.members:
        raise ValueError(f"{stored.method} holds no methods")
    return stored.members


def _part(stored: StoredFusion, name: str, tensors: Tensors) -> AnyMethod:
    """A method that a council or a choice holds."""
    part = (stored.parts or {}).get(name)
    if part is None:
        raise ValueError(f"{stored.method} does not hold its method '{name}'")
    method = _restored(part, _below(tensors, name))
    if not isinstance(method, Method) or part.family != stored.family:
        raise ValueError(f"'{name}' is no method that {stored.method} could hold")
    return method


def _setting(stored: StoredFusion) -> float:
    if stored.setting is None:
        raise ValueError(f"the setting of {stored.method} is missing")
    return float(stored.setting)


def _with_params(
    method: AnyMethod, tensors: Tensors, setting: float, scores: dict[float, float]
) -> AnyMethod:
    method.params_ = {
        name: array for name, array in tensors.items() if not name.startswith("presence/")
    }
    method.presence_ = _below(tensors, "presence")
    method.setting_, method.scores_ = setting, scores
    return method


def _restore_old_gaussian(stored: StoredFusion, tensors: Tensors) -> AnyFusion:
    """A regression of schema 2: members without a certificate of their own, and no word on their
    settings.
    """
    certificate = stored.certificate.restored()
    members: dict[str, AnyMethod] = {}
    for name in _members(stored):
        kind = fusion_class(name, GAUSSIAN)
        if not issubclass(kind, Method):
            raise ValueError(f"'{name}' is not a method")
        members[name] = _with_params(kind(), _below(tensors, name), float("nan"), {})
        members[name].certificate_ = certificate
    if len(members) == 1:
        return next(iter(members.values()))
    fusion = GaussianAuto()
    params = _below(tensors, "council")
    fusion.members_, fusion.certificate_ = members, certificate
    fusion.presence_ = _below(params, "presence")
    fusion.council_ = fusion.council_of(
        {name: array for name, array in params.items() if "/" not in name}
    )
    fusion.inner_scores_ = stored.inner_scores or {}
    return fusion


def _prefixed(key: str, arrays: Tensors) -> Tensors:
    return {f"{key}/{name}": array for name, array in arrays.items()}


def _below(tensors: Tensors, key: str) -> Tensors:
    return {
        name.removeprefix(f"{key}/"): array
        for name, array in tensors.items()
        if name.startswith(f"{key}/")
    }
