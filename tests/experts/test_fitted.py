"""Files of fitted models: what is none is refused. The round trip is in
``tests/contracts/test_heads.py``."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from pathfuse.errors import InputError
from pathfuse.experts.fitted import Fitted, load_fitted, save_fitted
from pathfuse.experts.inputs import Inputs
from pathfuse.experts.recipe import TrainingRecipe


def test_same_bytes(tmp_path):
    weights = {"coefficients": np.ones((3, 2)), "intercepts": np.zeros(2)}
    for name, order in (("a", 1), ("b", -1)):
        turned = dict(list(weights.items())[::order])
        save_fitted(
            Fitted(
                TrainingRecipe.of("linear_probe"),
                Inputs({"features": 3}),
                ("x", "y"),
                "multiclass",
                turned,
                {},
            ),
            tmp_path / name,
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert load_fitted(tmp_path / "a").weights["coefficients"].tolist() == [[1, 1]] * 3


def test_what_is_none(tmp_path):
    with pytest.raises(InputError, match=r"gone.safetensors is not a fitted expert of pathfuse: "):
        load_fitted(tmp_path / "gone.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(InputError, match=r"text.safetensors is not a fitted expert of pathfuse: "):
        load_fitted(tmp_path / "text.safetensors")
    save_file({"a": np.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"other.safetensors is not a fitted expert of pathfuse"):
        load_fitted(tmp_path / "other.safetensors")
