"""Whoever reads a file of a user names a pipe, a socket or a device, and does not open it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from pathfuse.cli.dense import read_data
from pathfuse.dense.data.converters.mat import read_mat
from pathfuse.dense.data.images import image_size, open_image, read_instances, read_mask
from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.data.score_file import ScoreFile
from pathfuse.dense.data.split_files import read_split
from pathfuse.dense.encoders.weights import read_weights
from pathfuse.dense.evaluation.instance_maps import read_instance_map
from pathfuse.dense.training.train import read_about
from pathfuse.errors import InputError
from pathfuse.experts.fitted import load_fitted
from pathfuse.experts.serve import serve
from pathfuse.features.folder import open_folder
from pathfuse.files.digests import file_digest
from pathfuse.files.json import read_json
from pathfuse.files.tables import read_table
from pathfuse.files.yaml import read_yaml
from pathfuse.scale.parquet_files import column_types
from pathfuse.serving.settings import read_token
from pathfuse.study.importers.logitprod_files import Log, read_array
from pathfuse.study.predictions import gather
from pathfuse.training.checkpoint import load_tensors


def opened(path: Path) -> None:
    with open_image(path):
        pass


def write_png(path: Path, rgb: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(path.name.encode())  # no two images are the same
    values = np.random.default_rng(seed).integers(0, 2, (8, 8, 3) if rgb else (8, 8))
    Image.fromarray(values.astype(np.uint8)).save(path)


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "table": ("t.csv", read_table),
    "packed table": ("t.csv.gz", read_table),
    "workbook": ("t.xlsx#Sheet1", read_table),
    "parquet": ("t.parquet", column_types),
    "predictions": ("uni.csv", gather),
    "json": ("a.json", read_json),
    "yaml": ("a.yaml", read_yaml),
    "digest": ("a.bin", file_digest),
    "table of vectors": ("vectors.csv", open_folder),
    "image": ("i.png", opened),
    "size of an image": ("i.png", image_size),
    "slide": ("i.svs", opened),
    "mask": ("i.png", read_mask),
    "instances": ("i.tif", read_instances),
    "map of instances": ("i.npy", lambda path: read_instance_map(path, 2)),
    "matrix": ("i.mat", read_mat),
    "logits": ("i.npy", lambda path: ScoreFile(path, 2)),
    "logits of nnU-Net": ("i.npz", lambda path: ScoreFile(path, 2)),
    "data set": ("split.json", read_split),
    "weights": ("w.pt", read_weights),
    "fitted expert": ("m.safetensors", load_fitted),
    "tensors": ("m.safetensors", load_tensors),
    "token": ("token", lambda path: read_token(path, {})),
    "logits of LogitProd": ("l.npy", lambda path: read_array(path, Log())),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_named_and_not_opened(tmp_path, make_pipe, reader):
    name, read = READERS[reader]
    make_pipe(tmp_path / name.partition("#")[0])
    with pytest.raises(InputError, match=r"is a named pipe \(FIFO\), not a file"):
        read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".h5", ".pt", ".npy", ".h5ad"])
def test_a_pipe_in_a_folder_of_features_is_named_and_the_rest_is_read(tmp_path, make_pipe, suffix):
    np.save(tmp_path / "only.npy", np.ones((3, 4), dtype=np.float32))
    if suffix in (".h5", ".pt"):  # next to which arrays mean other things
        with h5py.File(tmp_path / "only.h5", "w") as file:
            file["features"] = np.ones((3, 4), dtype=np.float32)
    make_pipe(tmp_path / f"odd{suffix}")
    found = open_folder(tmp_path, fingerprint=True)
    assert list(found.slides) == ["only"]
    (broken,) = found.broken
    assert (broken.name, broken.reason) == ("odd", "it is a named pipe (FIFO), not a file")
    assert found.sha256()


def test_a_pipe_inside_a_zarr_folder(tmp_path, make_pipe):
    make_pipe(tmp_path / "s1.zarr" / "zarr.json")
    with pytest.raises(InputError, match=r"zarr.json in it is a named pipe"):
        open_folder(tmp_path)


@pytest.mark.parametrize("name", ["uni.csv", "notes.txt", "uni.parquet"])
def test_a_pipe_in_a_folder_of_predictions_is_left_out(tmp_path, make_pipe, name):
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "conch.csv").write_text("sample_id,prob_a,prob_b\ns1,0.5,0.5\n")
    make_pipe(folder / name)
    (one,) = gather(folder)
    assert one.name == "conch"
    assert any("is a named pipe (FIFO), not a file, and was left out" in n for n in one.table.notes)


def test_a_pipe_alone_in_a_folder_of_predictions(tmp_path, make_pipe):
    make_pipe(tmp_path / "uni.csv")
    with pytest.raises(InputError, match=r"holds no table that can be read: .*named pipe"):
        gather(tmp_path)


def test_a_pipe_among_images_is_left_out(tmp_path, make_pipe):
    for part in ("train", "val"):
        write_png(tmp_path / part / "images" / f"{part}.png", rgb=True)
        write_png(tmp_path / part / "masks" / f"{part}.png")
    make_pipe(tmp_path / "train" / "images" / "odd.png")
    split = read_split(tmp_path)
    assert [item.image_id for item in split.items] == ["train", "val"]
    (note,) = split.left_out
    assert "odd.png is a named pipe (FIFO), not a file, and was left out" in note


def test_a_pipe_among_masks_and_logits_is_named(tmp_path, make_pipe):
    write_png(tmp_path / "train" / "images" / "a.png", rgb=True)
    make_pipe(tmp_path / "train" / "masks" / "a.png")
    with pytest.raises(InputError, match=r"a.png is a named pipe"):
        read_split(tmp_path)
    make_pipe(tmp_path / "logits" / "a.npy")
    with pytest.raises(InputError, match=r"the logits .*a.npy is a named pipe"):
        LogitFiles({"uni": tmp_path / "logits"}, 2).shape("a")


def test_models_of_pipes_are_none(tmp_path, make_pipe):
    make_pipe(tmp_path / "expert.json")
    make_pipe(tmp_path / "model.json")
    make_pipe(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"is not a trained expert \(cannot read expert.json\)"):
        serve(tmp_path, tmp_path)
    with pytest.raises(InputError, match=r"its model.json is missing or damaged"):
        read_about(tmp_path)


@pytest.mark.slow
def test_commands_say_what_they_left_out(tmp_path, make_pipe, make_study, run_cli):
    samples, predictions = make_study(tmp_path / "study")
    make_pipe(predictions / "odd.csv")
    given = ("--predictions", str(predictions), "--out")
    out = tmp_path / "out"
    for said in (
        run_cli("fuse", "--samples", str(samples), "--method", "uniform_product", *given, str(out)),
        run_cli("predict", "--model", str(out), *given, str(tmp_path / "fused.csv")),
    ):
        assert said.status == 0
        assert "odd.csv is a named pipe (FIFO), not a file, and was left out" in said.err + said.out


def test_commands_on_images_say_what_they_left_out(tmp_path, make_pipe, capsys):
    for part in ("train", "val"):
        write_png(tmp_path / part / "images" / f"{part}.png", rgb=True)
        write_png(tmp_path / part / "masks" / f"{part}.png")
    make_pipe(tmp_path / "val" / "images" / "odd.png")
    assert len(read_data(tmp_path).items) == 2
    assert "odd.png is a named pipe (FIFO), not a file, and was left out" in capsys.readouterr().err
