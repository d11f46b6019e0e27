"""What a search draws from, as it is written."""

import numpy as np
import pytest

from pathfuse.errors import InputError
from pathfuse.experts.tuning.space import (
    DEFAULT,
    OneOf,
    Range,
    draw_trials,
    parse_space,
    read_space,
)


def test_written_forms():
    text = (
        "learning_rate=1e-4:1e-2:log,dropout=0:0.5,hidden=128|256|512,gate=relu|tanh,epochs=20:60"
    )
    assert read_space(parse_space(text), "--space") == {
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "dropout": Range(0, 0.5),
        "hidden": OneOf((128, 256, 512)),
        "gate": OneOf(("relu", "tanh")),
        "epochs": Range(20, 60),
    }
    assert read_space({"clip": [None, 5]}, "f.yaml") == {"clip": OneOf((None, 5))}
    assert set(read_space(DEFAULT, "--space")) == set(DEFAULT)


def test_draws_lie_in_their_range():
    rng = np.random.default_rng(0)
    whole = {Range(2, 4).draw(rng) for _ in range(200)}
    assert whole == {2, 3, 4}
    assert {type(n) for n in whole} == {int}
    small = [Range(1e-4, 1e-2, log=True).draw(rng) for _ in range(400)]
    assert 1e-4 <= min(small) < max(small) <= 1e-2
    assert 0.4 < np.mean(np.array(small) < 1e-3) < 0.6
    assert {OneOf((1, "a")).draw(rng) for _ in range(50)} == {1, "a"}


def test_trials_are_seeded_and_more_continue_fewer():
    space = read_space(DEFAULT, "--space")
    five = draw_trials(space, 5, 3)
    assert five[0] == {}
    assert draw_trials(space, 8, 3)[:5] == five
    assert draw_trials(space, 5, 4)[1:] != five[1:]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hidden", "--space hidden: write NAME=LOW:HIGH"),
        ("a=1:2,a=1:3", "'a' stands twice"),
        ("folds=2:5", "'folds' cannot be searched"),
        ("dropout=0.5", "'dropout' is 0.5, but must be LOW:HIGH"),
        ("dropout=0:x", "must be LOW:HIGH"),
        ("dropout=0:1:lin", "must be LOW:HIGH"),
        ("dropout=0.5:0.1", "LOW must be below HIGH"),
        ("dropout=0:0.5:log", "must begin above 0"),
    ],
)
def test_sentences(text, sentence):
    with pytest.raises(InputError) as caught:
        read_space(parse_space(text), "--space")
    assert sentence in str(caught.value)
