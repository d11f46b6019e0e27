"""What ``predict`` says of drift by itself."""

from dataclasses import replace

import pytest

from pathfuse.errors import InputError
from pathfuse.workflows.drift.look import Look, alarm, predict_and_look


def test_a_broken_expert_is_named_and_the_predictions_are_the_same(made):
    for predictions, broken in ((made.new, False), (made.broken(since=0), True)):
        fused, look = predict_and_look(made.model, made.model.read(predictions))
        assert fused.equals(made.model.predict(predictions))
        found = alarm(made.model, look)
        assert ("expert_1" in found) if broken else (found is None)


def test_parts_add_up_to_the_whole(made):
    whole = predict_and_look(made.model, made.model.read(made.new))[1]
    summed = Look()
    for start, n in ((0, 40), (40, 110)):
        part = {name: frame.slice(start, n) for name, frame in made.new.items()}
        summed.add(predict_and_look(made.model, made.model.read(part))[1])
    assert summed.samples == whole.samples == 150
    assert summed.total == pytest.approx(whole.total)
    assert summed.squares == pytest.approx(whole.squares)


def test_what_cannot_be_told_is_said(made):
    few = {name: frame.head(5) for name, frame in made.new.items()}
    with pytest.raises(InputError, match="but there are 5 samples"):
        alarm(made.model, predict_and_look(made.model, made.model.read(few))[1])
    with pytest.raises(InputError, match="keeps nothing of its fit rows"):
        alarm(replace(made.model, reference=None), Look())
