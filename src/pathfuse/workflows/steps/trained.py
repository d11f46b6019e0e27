"""What the folders of ``experts train`` say of the experts whose predictions are fused."""

from pathlib import Path
from typing import Any

from pathfuse.files.json import read_object
from pathfuse.study.study import Study


def trained_manifests(study: Study) -> dict[str, Path]:
    """The manifest of each expert whose predictions lie where ``experts train`` wrote them.

    That is ``<out>/manifest.json`` for ``<out>/predictions/<name>.parquet``; it may be absent.
    """
    files = {expert.name: Path(expert.source) for expert in study.experts}
    return {
        name: file.parent.parent / "manifest.json"
        for name, file in files.items()
        if file.name == f"{name}.parquet" and file.parent.name == "predictions"
    }


def trained_left_out(study: Study) -> list[dict[str, Any]]:
    """What the training of experts left out, each line with its ``expert``.

    Such samples may be absent from the samples table that training wrote, so that the fusion alone
    would not know of them. A manifest that cannot be read says nothing: it decides no result.
    """
    found = []
    for name, file in trained_manifests(study).items():
        items = read_object(file).get("left_out", [])
        found += [
            {"expert": name, **item}
            for item in (items if isinstance(items, list) else [])
            if isinstance(item, dict) and {"reason", "n", "first"} <= set(item)
        ]
    return found
