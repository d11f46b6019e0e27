"""Checkpoints: everything that the next epoch depends on comes back exactly."""

import math

import pytest

torch = pytest.importorskip("torch")

from pathfuse.errors import InputError  # noqa: E402
from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.training.checkpoint import (  # noqa: E402
    load_tensors,
    read_checkpoint,
    save_tensors,
    write_checkpoint,
)
from pathfuse.training.state import TrainingState  # noqa: E402


def made(seed):
    torch.manual_seed(seed)
    head = make_head(TrainingRecipe.of(hidden=4, attention=2), Inputs({"features": 3}), 2)
    return head, torch.optim.Adam(head.parameters(), lr=0.1)


def step(head, adam, seed):
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
    adam.zero_grad()
    head.eval()(x, torch.zeros(5, dtype=torch.int64), 1).outputs.square().sum().backward()
    adam.step()


def write(file, state, head, adam, of="this"):
    write_checkpoint(file, of, state, head, head.state_dict(), adam)


def read(file, head, adam, of="this"):
    return read_checkpoint(file, of, TrainingState, head, head.load_state_dict, adam)


@pytest.mark.parametrize("value", [0.1 + 0.2, -math.inf])
def test_there_and_back(tmp_path, value):
    file = tmp_path / "state.safetensors"
    head, adam = made(0)
    step(head, adam, 0)
    step(head, adam, 1)
    best = {name: value.clone() + 1 for name, value in head.state_dict().items()}
    history = [{"epoch": 1, "train_loss": 0.1, "validation_loss": math.nan, "rate": 1e-4}]
    write(file, TrainingState(best, 1, -1 if value == -math.inf else 0, value, history), head, adam)
    other, adam_2 = made(1)
    state = read(file, other, adam_2)
    assert (state.epoch, state.best_value) == (1, value)
    assert all(torch.equal(state.best[name], best[name]) for name in best)
    assert math.isnan(state.history[0].pop("validation_loss"))
    assert state.history == [{"epoch": 1, "train_loss": 0.1, "rate": 1e-4}]
    for seed in (2, 3):
        step(head, adam, seed)
        step(other, adam_2, seed)
    assert all(
        torch.equal(p, q) for p, q in zip(head.parameters(), other.parameters(), strict=True)
    )
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_before_the_first_step(tmp_path):
    head, adam = made(0)
    best = {name: value.clone() for name, value in head.state_dict().items()}
    write(tmp_path / "s", TrainingState(best), head, adam)
    other, adam_2 = made(1)
    assert read(tmp_path / "s", other, adam_2).epoch == 0
    step(head, adam, 0)
    step(other, adam_2, 0)
    assert all(
        torch.equal(p, q) for p, q in zip(head.parameters(), other.parameters(), strict=True)
    )


@pytest.mark.parametrize("how", ["none", "cut", "nothing", "other tensors", "another training"])
def test_what_is_damaged_or_of_another_training_changes_nothing(tmp_path, how):
    file = tmp_path / "s"
    head, adam = made(0)
    step(head, adam, 0)
    if how != "none":
        write(
            file,
            TrainingState({name: value.clone() for name, value in head.state_dict().items()}),
            head,
            adam,
            "other" if how == "another training" else "this",
        )
    if how == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    if how == "nothing":
        file.write_bytes(b"")
    if how == "other tensors":
        save_tensors({"a": torch.ones(1)}, file)
    other, adam_2 = made(1)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    assert read(file, other, adam_2) is None
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
    assert not adam_2.state


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    one, two = torch.arange(6.0).view(2, 3), torch.ones(2, dtype=torch.int64)
    save_tensors({"one": one, "two": two}, tmp_path / "a.safetensors", {"kind": "x"})
    save_tensors(
        {"two": two, "one": one.T.contiguous().T}, tmp_path / "b.safetensors", {"kind": "x"}
    )
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert load_tensors(tmp_path / "a.safetensors")["one"].equal(one)
    assert len(list(tmp_path.iterdir())) == 2


def test_missing_and_damaged(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"\x00" * 20)
    for name in ("bad", "none"):
        with pytest.raises(InputError, match=f"{name}.safetensors cannot be read"):
            load_tensors(tmp_path / f"{name}.safetensors")
