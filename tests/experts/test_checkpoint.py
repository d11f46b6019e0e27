"""Checkpoints: everything that the next epoch depends on comes back exactly."""

import math

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.checkpoint import Progressed, read_checkpoint, write_checkpoint  # noqa: E402
from pathfuse.experts.heads.registry import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import Recipe  # noqa: E402


def made(seed):
    torch.manual_seed(seed)
    head = make_head(Recipe.of(hidden=4, attention=2), Inputs({"features": 3}), 2)
    return head, torch.optim.Adam(head.parameters(), lr=0.1)


def step(head, adam, seed):
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
    adam.zero_grad()
    head.eval()(x, torch.zeros(5, dtype=torch.int64), 1).outputs.square().sum().backward()
    adam.step()


@pytest.mark.parametrize("loss", [0.1 + 0.2, math.inf])
def test_there_and_back(tmp_path, loss):
    file = tmp_path / "state.safetensors"
    head, adam = made(0)
    step(head, adam, 0)
    step(head, adam, 1)
    best = {name: value.clone() + 1 for name, value in head.state_dict().items()}
    history = [{"epoch": 1, "train_loss": 0.1, "validation_loss": math.nan, "rate": 1e-4}]
    write_checkpoint(file, Progressed(1, -1 if loss == math.inf else 0, loss, best, history), head, adam)
    other, adam_2 = made(1)
    state = read_checkpoint(file, other, adam_2)
    assert (state.epoch, state.best_loss) == (1, loss)
    assert all(torch.equal(state.best[name], best[name]) for name in best)
    assert math.isnan(state.history[0].pop("validation_loss"))
    assert state.history == [{"epoch": 1, "train_loss": 0.1, "rate": 1e-4}]
    for seed in (2, 3):
        step(head, adam, seed)
        step(other, adam_2, seed)
    assert all(torch.equal(p, q) for p, q in zip(head.parameters(), other.parameters(), strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_before_the_first_step(tmp_path):
    head, adam = made(0)
    best = {name: value.clone() for name, value in head.state_dict().items()}
    write_checkpoint(tmp_path / "s", Progressed(0, -1, math.inf, best, []), head, adam)
    other, adam_2 = made(1)
    assert read_checkpoint(tmp_path / "s", other, adam_2).epoch == 0
    step(head, adam, 0)
    step(other, adam_2, 0)
    assert all(torch.equal(p, q) for p, q in zip(head.parameters(), other.parameters(), strict=True))
