"""Squares: drawn by seed, epoch and image alone; and which images a step of several processes
takes."""

from itertools import chain

import pytest

pytest.importorskip("torch")

from pathfuse.dense.recipe import DenseRecipe
from pathfuse.dense.training.samples import Squares, plan_epoch
from pathfuse.errors import InputError
from pathfuse.testing.tissue import draw, make_split

PLAN = [[0, 3], [2, 1], [4]]


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return make_split(tmp_path_factory.mktemp("images"), train=5, val=0, test=0)


def squares(split, **chosen):
    return Squares(split.train, split, DenseRecipe.of(**{"size_px": 40, **chosen}))


def drawn(found, plan=PLAN, epoch=0):
    batches = list(found.batches(plan, epoch))
    assert [batch.rows for batch in batches] == plan
    return {row: (image.numpy(), mask.numpy()) for batch in batches
            for row, image, mask in zip(batch.rows, batch.images, batch.masks, strict=True)}  # fmt: skip


def same(one, two):
    return all((a == b).all() for row in one for a, b in zip(one[row], two[row], strict=True))


@pytest.mark.parametrize("fit", ["resize", "crop"])
@pytest.mark.parametrize("augmented", [False, True])
def test_draws_depend_on_seed_epoch_and_image_alone(split, fit, augmented):
    how = {"fit": fit, "augment": augmented}
    one = drawn(squares(split, **how))
    assert {image.shape for image, _ in one.values()} == {(40, 40, 3)}
    assert same(one, drawn(squares(split, workers=3, **how)))
    assert same(one, drawn(squares(split, **how), plan=[[4, 2, 1, 0, 3]]))
    moves = augmented or fit == "crop"
    assert same(one, drawn(squares(split, **how), epoch=1)) != moves
    assert same(one, drawn(squares(split, seed=1, **how))) != moves


def test_a_crop_is_a_piece_at_its_own_scale(split):
    image, mask = drawn(squares(split, fit="crop", augment=False))[0]
    whole, truth = draw(0)
    places = [
        (y, x)
        for y in range(9)
        for x in range(25)
        if (whole[y : y + 40, x : x + 40] == image).all()
    ]
    assert len(places) == 1
    ((y, x),) = places
    assert (truth[y : y + 40, x : x + 40] == mask).all()


def test_an_image_smaller_than_the_crop(split):
    _, mask = drawn(squares(split, fit="crop", augment=False, size_px=56))[0]
    assert (mask[48:] == 255).all()  # what was added does not count


def test_images_are_kept_only_within_their_room(split, monkeypatch):
    found = squares(split)
    first = found.plain(0)
    assert found.plain(0)[0] is first[0]
    monkeypatch.setattr("pathfuse.dense.training.samples.KEPT_MB", 0)
    found = squares(split)
    assert found.plain(0)[0] is not found.plain(0)[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_wrong_file_is_one_sentence(split, tmp_path, workers):
    broken = split.train[2].__class__("broken", tmp_path / "none.png", None, "p")
    found = Squares((*split.train, broken), split, DenseRecipe.of(workers=workers))
    with pytest.raises(InputError, match=r"^the image .*none.png does not exist$"):
        list(found.batches([[0], [5], [1]], 0))


def test_a_plan_has_every_image_once():
    plans = [plan_epoch(11, 4, seed=3, epoch=epoch) for epoch in range(3)]
    for plan in plans:
        assert [len(step) for step in plan] == [4, 4, 3]
        assert sorted(chain(*plan)) == list(range(11))
    assert plans[0] != plans[1] != plans[2]
    assert plans[0] == plan_epoch(11, 4, seed=3, epoch=0) != plan_epoch(11, 4, seed=4, epoch=0)


@pytest.mark.parametrize("n", [1, 7, 8, 12, 13])
def test_processes_share_the_steps_of_a_larger_batch(n):
    parts = [plan_epoch(n, 2, 0, 5, rank, world=3) for rank in range(3)]
    alone = plan_epoch(n, 6, 0, 5)
    assert len({tuple(map(len, part)) for part in parts}) == 1  # equally many steps, of equal size
    for step, together in enumerate(zip(*parts, strict=True)):
        if n % 3 == 0:
            assert sorted(chain(*together)) == sorted(alone[step])
    assert set(chain(*chain(*parts))) == set(range(n))
