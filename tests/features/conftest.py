"""Small feature files, written as each tool writes them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest


def numbers(n: int, dim: int = 4, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(dtype)


def _write_h5(
    path: Path,
    features: Any,
    coords: Any = None,
    *,
    key: str = "features",
    file: Mapping[str, Any] | None = None,
    on_features: Mapping[str, Any] | None = None,
    on_coords: Mapping[str, Any] | None = None,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as content:
        content.attrs.update(file or {})
        content.create_dataset(key, data=features).attrs.update(on_features or {})
        if coords is not None:
            content.create_dataset("coords", data=coords).attrs.update(on_coords or {})
    return path


@pytest.fixture(scope="session")
def write_h5() -> Callable[..., Path]:
    """``write_h5(path, features, coords=None, key="features", file={}, on_features={},
    on_coords={}) -> path``."""
    return _write_h5


@pytest.fixture(scope="session")
def bag() -> Callable[..., np.ndarray]:
    """``bag(n, dim=4, seed=0, dtype="float32") -> (n, dim)``."""
    return numbers


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three good slides, 3, 5 and 2 tiles of 4 dimensions."""
    for i, n in enumerate((3, 5, 2)):
        _write_h5(tmp_path / "uni" / f"s{i}.h5", numbers(n, seed=i), np.arange(2 * n).reshape(n, 2))
    return tmp_path / "uni"
