"""FuseCPath as a head: the recipe's options reach the network, and teachers are left behind."""

import pytest

torch = pytest.importorskip("torch")

from pathfuse.experts.heads.make import make_head  # noqa: E402
from pathfuse.experts.inputs import Inputs  # noqa: E402
from pathfuse.experts.recipe import TrainingRecipe  # noqa: E402

TAUGHT = Inputs({"one": 4, "two": 2}, {"prism": 3, "titan": 5})


def head_of(inputs=TAUGHT, **chosen):
    recipe = TrainingRecipe.of("fusecpath", **{"hidden": 16, "attention": 8, **chosen})
    return make_head(recipe, inputs, 2)


def test_the_positional_term_is_off_by_default():
    assert not [name for name in head_of().state_dict() if "local" in name]
    (shape,) = [
        tuple(value.shape)
        for name, value in head_of(positional=True).state_dict().items()
        if "local" in name
    ]
    assert shape == (8, 1, 15, 1)


def test_teachers_may_have_last_layers_of_their_own():
    assert not len(head_of().network.teacher_heads)
    head = head_of(separate_teacher_heads=True)
    assert [layer.out_features for layer in head.network.teacher_heads] == [2, 2]


def test_what_serves_has_no_teacher():
    chosen = {"separate_teacher_heads": True, "positional": True}
    served = head_of(**chosen).serving_state()
    alone = head_of(Inputs(TAUGHT.views), **chosen)
    assert served.keys() == alone.state_dict().keys()
    alone.load_state_dict(served)
