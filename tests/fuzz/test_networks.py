"""Folders of trained segmentation networks and fused ones, damaged or edited."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from pathfuse.dense.encoders.tiny import tiny_encoder  # noqa: E402
from pathfuse.dense.fusion.apply import apply_fusion  # noqa: E402
from pathfuse.dense.fusion.fuse import fuse_dense  # noqa: E402
from pathfuse.dense.fusion.options import DenseFuseOptions  # noqa: E402
from pathfuse.dense.predict import predict_dense  # noqa: E402
from pathfuse.dense.recipe import DenseRecipe  # noqa: E402
from pathfuse.dense.training.train import train_dense  # noqa: E402
from pathfuse.testing.tissue import make_split  # noqa: E402

SMALL = {"size_px": 32, "epochs": 1, "batch": 2, "decoder_width": 16, "device": "cpu"}


@pytest.fixture
def split(tmp_path):
    (tmp_path / "images").mkdir()
    return make_split(tmp_path / "images", train=2, val=1, test=1, height=32, width=32)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["frozen", "lora"])
def test_a_network_that_loads_also_predicts(strategy, split, attack, mutators, tmp_path):
    recipe = DenseRecipe.of(strategy, **SMALL)
    out = train_dense(tiny_encoder(), split, recipe, tmp_path / "net").folder

    def mutate(folder, rng):
        file = folder / rng.choice(["model.json", "model.safetensors"])
        mutators[file.suffix[1:]](file, rng)

    def use(folder):
        place = folder.parent / "logits"
        found = predict_dense(
            folder, split, split.test, place, encoder=tiny_encoder(), device="cpu", force=True
        )
        logits = np.load(found.folder / f"{split.test[0].image_id}.npy")
        assert np.isfinite(logits).all()

    attack.run(out, tmp_path, mutate, use)


@pytest.mark.slow
def test_a_fusion_that_loads_also_segments(attack, mutate_one_of, tmp_path):
    (tmp_path / "images").mkdir()
    split = make_split(tmp_path / "images", train=1, val=3, test=2, height=24, width=24)
    rng = np.random.default_rng(0)
    logits = {name: tmp_path / "logits" / name for name in ("a", "b", "c")}
    for folder in logits.values():
        folder.mkdir(parents=True)
        for item in (*split.val, *split.test):
            values = rng.normal(size=(3, 24, 24)).astype(np.float16)
            np.save(folder / f"{item.image_id}.npy", values)
    options = DenseFuseOptions(
        methods=("static_product", "logitprod", "logistic", "staple", "majority"),
        method="logitprod", pixels=300, n_resamples=0,
    )  # fmt: skip
    fuse_dense(
        logits,
        split.val,
        split.test,
        tmp_path / "fused",
        classes=split.class_names,
        options=options,
    )

    def use(folder):
        apply_fusion(folder, logits, folder.parent / "applied", force=True)

    attack.run(tmp_path / "fused" / "model", tmp_path, mutate_one_of, use)
