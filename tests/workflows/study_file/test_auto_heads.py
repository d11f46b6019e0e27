"""``heads: auto``: one entry for the heads that fit what an encoder gives."""

import pytest
import yaml

from pathfuse.errors import InputError
from pathfuse.experts.heads.registry import default_heads
from pathfuse.workflows.study_file.config import read_config

POOLED = ["pooled_linear", "pooled_kernel", "pooled_forest"]


def config_of(tmp_path, experts, features=("uni",)):
    content = {"samples": "labels.csv", "out": "result", "experts": experts}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(content | {"features": {name: name for name in features}}))
    return read_config(file)


def test_the_default_heads():
    assert default_heads("tile") == ["abmil", *POOLED]
    assert default_heads("slide") == ["tile_mlp", *POOLED]
    assert default_heads() == ["abmil", "tile_mlp", *POOLED]


def test_every_encoder_gets_those_that_fit(tmp_path):
    entries = [{"heads": "auto", "folds": 3}, {"head": "clam", "epochs": 5}]
    config = config_of(tmp_path, entries, ["titan", "uni"])
    planned = config.planned({"uni": "tile", "titan": "slide"})
    assert list(planned) == [
        *(f"titan_{head}" for head in ("tile_mlp", *POOLED, "clam")),
        *(f"uni_{head}" for head in ("abmil", *POOLED, "clam")),
    ]
    assert [planned["uni_abmil"].recipe.folds, planned["uni_clam"].recipe.folds] == [3, 5]
    assert planned["uni_abmil"].references == tuple(f"uni_{head}" for head in POOLED)
    assert config.has_auto_heads
    assert not config_of(tmp_path, entries[1:]).has_auto_heads
    assert len(config.planned()) == 2 * 6  # features not read yet: all that may come


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"heads": ["abmil"]}, r"'heads' must be auto, not \['abmil'\]; a single one is named by"),
        ({"heads": "auto", "head": "abmil"}, "names its heads itself; leave 'head' out"),
        ({"heads": "auto", "name": "x"}, "names its heads itself; leave 'name' out"),
        ({"heads": "auto", "networks": 3}, "'networks': is for a trained head"),
    ],
)
def test_what_is_refused(tmp_path, entry, sentence):
    with pytest.raises(InputError, match=sentence):
        config_of(tmp_path, [entry])


def test_a_head_of_auto_stands_twice_with_a_name(tmp_path):
    with pytest.raises(InputError, match="'abmil' stands twice; give each of the two a 'name'"):
        config_of(tmp_path, [{"heads": "auto"}, {"head": "abmil"}])
    entries = [{"heads": "auto"}, {"head": "abmil", "name": "weighed", "class_weights": True}]
    planned = config_of(tmp_path, entries).planned({"uni": "tile"})
    assert list(planned) == [f"uni_{head}" for head in ("abmil", *POOLED, "weighed")]
