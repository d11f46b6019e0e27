"""How many processes train, and where."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402
from pathfuse.experts.schedule import lanes  # noqa: E402


def parts(*recipes):
    return [
        (SimpleNamespace(expert=SimpleNamespace(recipe=recipe)), number)
        for number, recipe in enumerate(recipes)
    ]


AUTO = TrainingRecipe.of("abmil")
ON_CPU = TrainingRecipe.of("abmil", device="cpu")
LINEAR = TrainingRecipe.of("linear_probe")


@pytest.fixture
def gpus(monkeypatch):
    def there(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    there(0)
    return there


def shape(found):
    return [([number for _, number in lane.parts], lane.n_jobs, lane.devices) for lane in found]


@pytest.mark.parametrize("jobs", [None, 1, 3, -1])
def test_without_a_gpu_all_share_the_cores(gpus, jobs):
    assert shape(lanes(parts(AUTO, LINEAR, ON_CPU), jobs)) == [([0, 1, 2], jobs, ())]


def test_a_gpu_trains_one_model_at_a_time_unless_more_are_asked_for(gpus):
    gpus(2)
    found = shape(lanes(parts(AUTO, LINEAR, ON_CPU, AUTO), -1))
    assert found == [([0, 3], 1, ()), ([1, 2], -1, ())]
    assert shape(lanes(parts(AUTO, LINEAR), 4)) == [([0], 4, ()), ([1], 4, ())]


def test_named_devices_have_a_process_each(gpus):
    gpus(2)
    two = ("cuda:0", "cuda:1")
    own = TrainingRecipe.of("abmil", device="cuda:1")
    assert shape(lanes(parts(AUTO, LINEAR, AUTO, own), -1, two)) == [
        ([0, 2], 2, two), ([3], 1, ()), ([1], -1, ())
    ]  # fmt: skip
    assert lanes([], -1, two) == []
