"""Tensors that claim more than their file holds, or are no plain numbers."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from pathfuse.errors import InputError
from pathfuse.features.folder import FeatureFolder, open_folder

ROW = torch.arange(4, dtype=torch.float32)


def quantised() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.ones(3, 4), 0.1, 0, torch.qint8)


def nested() -> torch.Tensor:
    return torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)])


WRONG = {
    "one row, expanded": (lambda: ROW.expand(10**9, 4), "1,000,000,000 x 4 numbers"),
    "one number, expanded": (lambda: torch.ones(1).expand(10**6, 10**6), "are stored and repeated"),
    "windows": (lambda: torch.ones(100).as_strided((90, 10), (1, 1)), "are stored and repeated"),
    "expanded, in a dict": (lambda: {"features": ROW.expand(10**9, 4)}, "stored and repeated"),
    "expanded layers": (lambda: [ROW.expand(10**9, 4)] * 3, "are stored and repeated"),
    "one row, again and again": (lambda: [ROW] * 100_000, "100,000 tensors of 4 numbers"),
    "a shape alone": (lambda: torch.empty(3, 4, device="meta"), "a shape without numbers"),
    "sparse": (lambda: torch.eye(4).to_sparse(), "sparse_coo"),
    "sparse by rows": (lambda: torch.eye(4).to_sparse_csr(), "sparse_csr"),
    "integers": (lambda: torch.ones(3, 4, dtype=torch.int64), "are torch.int64"),
    "truth": (lambda: torch.ones(3, 4, dtype=torch.bool), "are torch.bool"),
    "complex": (lambda: torch.ones(3, 4, dtype=torch.complex64), "are torch.complex64"),
    "eight bits": (lambda: torch.ones(3, 4).to(torch.float8_e4m3fn), "are torch.float8_e4m3fn"),
    "four axes": (lambda: torch.ones(1, 3, 1, 4), "the shape (1, 3, 1, 4)"),
    "no axis": (lambda: torch.tensor(1.0), "the shape ()"),
    "expanded coords": (
        lambda: {"features": torch.ones(3, 4), "coords": torch.ones(1, 2).expand(3, 2)},
        "its coords are 3 x 2 numbers",
    ),
    "coords without numbers": (
        lambda: {"features": torch.ones(3, 4), "coords": torch.ones(3, 2, device="meta")},
        "its coords are a shape without numbers",
    ),
}


def store(folder: Path, content: object) -> Path:
    torch.save({"features": torch.ones(2, 4)}, folder / "good.pt")
    torch.save(content, folder / "odd.pt")
    return folder


def reason(found: FeatureFolder) -> str:
    assert list(found.slides) == ["good"]
    return found.broken[0].reason


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_plain_tensor_is_named(tmp_path, case):
    make, complaint = WRONG[case]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert complaint in reason(open_folder(store(tmp_path, make())))
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 200


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"features": one}])
@pytest.mark.filterwarnings("ignore::UserWarning")  # that torch may take these kinds away
@pytest.mark.parametrize("make", [nested, quantised])
def test_packed_tensors_are_named(tmp_path, make, wrap):
    found = reason(open_folder(store(tmp_path, wrap(make()))))
    assert "needs pickle" in found or "not plain" in found


def test_negative_bits_and_transposed_views_are_read(tmp_path):
    values = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    imaginary = torch.complex(torch.zeros(3, 4), values).conj().imag
    assert imaginary.is_neg()
    torch.save(imaginary, tmp_path / "a.pt")
    torch.save(values.T.contiguous().T, tmp_path / "b.pt")
    torch.save(torch.cat([values, values])[3:], tmp_path / "c.pt")
    torch.save([row for row in values], tmp_path / "d.pt")  # noqa: C416 - a list of views
    found = open_folder(tmp_path, strict=True)
    np.testing.assert_array_equal(found.read("a"), -values.numpy())
    for name in "bcd":
        np.testing.assert_array_equal(found.read(name), values.numpy())
        np.testing.assert_array_equal(found.stored(name), values.numpy())


@pytest.mark.parametrize(
    "content", [{"arr_0": np.zeros((10**6, 40))}, {"arr_0": np.array([{}], dtype=object)}]
)
def test_the_index_of_slideflow_is_judged_by_its_headers(tmp_path, content):
    torch.save(torch.ones(3, 4), tmp_path / "a.pt")
    np.savez_compressed(tmp_path / "a.index.npz", **content)
    with pytest.raises(InputError, match=r"coordinates a.index.npz (are larger|cannot be read)"):
        open_folder(tmp_path)
