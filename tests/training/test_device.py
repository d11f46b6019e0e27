"""A device is there, or a sentence says that it is not."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.errors import InputError  # noqa: E402
from pathfuse.training.device import device_of  # noqa: E402


@pytest.mark.parametrize(
    ("cuda", "mps", "found"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_the_fastest(monkeypatch, cuda, mps, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device_of("auto") == found
    assert device_of("cpu") == "cpu"
    if cuda:
        assert device_of("cuda:1") == "cuda:1"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "tpu", ""])
def test_a_device_that_is_not_there(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(
        InputError, match=f"the device '{name}' is not there; choose auto, cpu, cuda or mps"
    ):
        device_of(name)
