"""Feature files as other tools lay them out (state of mid-2026), written from their description
only.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pathfuse.errors import InputError
from pathfuse.testing.latent import TILE_PX, UM_PER_PX, MadeUpSlide

KINDS = ("trident", "clam", "stamp")


def feature_folder(root: Path, kind: str, encoder: str) -> Path:
    """Where the files of an encoder lie."""
    if kind == "trident":
        return root / encoder / f"20x_{TILE_PX}px_0px_overlap" / f"features_{encoder}"
    return root / encoder


def write_features(
    folder: Path,
    kind: str,
    encoder: str,
    slide: MadeUpSlide,
    features: Float[np.ndarray, "tile dim"],
) -> None:
    """One slide's features, in the encoder's folder.

    Raises:
        InputError: h5py, or torch for CLAM's ``pt_files``, is not installed.
    """
    writers = {"trident": _trident, "clam": _clam, "stamp": _stamp}
    writers[kind](folder, encoder, slide, features)


def _create(file: Path) -> Any:
    """A new HDF5 file."""
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"{file} needs h5py, which is not installed: pip install 'pathfuse[formats]'"
        ) from error
    file.parent.mkdir(parents=True, exist_ok=True)
    return h5py.File(file, "w")


def _put(content: Any, name: str, values: np.ndarray, **options: Any) -> Any:
    """A dataset without the time of writing: the same values give the same bytes."""
    return content.create_dataset(name, data=values, track_times=False, **options)


def _trident(
    folder: Path, encoder: str, slide: MadeUpSlide, features: Float[np.ndarray, "tile dim"]
) -> None:
    dim = features.shape[1]
    with _create(folder / f"{slide.name}.h5") as content:
        data = _put(
            content, "features", features.astype(np.float16), chunks=(1, dim), maxshape=(None, dim)
        )
        data.attrs.update({"name": slide.name, "savetodir": folder.name, "encoder": encoder})
        coords = _put(
            content, "coords", slide.xy.astype(np.int64), chunks=(1, 2), maxshape=(None, 2)
        )
        width, height = (slide.xy.max(0) + 5 * TILE_PX).tolist()
        coords.attrs.update(
            {
                "patch_size": TILE_PX,
                "patch_size_level0": TILE_PX,
                "level0_magnification": 20,
                "target_magnification": 20,
                "overlap": 0,
                "name": slide.name,
                "savetodir": folder.parent.name,
                "level0_width": width,
                "level0_height": height,
            }
        )


def _clam(
    folder: Path, _: str, slide: MadeUpSlide, features: Float[np.ndarray, "tile dim"]
) -> None:
    values = features.astype(np.float32)
    dim = values.shape[1]
    with _create(folder / "h5_files" / f"{slide.name}.h5") as content:
        _put(content, "features", values, chunks=(32, dim), maxshape=(None, dim))
        _put(content, "coords", slide.xy.astype(np.int32), chunks=(32, 2), maxshape=(None, 2))
    file = folder / "pt_files" / f"{slide.name}.pt"
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{file} needs torch, which is not installed: pip install 'pathfuse[torch]'"
        ) from error
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(torch.from_numpy(values), file)


def _stamp(
    folder: Path, encoder: str, slide: MadeUpSlide, features: Float[np.ndarray, "tile dim"]
) -> None:
    with _create(folder / f"{slide.name}.h5") as content:
        _put(content, "feats", features.astype(np.float16))
        _put(content, "coords", slide.xy.astype(np.float64) * UM_PER_PX)
        content.attrs.update(
            {
                "stamp_version": "2.4.0",
                "extractor": encoder,
                "unit": "um",
                "tile_size_um": TILE_PX * UM_PER_PX,
                "tile_size_px": 224,
                "code_hash": "0" * 64,
                "feat_type": "tile",
            }
        )
