"""Folders of models: what was written is read, and what is damaged is said."""

import json

import numpy as np
import pytest

from pathfuse.errors import InputError
from pathfuse.files.model_folder import read_model, write_model


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path / "out/model", "own", {"schema": 1, "names": ["é"]}, {"w": np.arange(3.0)})
    return tmp_path / "out/model"


def test_what_was_written_is_read_also_from_the_folder_above(folder):
    for place in (folder, folder.parent):
        with read_model(place, "own", 1, "model") as (content, tensors):
            assert content == {"schema": 1, "names": ["é"]}
            np.testing.assert_array_equal(tensors["w"], [0, 1, 2])


def test_a_model_without_numbers(tmp_path):
    write_model(tmp_path, "own", {"schema": 1}, {})
    with read_model(tmp_path, "own", 1, "model") as (_, tensors):
        assert list(tensors) == ["empty"]


def said_of(folder, schema=1):
    with (
        pytest.raises(InputError) as caught,
        read_model(folder, "own", schema, "fusion of pixels") as (content, _),
    ):
        content["absent"]
    return str(caught.value)


def test_what_is_wrong_is_said(folder, tmp_path):
    assert said_of(tmp_path / "none").endswith(
        "none holds no fusion of pixels: own.json or own.safetensors is missing"
    )
    assert (
        said_of(folder, 0)
        == f"{folder} was written by a newer pathfuse (schema 1); update pathfuse"
    )
    assert said_of(folder) == f"the fusion of pixels in {folder} is damaged: 'absent'"
    (folder / "own.json").write_text(json.dumps([1]))
    assert "is damaged" in said_of(folder)
    (folder / "own.json").write_text("{")
    assert "is damaged" in said_of(folder)
    (folder / "own.safetensors").unlink()
    (folder / "own.json").write_text("{}")
    assert "is missing" in said_of(folder)


def test_a_damaged_file_of_numbers(folder):
    whole = (folder / "own.safetensors").read_bytes()
    (folder / "own.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "is damaged" in said_of(folder)


def test_a_sentence_of_the_block_stays(folder):
    with pytest.raises(InputError, match=r"^mine$"), read_model(folder, "own", 1, "model"):
        raise InputError("mine")
