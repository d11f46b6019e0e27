"""pathfuse: the predictions of several pathology foundation models in, one better prediction
out.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pathfuse.errors import InputError, NotFittedError, PathfuseError
    from pathfuse.fusion.categorical.auto import Auto
    from pathfuse.fusion.categorical.best_expert import BestExpert
    from pathfuse.fusion.categorical.choose import Choose
    from pathfuse.fusion.categorical.hazard_product import HazardProduct
    from pathfuse.fusion.categorical.logitprod import LogitProd
    from pathfuse.fusion.categorical.mean_probability import MeanProbability
    from pathfuse.fusion.categorical.root_stacking import RootStacking
    from pathfuse.fusion.categorical.stacking import Stacking
    from pathfuse.fusion.categorical.static_product import StaticProduct
    from pathfuse.fusion.categorical.uniform_product import UniformProduct
    from pathfuse.scale.cluster import on_cluster
    from pathfuse.study.study import Study, read_study
    from pathfuse.workflows.checks.check import check
    from pathfuse.workflows.drift.find import find_drift
    from pathfuse.workflows.drift.result import DriftResult
    from pathfuse.workflows.evaluate import evaluate
    from pathfuse.workflows.fuse import fuse
    from pathfuse.workflows.model import FusedModel
    from pathfuse.workflows.model_file import load
    from pathfuse.workflows.ranking.rank import RankResult, rank
    from pathfuse.workflows.result import Result
    from pathfuse.workflows.scoring.run import predict_blocks, predict_files
    from pathfuse.workflows.suite.run import run_suite

_HOME = {
    "Auto": "pathfuse.fusion.categorical.auto",
    "BestExpert": "pathfuse.fusion.categorical.best_expert",
    "Choose": "pathfuse.fusion.categorical.choose",
    "DriftResult": "pathfuse.workflows.drift.result",
    "FusedModel": "pathfuse.workflows.model",
    "HazardProduct": "pathfuse.fusion.categorical.hazard_product",
    "InputError": "pathfuse.errors",
    "LogitProd": "pathfuse.fusion.categorical.logitprod",
    "MeanProbability": "pathfuse.fusion.categorical.mean_probability",
    "NotFittedError": "pathfuse.errors",
    "PathfuseError": "pathfuse.errors",
    "RankResult": "pathfuse.workflows.ranking.rank",
    "Result": "pathfuse.workflows.result",
    "RootStacking": "pathfuse.fusion.categorical.root_stacking",
    "Stacking": "pathfuse.fusion.categorical.stacking",
    "StaticProduct": "pathfuse.fusion.categorical.static_product",
    "Study": "pathfuse.study.study",
    "UniformProduct": "pathfuse.fusion.categorical.uniform_product",
    "check": "pathfuse.workflows.checks.check",
    "evaluate": "pathfuse.workflows.evaluate",
    "find_drift": "pathfuse.workflows.drift.find",
    "fuse": "pathfuse.workflows.fuse",
    "load": "pathfuse.workflows.model_file",
    "on_cluster": "pathfuse.scale.cluster",
    "predict_blocks": "pathfuse.workflows.scoring.run",
    "predict_files": "pathfuse.workflows.scoring.run",
    "rank": "pathfuse.workflows.ranking.rank",
    "read_study": "pathfuse.study.study",
    "run_suite": "pathfuse.workflows.suite.run",
}
"""Where the public names live; they are imported on first use, so that ``pathfuse --help`` answers
at once."""

__all__ = [  # noqa: RUF022 - errors, then methods, then verbs
    "InputError", "NotFittedError", "PathfuseError",
    "Auto", "BestExpert", "Choose", "HazardProduct",
    "LogitProd", "MeanProbability", "RootStacking", "Stacking", "StaticProduct", "UniformProduct",
    "DriftResult", "FusedModel", "RankResult", "Result", "Study", "check", "evaluate", "find_drift", "fuse", "load",
    "on_cluster", "predict_blocks", "predict_files", "rank", "read_study", "run_suite",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name[:1].isupper():  # a fusion method that is registered is public: it needs no line here
        for kind in import_module("pathfuse.fusion.registry").FUSIONS:
            if kind.__name__ == name:
                return kind
    raise AttributeError(f"module 'pathfuse' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
