"""A benchmark before it runs: every cell with its inputs, and all that can be refused."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pathfuse.dense.benchmark.cells import CellTask, task_of
from pathfuse.dense.benchmark.config import BenchmarkConfig, BenchmarkModel, Cell
from pathfuse.dense.data.items import check_item
from pathfuse.dense.data.records import Split
from pathfuse.dense.data.split_files import read_split
from pathfuse.dense.encoders.cards import EncoderCard, check_size
from pathfuse.dense.encoders.load import check_encoder
from pathfuse.dense.recipe import DenseRecipe
from pathfuse.errors import InputError
from pathfuse.files.at_work import claim_output
from pathfuse.files.digests import state_of
from pathfuse.files.output_folder import OutputFolder
from pathfuse.files.owner import Owner

CELLS, KIND = "cells", "dense_grid"


def plan(config: BenchmarkConfig) -> dict[Cell, CellTask]:
    """Every cell with its inputs, checked.

    Raises:
        InputError: What would otherwise fail after hours of training.
    """
    cards = {name: _card(name, model) for name, model in config.models.items()}
    _check_out(config)
    recipes = {cell: _recipe(config, cell, cards[cell.model]) for cell in config.cells()}
    splits = {name: _split(config, name, data.split) for name, data in config.datasets.items()}
    files = {name: _model_files(one.encoder, one.weights) for name, one in config.models.items()}
    of_data = {name: _data_digest(split) for name, split in splits.items()}
    return {
        cell: task_of(
            cell,
            config.models[cell.model],
            splits[cell.dataset],
            recipes[cell],
            config.out / CELLS / cell.place,
            [files[cell.model], of_data[cell.dataset]],
        )
        for cell in config.cells()
    }


def check_images(tasks: Mapping[Cell, CellTask]) -> None:
    """Opens every image and mask of the data sets that still have something to do."""
    open_splits = {task.cell.dataset: task.split for task in tasks.values() if not task.done}
    for name, split in open_splits.items():
        for item in split.items:
            try:
                check_item(item, split)
            except InputError as error:
                raise InputError(f"the data set '{name}': {error}") from error


def _card(name: str, model: BenchmarkModel) -> EncoderCard:
    if model.weights is not None and not model.weights.exists():
        raise InputError(f"the weights of the model '{name}', {model.weights}, do not exist")
    try:
        return check_encoder(model.encoder, model.revision)
    except InputError as error:
        raise InputError(f"the model '{name}': {error}") from error


def _check_out(config: BenchmarkConfig) -> None:
    claim_output(config.out, Owner.here().tag)  # runs share the cells
    OutputFolder(config.out).check(KIND, "a benchmark", config.reads)


def _recipe(config: BenchmarkConfig, cell: Cell, card: EncoderCard) -> DenseRecipe:
    try:
        recipe = DenseRecipe.of(**config.options(cell, card.patch))
        check_size(card, recipe.size_px)
    except InputError as error:
        raise InputError(
            f"strategy '{cell.strategy}' on data set '{cell.dataset}', model '{cell.model}': {error}"
        ) from error
    return recipe


def _split(config: BenchmarkConfig, name: str, place: Path) -> Split:
    if not place.exists():
        raise InputError(f"the data set '{name}' has no split at {place}")
    split = read_split(place)
    for part, items in (("training", split.train), ("test", split.test)):
        if not any(item.mask is not None for item in items):
            raise InputError(f"the data set '{name}' has no {part} image with a mask ({place})")
    if config.fuse and not any(item.mask is not None for item in split.val):
        raise InputError(
            f"the data set '{name}' has no validation image to fit a fusion on; say 'fuse: false'"
        )
    ids = [item.image_id for item in (*split.val, *split.test)]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise InputError(
            f"the data set '{name}' has two images called '{twice}' among validation and test"
        )
    missing = next(
        (
            path
            for item in (*split.train, *split.val, *split.test)
            for path in (item.image, item.mask)
            if path is not None and not path.is_file()
        ),
        None,
    )
    if missing is not None:
        raise InputError(f"the data set '{name}' names {missing}, which does not exist")
    return split


def _model_files(encoder: str, weights: Path | None) -> Any:
    places = [] if weights is None else [weights]
    if Path(encoder).is_absolute():
        places.append(Path(encoder))
    return state_of(places)


def _data_digest(split: Split) -> Any:
    items = [*split.train, *split.val, *split.test]
    roles = [len(split.train), len(split.val), len(split.test)]
    files = state_of(
        path for item in items for path in (item.image, item.mask, item.instances) if path
    )
    return [
        split.n_classes,
        split.class_names,
        split.ignore,
        roles,
        [asdict(item) for item in items],
        files,
    ]
