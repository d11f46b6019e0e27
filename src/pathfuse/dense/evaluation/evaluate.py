"""Evaluating segmentations of any origin: nothing is trained or fitted, the models are only compared."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8

import pathfuse
from pathfuse.dense.data.image_files import ARRAYS, file_of, holdings
from pathfuse.dense.data.images import MASK_SUFFIXES, check_values, read_mask
from pathfuse.dense.data.logit_files import LogitFiles, notes_on, notes_on_names
from pathfuse.dense.data.records import IGNORE, Item, files_of
from pathfuse.dense.data.score_file import ScoreFile
from pathfuse.dense.evaluation.choice import CHOOSE, ChosenSeparation, choose_separation
from pathfuse.dense.evaluation.confusion import write_confusions
from pathfuse.dense.evaluation.counting import (
    Counted,
    CountedImages,
    ImageCount,
    classes_with_instances,
    open_count,
)
from pathfuse.dense.evaluation.idle import without_idle
from pathfuse.dense.evaluation.instance_maps import SUFFIXES as INSTANCE_SUFFIXES
from pathfuse.dense.evaluation.instance_maps import Scatter, instance_file, read_instance_map
from pathfuse.dense.evaluation.instance_table import write_instances
from pathfuse.dense.evaluation.metrics import Parity
from pathfuse.dense.evaluation.verdict import DenseVerdict, evaluate_columns
from pathfuse.errors import InputError
from pathfuse.evaluation.rules import check_seed
from pathfuse.files.digests import files_digest
from pathfuse.files.write import check_out, new_folder, write_json, write_table
from pathfuse.progress import Progress, silent

Files: TypeAlias = Mapping[str, Mapping[str, Path | None]]
"""Per image and model its prediction; None where there is none."""


@dataclass(frozen=True)
class DenseEvaluation:
    """What ``evaluate_dense`` wrote, in memory."""

    folder: Path
    verdict: DenseVerdict
    counted: Counted
    manifest: dict[str, Any]


def evaluate_dense(
    predictions: Mapping[str, str | Path],
    items: Sequence[Item],
    out: str | Path,
    *,
    classes: Sequence[str],
    ignore: int = IGNORE,
    n_resamples: int = 1000,
    seed: int = 0,
    parity: Parity = "fixed",
    instances: Mapping[str, str | Path] | None = None,
    validation: Sequence[Item] = (),
    separation: str = CHOOSE,
    force: bool = False,
    command: str | None = None,
    progress: Progress = silent,
) -> DenseEvaluation:
    """Evaluates models on the same images, each by itself and every two against each other.

    Args:
        predictions: Per model, a folder with ``<image_id>.npy`` (logits or probabilities, float,
            (K, H, W)), ``<image_id>.npz`` as nnU-Net writes it, or ``<image_id>.png`` (a mask of
            class numbers; TIFF and BMP too). A model that lacks an image is evaluated on the
            others.
        items: Images; those without a mask are left out.
        out: Output folder: ``confusion.parquet``, ``instances.parquet`` (where images have
            instances), ``metrics.csv``, ``comparisons.csv``, ``manifest.json``.
        classes: Names of the K classes, in the order of the masks' numbers.
        ignore: Value of the masks where pixels do not count.
        n_resamples: Bootstrap resamples of patients.
        seed: Of the draw.
        parity: Of the metrics.
        instances: Per model that tells instances apart itself, a folder of label maps (see
            ``read_instance_map``), such as HoVer-Net, StarDist or Cellpose write; its AJI and PQ
            are those of its map.
        validation: Images whose true masks say how instances of the other models are told apart
            (``choose_separation``).
        separation: ``choose``, ``watershed`` or ``components``: the same for all models.
        force: Overwrite ``out``.
        command: How the program was called, for the manifest.
        progress: Called with what is being done and the share that is behind.

    Raises:
        InputError: A folder, file or size is wrong, or nothing can be evaluated.
    """
    start = time.perf_counter()
    check_seed(seed)
    own_instances = frozenset(instances or {})
    folders = _folders(predictions, instances or {})
    check_out(Path(out), force, [*folders.values(), *files_of(items)])
    with_mask = [item for item in items if item.mask is not None]
    ids = frozenset(item.image_id for item in items)
    files = {
        item.image_id: {
            name: (
                instance_file(folder, item.image_id, ids)
                if name in own_instances
                else file_of(folder, item.image_id, (*ARRAYS, *MASK_SUFFIXES), ids)
            )
            for name, folder in folders.items()
        }
        for item in with_mask
    }
    scored = [item for item in with_mask if any(files[item.image_id].values())]
    _check_scored(folders, files, scored, len(items), own_instances)
    how = choose_separation(validation, len(classes), ignore, separation)
    counted = _count(folders, files, scored, len(classes), ignore, own_instances, how, progress)
    progress("evaluating", 0.9)
    patient_of = {item.image_id: item.patient_id for item in scored}
    verdict = evaluate_columns(
        *counted, patient_of, n_resamples, seed, classes=classes, parity=parity
    )
    manifest = {
        "kind": "dense evaluation",
        "pathfuse": pathfuse.__version__,
        "classes": list(classes),
        "seed": seed,
        "resamples": n_resamples,
        "parity": parity,
        "models": {name: _source(name, folder, files, counted) for name, folder in folders.items()},
        **_about_images(items, scored, set(without_idle(counted.confusions)[0].image_ids)),
        "understood": [
            *(
                note
                for name in folders
                for note in _notes(name, files, len(classes), name in own_instances)
            ),
            *_about_instances(counted, own_instances, how),
        ],
        "instances": None if counted.instances is None else how.about(),
        "warnings": verdict.warnings,
        "command": command,
        "wall_time_s": round(time.perf_counter() - start, 3),
    }
    with new_folder(Path(out), force) as place:
        write_evaluation(counted, verdict, place)
        write_json(manifest, place / "manifest.json")
    progress("done", 1.0)
    return DenseEvaluation(Path(out), verdict, counted, manifest)


def _count(
    folders: Mapping[str, Path],
    files: Files,
    scored: Sequence[Item],
    n_classes: int,
    ignore: int,
    own_instances: Collection[str],
    how: ChosenSeparation,
    progress: Progress,
) -> Counted:
    """The matrices, and the metrics of instances, of all images.

    Raises:
        InputError: A file is wrong, or masks of classes were given as instances.
    """
    things = classes_with_instances(scored, n_classes, ignore)
    counted_images = CountedImages(scored, folders, n_classes)
    scatter = {name: Scatter(name, folders[name], n_classes) for name in sorted(own_instances)}
    for done, item in enumerate(scored):
        progress(f"counting {item.image_id}", 0.9 * done / len(scored))
        count = open_count(item, n_classes, ignore, things, how.separation)
        assert count is not None  # noqa: S101 - it has a mask
        for name, file in files[item.image_id].items():
            if file is not None and name in own_instances:
                told_apart = read_instance_map(file, n_classes)
                _check_shape(file, told_apart.labels.shape, count.truth.shape)
                scatter[name].see(told_apart)
                count.add_instances(name, told_apart)
            elif file is not None:
                for rows, predicted in _strips(file, count):
                    count.add(name, rows, predicted)
        counted_images.put(item, count)
    for own in scatter.values():
        own.check()
    return counted_images.tables()


def _about_instances(
    counted: Counted, own_instances: Collection[str], how: ChosenSeparation
) -> list[str]:
    """How instances came about, for the terminal and the manifest."""
    named = ", ".join(sorted(own_instances))
    if counted.instances is None:
        return [
            f"no judged image has true instances, so those of {named} count as pixels only"
        ] * bool(own_instances)
    told = [f"instances of {named} as they are in the files"] * bool(own_instances)
    others = set(counted.confusions.cms) - set(own_instances)
    whose = "the other models" if own_instances else "every model"
    return [*told, *([how.note(whose)] if others else [])]


def _source(name: str, folder: Path, files: Files, counted: Counted) -> dict[str, Any]:
    """What the manifest says of a model."""
    own = [found[name] for found in files.values()]
    return {
        "source": str(folder),
        "sha256": files_digest(file for file in own if file is not None),
        "coverage": float(counted.confusions.scored[name].mean()),
    }


def _about_images(items: Sequence[Item], scored: Sequence[Item], used: set[str]) -> dict[str, Any]:
    """What the manifest says of the images that are in a figure, and of those that were left out."""
    idle = [item for item in scored if item.image_id not in used]
    unscored = [item for item in items if item.mask is not None and item not in scored]
    return {
        "masks_sha256": files_digest(item.mask for item in scored if item.mask is not None),
        "images": len(used),
        "patients": len({item.patient_id for item in scored if item.image_id in used}),
        "left_out": [
            *_left_out("no mask", [item for item in items if item.mask is None]),
            *_left_out("scored by no model", unscored),
            *_left_out("no pixel of its mask counts", idle),
        ],
    }


def write_evaluation(counted: Counted, verdict: DenseVerdict, folder: Path) -> None:
    """Writes what was counted, the metrics and the comparisons."""
    write_confusions(counted.confusions, folder / "confusion.parquet")
    if counted.instances is not None:
        write_instances(counted.instances, folder / "instances.parquet")
    write_table(verdict.metrics, folder / "metrics.csv")
    write_table(verdict.comparisons, folder / "comparisons.csv")


def _folders(
    predictions: Mapping[str, str | Path], instances: Mapping[str, str | Path]
) -> dict[str, Path]:
    if not predictions and not instances:
        raise InputError("there is nothing to evaluate: name a folder of predictions or instances")
    twice = next((name for name in instances if name in predictions), None)
    if twice is not None:
        raise InputError(
            f"the model {twice} has a folder of predictions and one of instances: name one, or call them "
            "differently"
        )
    folders = {name: Path(folder) for name, folder in {**predictions, **instances}.items()}
    missing = next((folder for folder in folders.values() if not folder.is_dir()), None)
    if missing is not None:
        raise InputError(f"the folder of predictions {missing} does not exist")
    return folders


def _notes(name: str, files: Files, n_classes: int, has_instances: bool) -> list[str]:
    """How a model's files were read where that is not as they stand."""
    own = {image: file for image, found in files.items() if (file := found[name]) is not None}
    if has_instances:
        return notes_on_names(name, own)
    arrays = {one: ScoreFile(file, n_classes) for one, file in own.items() if file.suffix in ARRAYS}
    masks = {one: file for one, file in own.items() if one not in arrays}
    return [*notes_on(name, arrays), *notes_on_names(name, masks)]


def _check_scored(
    folders: Mapping[str, Path],
    files: Files,
    scored: Sequence[Item],
    n: int,
    own_instances: Collection[str],
) -> None:
    if not scored:
        kinds = {
            "predictions": (*ARRAYS, *MASK_SUFFIXES) * (len(folders) > len(own_instances)),
            "instances": INSTANCE_SUFFIXES * bool(own_instances),
        }
        called = (
            f"{w} are called <image_id> and {', '.join(ends)}" for w, ends in kinds.items() if ends
        )
        raise InputError(
            f"no image has a mask and a prediction: of {n} images, none can be evaluated "
            f"({'; '.join(called)}; {holdings(folders.values())})"
        )
    for name, folder in folders.items():
        if not any(files[item.image_id][name] for item in scored):
            raise InputError(
                f"the model {name} has no prediction of any image with a mask in {folder} "
                f"({holdings([folder])})"
            )


def _strips(
    file: Path, count: ImageCount
) -> Iterator[tuple[slice, UInt8[np.ndarray, "row width"]]]:
    """Rows of an image and their predicted classes.

    Raises:
        InputError: The file cannot be read, is of another size, or holds something else than the
            classes.
    """
    shape = count.truth.shape
    if file.suffix in ARRAYS:
        logits = LogitFiles({"it": file.parent}, count.n_classes)
        _check_shape(file, logits.shape(file.stem), shape)
        for strip in logits.strips(file.stem, as_they_are=True):
            yield (
                slice(strip.start, strip.stop),
                strip.logits[:, :, 0].argmax(axis=2).astype(np.uint8),
            )
        return
    mask = read_mask(file)
    _check_shape(file, mask.shape, shape)
    check_values(mask, count.n_classes, None, str(file))
    yield slice(0, shape[0]), mask


def _check_shape(file: Path, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if shape != wanted:
        raise InputError(
            f"the prediction {file} has {shape[0]} x {shape[1]} pixels, but the mask of its image {wanted[0]} x "
            f"{wanted[1]} (height x width)"
        )


def _left_out(reason: str, items: Sequence[Item]) -> list[dict[str, Any]]:
    return (
        [{"reason": reason, "n": len(items), "first": [item.image_id for item in items[:5]]}]
        if items
        else []
    )
