"""Devices are handed out one to a process, and taken back."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.errors import InputError  # noqa: E402
from pathfuse.training.device import device_of, on_device  # noqa: E402
from pathfuse.training.devices import DevicePool, parse_devices  # noqa: E402


def test_a_device_is_taken_until_its_block_ends(tmp_path):
    pool = DevicePool(("cuda:0", "cuda:1"), tmp_path)
    with pool.taken() as one:
        assert (one, device_of("auto")) == ("cuda:0", "cuda:0")
        with pool.taken() as two:
            assert (two, device_of("auto")) == ("cuda:1", "cuda:1")
            with pytest.raises(RuntimeError, match="2 devices"), pool.taken():
                pass
        assert device_of("auto") == "cuda:0"
    with pytest.raises(ValueError, match="broken"), pool.taken():
        raise ValueError("broken")
    assert not list(tmp_path.iterdir())


def test_a_recipe_that_names_its_device_keeps_it():
    with on_device("mps"):
        assert device_of("cpu") == "cpu"
        assert device_of("auto") == "mps"


def test_devices_are_named_one_by_one(monkeypatch):
    assert parse_devices(None) == ()
    assert parse_devices("cpu, cpu") == ("cpu", "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert parse_devices("cuda:0,cuda:1") == ("cuda:0", "cuda:1")
    with pytest.raises(InputError, match=r"'cuda:2' is not there; there are 2 CUDA devices"):
        parse_devices("cuda:0,cuda:2")
    for text in ("", "auto", "cuda:0,"):
        with pytest.raises(InputError, match="name each device, such as cuda:0,cuda:1"):
            parse_devices(text)
