"""Model files of older and newer versions."""

import json
from dataclasses import replace

import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

import pathfuse
from pathfuse.errors import InputError
from pathfuse.workflows.model import SCHEMA, SCHEMA_CATEGORICAL


@pytest.fixture
def saved(tmp_path, simulate, write_study):
    """A model's folder, and the predictions that it was fitted on."""
    samples, predictions = write_study(tmp_path / "study", simulate(n_fit=40, n_test=20))
    study = pathfuse.read_study(samples=samples, predictions=[predictions])
    result = pathfuse.fuse(study, method="static_product", n_resamples=0)
    result.model.save(tmp_path / "model")
    return tmp_path / "model", [predictions]


def rewrite(folder, schema):
    file = folder / "model.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["schema"] == SCHEMA_CATEGORICAL
    file.write_text(json.dumps({**content, "schema": schema}), encoding="utf-8")


def test_a_model_of_schema_1_predicts_what_it_predicted(saved):
    """Schema 1 knew neither the correction for absent experts nor the digests of the fit rows."""
    folder, predictions = saved
    now = pathfuse.load(folder).predict(predictions)
    rewrite(folder, 1)
    tensors = load_file(folder / "model.safetensors")
    older = {
        name: array
        for name, array in tensors.items()
        if "presence/" not in name and name != "fit_ids"
    }
    assert len(older) < len(tensors)
    save_file(older, folder / "model.safetensors")
    model = pathfuse.load(folder)
    assert model.predict(predictions).equals(now.drop("seen_in_fit"))
    alone = pl.read_csv(predictions[0] / "expert_0.csv")
    assert (model.predict({"expert_0": alone})["n_experts"] == 1).all()


def test_a_model_of_a_newer_version_is_refused(saved):
    folder, _ = saved
    rewrite(folder, SCHEMA + 1)
    with pytest.raises(
        InputError, match=f"was written by a newer pathfuse \\(schema {SCHEMA + 1}\\)"
    ):
        pathfuse.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: (f / "reference.safetensors").write_bytes(b"no"),
        lambda f: (f / "reference.safetensors").unlink(),
        lambda f: (f / "reference.json").write_text('{"schema": 1, "figures": [{"odd": 1}]}'),
    ],
)
def test_a_damaged_description_of_the_fit_rows_is_refused(saved, change):
    folder, _ = saved
    assert pathfuse.load(folder).reference.n_patients == 40
    change(folder)
    with pytest.raises(InputError, match="description of the fit rows"):
        pathfuse.load(folder)


def test_a_model_without_a_label_that_was_left_out_predicts(tmp_path, small_study):
    """All fit rows of a label may be alike: it is not fused, and the others are."""
    study = small_study("multilabel", 90)
    model = pathfuse.fuse(study, method="static_product", n_resamples=0).model
    kept = {"kras": model.fusions["kras"]}
    replace(model, fusions=kept, frequency={"kras": model.frequency["kras"]}).save(tmp_path / "m")
    assert list(pathfuse.load(tmp_path / "m").fusions) == ["kras"]


@pytest.mark.parametrize("part", ["experts", "label_maps"])
def test_experts_in_another_order_are_refused(saved, part):
    """By hand: whose prediction is whose would change without a word."""
    folder, _ = saved
    file = folder / "model.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    turned = list(content[part])[::-1]
    content[part] = turned if part == "experts" else {name: content[part][name] for name in turned}
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="does not name the experts in their order"):
        pathfuse.load(folder)
