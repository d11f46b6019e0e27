"""PathBench's ``performance.json``: a list of results, each a model on a task with its runs."""

from pathlib import Path
from typing import Any

from pathfuse.errors import InputError
from pathfuse.files.digests import file_digest
from pathfuse.study.importers.runs import averaged
from pathfuse.study.importers.scoreboard import Scoreboard, frame_of

NAME = "pathbench"
NEEDED = {"modelID", "task_name", "metrics"}


def recognises(content: Any) -> bool:
    """Whether the content of a JSON file is of this kind."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(
            isinstance(one, dict) and set(one) >= NEEDED and isinstance(one["metrics"], dict)
            for one in content
        )
    )


def read(content: Any, file: Path) -> Scoreboard:
    """Reads the results; a study is a task of a cohort.

    Raises:
        InputError: A run is not a number, or a result occurs twice.
    """
    rows: list[list[Any]] = []
    runs: list[str] = []
    for one in content:
        cohort = str(one.get("cohort") or one["task_name"])
        study = str(one.get("taskId") or f"{cohort}/{one['task_name']}")
        for metric, values in one["metrics"].items():
            for n, value in enumerate(values if isinstance(values, list) else [values]):
                if not isinstance(value, int | float) or isinstance(value, bool):
                    raise InputError(
                        f"{file}: study '{study}', metric '{metric}': '{value}' is not a number"
                    )
                rows.append([study, cohort, str(one["modelID"]), metric, float(value), None, None])
                runs.append(str(n))
    scores = frame_of([list(column) for column in zip(*rows, strict=True)])
    scores, spread, notes = averaged(str(file), scores, runs, "run")
    metrics = scores["metric"].unique().to_list()
    return Scoreboard(
        str(file), NAME, scores, {str(file): file_digest(file)}, metrics[0] if len(metrics) == 1 else None,
        runs=spread, notes=notes,
    )  # fmt: skip
