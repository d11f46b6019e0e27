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
