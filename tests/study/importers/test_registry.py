"""Every importer is found by its name, and declares its own options with a sentence of help."""

import inspect

import numpy as np
import pytest

from pathfuse.cli.importing import import_
from pathfuse.errors import InputError
from pathfuse.study.importers.importer import on_command_line
from pathfuse.study.importers.logitprod_options import LogitProdOptions
from pathfuse.study.importers.registry import IMPORTERS, importer


@pytest.mark.parametrize("name", IMPORTERS)
def test_every_option_has_a_sentence_and_is_one_of_the_command(name):
    own, command = importer(name), inspect.signature(import_).parameters
    assert own.name == name
    for option, field in own.fields.items():
        assert (field.description or "").endswith(".")
        assert command[option].default == field.default


def test_an_importer_reads_from_python(tmp_path):
    folder = tmp_path / "dump" / "uni"
    folder.mkdir(parents=True)
    for stem in ("best_train", "best_val", "test"):
        np.save(
            folder / f"{stem}_outputs.npy", np.random.default_rng(len(stem)).normal(size=(4, 2))
        )
        np.save(folder / f"{stem}_labels.npy", np.array([0, 1, 0, 1]))
    options = LogitProdOptions(classes=("a", "b"), confirm_row_order=True)
    imported = importer("logitprod").read(tmp_path / "dump", options)
    assert imported.samples["label"].to_list() == ["a", "b", "a", "b"] * 2
    with pytest.raises(InputError, match="give the 2 names"):
        importer("logitprod").read(tmp_path / "dump")


def test_an_unknown_importer_is_refused():
    with pytest.raises(
        InputError, match="the format 'other' is unknown; known: logitprod, stamp, clam"
    ):
        importer("other")


def test_text_is_parsed_where_the_type_is_not_enough():
    fields = importer("logitprod").fields
    edges = on_command_line(fields["time_edges"]).parse
    assert edges is not None
    assert edges("0,12,inf") == (0.0, 12.0, float("inf"))
    assert on_command_line(fields["left_closed"]).negative == "--right-closed"
