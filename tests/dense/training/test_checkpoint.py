"""Tensors on disk, and telling encoders apart."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from pathfuse.dense.encoders.tiny import tiny_encoder  # noqa: E402
from pathfuse.dense.training.checkpoint import encoder_digest, load_tensors, save_tensors  # noqa: E402
from pathfuse.errors import InputError  # noqa: E402


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    one, two = torch.arange(6.0).view(2, 3), torch.ones(2, dtype=torch.int64)
    save_tensors({"one": one, "two": two}, tmp_path / "a.safetensors", {"kind": "x"})
    save_tensors({"two": two, "one": one.T.contiguous().T}, tmp_path / "b.safetensors", {"kind": "x"})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert load_tensors(tmp_path / "a.safetensors")["one"].equal(one)
    assert len(list(tmp_path.iterdir())) == 2


def test_missing_and_damaged(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"\x00" * 20)
    for name in ("bad", "none"):
        with pytest.raises(InputError, match=f"{name}.safetensors cannot be read"):
            load_tensors(tmp_path / f"{name}.safetensors")


def test_digests_tell_encoders_apart():
    one = encoder_digest(tiny_encoder())
    assert one == encoder_digest(tiny_encoder())
    changed = tiny_encoder()
    with torch.no_grad():
        changed.trunk.blocks[1].mlp.fc2.bias[3] += 1e-3
    normalised = tiny_encoder()
    normalised._mean += 0.01
    others = [encoder_digest(each) for each in (tiny_encoder(seed=1), tiny_encoder(registers=1), changed, normalised)]
    assert len({one, *others}) == 5
