"""The grid file: short forms, precedence of recipes, and what is refused before anything runs."""

from pathlib import Path

import pytest
import yaml

from pathfuse.dense.benchmark.config import EXAMPLE, BenchmarkConfig, Cell, read_benchmark
from pathfuse.errors import InputError

GRID = {
    "models": {"a": {"encoder": "tiny:patch=8"}, "uni": "uni_v1"},
    "datasets": {
        "glas": "glas.json",
        "kumar": {"split": "kumar.json", "recipe": {"size_px": 512, "epochs": 7}},
    },
    "strategies": ["frozen", "lora"],
    "seeds": [0, 3],
    "recipe": {"epochs": 5, "size_px": 224},
    "per_strategy": {"lora": {"epochs": 9}},
    "out": "out",
}


def written(place, **changes):
    file = place / "grid.yaml"
    file.write_text(yaml.safe_dump({**GRID, **changes}))
    return file


def test_the_example_is_a_grid(tmp_path):
    file = tmp_path / "grid.yaml"
    file.write_text(EXAMPLE)
    config = read_benchmark(file)
    assert set(config.models) == {"phikon", "uni", "small"}
    assert len(list(config.cells())) == 3 * 2 * 3 * 3


def test_short_forms_and_paths(tmp_path):
    config = read_benchmark(written(tmp_path))
    assert config.models["a"].encoder == "tiny:patch=8"
    assert config.models["uni"].encoder == "uni_v1"
    assert config.datasets["glas"].split == tmp_path / "glas.json"
    assert config.out == tmp_path / "out"


def test_an_encoder_that_is_there_is_a_path(tmp_path):
    (tmp_path / "mine").mkdir()
    config = read_benchmark(written(tmp_path, models={"a": "mine", "b": "uni_v1"}))
    assert config.models["a"].encoder == str(tmp_path / "mine")
    assert config.models["b"].encoder == "uni_v1"


def test_a_strategy_beats_a_data_set_which_beats_the_grid(tmp_path):
    config = read_benchmark(written(tmp_path))
    said = {
        (c.dataset, c.strategy): config.options(c)
        for c in config.cells()
        if c.model == "a" and c.seed == 3
    }
    assert said["glas", "frozen"] == {"epochs": 5, "size_px": 224, "strategy": "frozen", "seed": 3}
    assert said["kumar", "frozen"] == {"epochs": 7, "size_px": 512, "strategy": "frozen", "seed": 3}
    assert said["kumar", "lora"] == {"epochs": 9, "size_px": 512, "strategy": "lora", "seed": 3}


def test_cells_are_all_combinations_once():
    cells = list(BenchmarkConfig.model_validate(GRID).cells())
    assert len(cells) == len(set(cells)) == 2 * 2 * 2 * 2
    assert cells[0] == Cell("glas", "frozen", "a", 0)
    assert len({cell.place for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"models": {"../a": "uni_v1", "b": "uni_v1"}}, "'../a' cannot name a model"),
        ({"models": {"logitprod": "uni_v1", "b": "uni_v1"}}, "'logitprod' belongs to a fusion"),
        ({"models": {"best": "uni_v1", "b": "uni_v1"}}, "'best' belongs to a fusion"),
        (
            {"strategies": ["frozen"], "rank": [4, 8], "per_strategy": {}},
            "'rank' multiplies nothing",
        ),
        ({"models": {"staple": "uni_v1", "b": "uni_v1"}}, "'staple' belongs to a fusion"),
        ({"models": {"a": "uni_v1"}}, "a fusion needs two models"),
        ({"fusion": {"pixels": "many"}}, "'fusion': 'pixels': input should be a valid integer"),
        (
            {"fusion": {"methods": "logitprod"}},
            "'fusion': 'methods': input should be a valid tuple",
        ),
        ({"seeds": [2**70]}, "'seeds.0': input should be less than"),
        (
            {"models": {"a": {"encoder": {"patch": 0}}, "b": "c"}},
            "'models.a.encoder': input should be a valid string",
        ),
        ({"datasets": {"a/b": "x.json"}}, "'a/b' cannot name a data set"),
        ({"strategies": ["frozen", "frozen"]}, "'frozen' stands twice in 'strategies'"),
        ({"strategies": ["frozen", 3]}, "'strategies' holds 3; write a name, or a label"),
        ({"strategies": ["lora", {"a/b": {"strategy": "lora"}}]}, "'a/b' cannot name a strategy"),
        (
            {"strategies": ["lora", {"f4": {"strategy": "frozen", "rank": 4}}]},
            "the strategy 'f4' has no rank: it is frozen",
        ),
        (
            {"strategies": ["lora", {"lora-r4": {"strategy": "frozen"}}], "rank": [4, 8]},
            "two strategies would be called 'lora-r4'",
        ),
        ({"recipe": {"rank": [4, 16]}}, "write 'rank: [4, 16]' beside 'seeds'"),
        ({"rank": [4, 4]}, "'4' stands twice in 'rank'"),
        ({"rank": [0]}, "'rank.0': input should be greater than or equal to 1"),
        ({"size_px": [224, 448]}, "'size_px' is an axis of this benchmark, so 'recipe' cannot set"),
        (
            {"rank": [2], "models": {"a": {"encoder": "uni_v1", "recipe": {"rank": 3}}, "b": "c"}},
            "'rank' is an axis of this benchmark, so the model 'a' cannot set it",
        ),
        (
            {"datasets": {"g": {"split": "g", "size_px": 8, "recipe": {"size_px": 9}}}},
            "the data set 'g' says 'size_px' twice",
        ),
        ({"strategies": []}, "'strategies'"),
        ({"seeds": [1, 1]}, "'1' stands twice in 'seeds'"),
        ({"per_strategy": {"dora": {}}}, "'per_strategy' names 'dora'"),
        ({"recipe": {"seed": 1}}, "a recipe here cannot set 'seed'"),
        ({"per_strategy": {"lora": {"strategy": "dora"}}}, "cannot set 'strategy'"),
        ({"fusion": {"gate": 3}}, "'fusion' has no option 'gate'"),
        ({"fusion": {"pixels": 3}}, "pixels 3 is out of range"),
        ({"fusion": {"methods": ["magic"]}}, "method 'magic' is not a fusion"),
        ({"resmaples": 3}, "'resmaples' is unknown"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path, changes, sentence):
    file = written(tmp_path, **changes)
    with pytest.raises(InputError) as error:
        read_benchmark(file)
    assert sentence in str(error.value)
    assert str(file) in str(error.value)


def test_one_model_is_enough_without_fusion(tmp_path):
    assert len(read_benchmark(written(tmp_path, models={"a": "uni_v1"}, fuse=False)).models) == 1


def test_files_that_are_no_grid(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_benchmark(tmp_path / "absent.yaml")
    wrong = {"a: [": "is not YAML", "3": "holds no benchmark", "models: {}": "'models'"}
    for text, sentence in wrong.items():
        file = Path(tmp_path / "bad.yaml")
        file.write_text(text)
        with pytest.raises(InputError, match=sentence):
            read_benchmark(file)


def labels(config):
    return {variant.label: variant for variant in config.variants}


def test_a_rank_multiplies_strategies_that_have_one_and_a_size_all(tmp_path):
    entries = ["frozen", "lora", {"thin": {"strategy": "lora", "rank": 1}}]
    changes = {"strategies": entries, "per_strategy": {"lora": {"epochs": 9}}, "recipe": {}}
    sized = {"datasets": {"glas": "glas.json"}, "rank": [4, 16], "size_px": [224, 448]}
    config = read_benchmark(written(tmp_path, **changes, **sized))
    assert list(labels(config)) == [
        "frozen-224px", "frozen-448px",
        "lora-r4-224px", "lora-r4-448px", "lora-r16-224px", "lora-r16-448px",
        "thin-224px", "thin-448px",
    ]  # fmt: skip
    said = config.options(Cell("glas", "lora-r4-448px", "a", 3))
    assert said == {"strategy": "lora", "rank": 4, "size_px": 448, "epochs": 9, "seed": 3}
    said = config.options(Cell("glas", "thin-224px", "a", 0))
    assert said == {"strategy": "lora", "rank": 1, "size_px": 224, "seed": 0}


def test_an_axis_of_one_value_leaves_no_trace_in_the_label(tmp_path):
    config = read_benchmark(written(tmp_path, rank=[4], per_strategy={}))
    assert list(labels(config)) == ["frozen", "lora"]
    assert config.options(Cell("glas", "lora", "a", 0))["rank"] == 4
    assert "rank" not in config.options(Cell("glas", "frozen", "a", 0))
    assert read_benchmark(written(tmp_path, rank=4, per_strategy={})) == config


def test_a_model_beats_a_strategy_which_beats_a_data_set(tmp_path):
    models = {
        "a": {"encoder": "uni_v1", "size_px": 384, "recipe": {"epochs": 1}, "revision": "abc"},
        "b": {"encoder": "uni_v2", "remote_code": True},
    }
    entries = ["frozen", {"wide": {"strategy": "lora", "size_px": 1008, "recipe": {"epochs": 4}}}]
    datasets = {"glas": {"split": "g.json", "size_px": {14: 420, 16: 416}, "recipe": {"batch": 2}}}
    file = written(tmp_path, models=models, strategies=entries, datasets=datasets, per_strategy={})
    config = read_benchmark(file)
    found = {
        (s, m): config.options(Cell("glas", s, m, 0), patch=16 if m == "a" else 14)
        for s in ("frozen", "wide")
        for m in "ab"
    }
    sizes = {key: (one["size_px"], one["epochs"], one["batch"]) for key, one in found.items()}
    assert sizes == {
        ("frozen", "a"): (384, 1, 2), ("frozen", "b"): (420, 5, 2),
        ("wide", "a"): (384, 1, 2), ("wide", "b"): (1008, 4, 2),
    }  # fmt: skip
    assert found["wide", "b"]["strategy"] == "lora"
    assert (config.models["a"].revision, config.models["b"].remote_code) == ("abc", True)
    with pytest.raises(
        InputError, match="'glas' has sizes for encoders of patch 14, 16, none for 8"
    ):
        config.options(Cell("glas", "frozen", "b", 0), patch=8)
