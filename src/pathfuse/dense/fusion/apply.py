"""A fusion that was fitted before, on images without masks."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pathfuse
from pathfuse.dense.data.image_files import holdings, images_of
from pathfuse.dense.data.logit_files import CHUNK_CELLS, LogitFiles
from pathfuse.dense.data.records import Item
from pathfuse.dense.fusion.fitting import no_probabilities
from pathfuse.dense.fusion.fused_model import FUSED, load_fusion
from pathfuse.dense.fusion.segmenting import Job, segment
from pathfuse.errors import InputError
from pathfuse.files.write import check_out, new_folder, write_json
from pathfuse.progress import Progress, silent
from pathfuse.workers import check_jobs


def apply_fusion(
    model: str | Path,
    logits: Mapping[str, str | Path],
    out: str | Path,
    *,
    force: bool = False,
    cells: int = CHUNK_CELLS,
    probabilities: bool = False,
    n_jobs: int | None = None,
    command: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Segments every image that some model scored.

    Args:
        model: Output folder of ``fuse_dense``.
        logits: Per model of the fusion, a folder with ``<image_id>.npy`` or ``.npz``; models and
            images may be missing.
        out: Output folder: ``<image_id>.png`` (8 bits) and ``manifest.json``; with
            ``probabilities`` ``probabilities/<image_id>.npy`` (float16, (K, H, W)).
        force: Overwrite ``out``.
        cells: Numbers held per strip; bounds memory.
        probabilities: Whether to write those of the fused mask, too.
        n_jobs: Images at a time, each in a process, as in joblib; no file depends on it.
        command: How the program was called, for the manifest.
        progress: Called with what is being done and the share that is behind.

    Returns:
        The manifest: images, and how many of them each model scored.

    Raises:
        InputError: There is no fusion, a name is not one of its models, a file is wrong, there is
            no image, or its method gives no probabilities.
    """
    start = time.perf_counter()
    check_jobs(n_jobs)
    fusion = load_fusion(model)
    if probabilities and not fusion.methods[fusion.chosen].gives_probabilities:
        raise InputError(no_probabilities(fusion.chosen))
    folders = _in_order(fusion.models, logits)
    check_out(Path(out), force, [Path(model), *map(Path, logits.values())])
    images = _images(logits)
    files = LogitFiles(folders, len(fusion.classes), frozenset(images))
    for image in images:
        files.shape(image)  # all headers before any work
    with new_folder(Path(out), force) as place:
        shares = place / "probabilities" if probabilities else None
        if shares is not None:
            shares.mkdir()
        job = Job(fusion, files, place, shares, (FUSED,), cells=cells)
        items = [Item(image, Path(image), None, image) for image in images]  # no image is read
        for done, (item, _) in enumerate(segment(job, items, n_jobs), start=1):
            progress(f"segmented {item.image_id}", done / len(images))
        manifest = {
            "kind": "dense segmentation",
            "pathfuse": pathfuse.__version__,
            "model": str(model),
            "method": fusion.chosen,
            "classes": list(fusion.classes),
            "images": len(images),
            "scored": _times_scored(files, images),
            "understood": files.notes(images),
            "command": command,
            "wall_time_s": round(time.perf_counter() - start, 3),
        }
        write_json(manifest, place / "manifest.json")
    progress("done", 1.0)
    return manifest


def _images(logits: Mapping[str, str | Path]) -> list[str]:
    """Every image that some model scored, sorted.

    Raises:
        InputError: There is none.
    """
    folders = [Path(folder) for folder in logits.values()]
    images = images_of(folders)
    if not images:
        raise InputError(
            f"there is no image to segment: no .npy and no .npz file ({holdings(folders)})"
        )
    return images


def _times_scored(files: LogitFiles, images: Sequence[str]) -> dict[str, int]:
    """Per model, how many of the images it scored."""
    scored = [files.models(image) for image in images]
    return {name: sum(name in models for models in scored) for name in files.folders}


def _in_order(models: tuple[str, ...], logits: Mapping[str, str | Path]) -> dict[str, Path | None]:
    """A folder for every model of the fusion; None for those that are missing.

    Raises:
        InputError: A name is not one of the models, or a folder is missing.
    """
    unknown = next((name for name in logits if name not in models), None)
    if unknown is not None:
        raise InputError(
            f"the fusion knows no model '{unknown}'; its models are {', '.join(models)}"
        )
    missing = next((folder for folder in logits.values() if not Path(folder).is_dir()), None)
    if missing is not None:
        raise InputError(f"the folder of logits {missing} does not exist")
    return {name: Path(logits[name]) if name in logits else None for name in models}
