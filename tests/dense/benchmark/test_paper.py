"""The paper's benchmark as one file: every cell with the size that was published."""

import pytest

pytest.importorskip("timm")

from pathfuse.dense.benchmark.config import read_benchmark
from pathfuse.dense.benchmark.paper import paper_grid
from pathfuse.dense.data.cards import dataset_cards
from pathfuse.dense.encoders.cards import check_size, encoder_cards
from pathfuse.dense.recipe import DenseRecipe


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    file = tmp_path_factory.mktemp("paper") / "grid.yaml"
    file.write_text(paper_grid())
    return read_benchmark(file)


def test_it_is_the_whole_benchmark(config):
    cells = list(config.cells())
    assert len(cells) == len({cell.place for cell in cells}) == 17 * 18 * 5 == 1530
    assert list(config.models) == list(encoder_cards())
    assert [one.encoder for one in config.models.values()] == list(encoder_cards())
    published = ["frozen", "lora", "dora", "cnn", "transformer"]
    assert [variant.label for variant in config.variants] == published
    assert "= 1,530 cells per seed" in paper_grid()


def test_every_cell_has_the_published_size(config):
    models, datasets = encoder_cards(), dataset_cards()
    for cell in config.cells():
        card, data = models[cell.model], datasets[cell.dataset]
        recipe = DenseRecipe.of(**config.options(cell, card.patch))
        size = data.size_14_px if card.patch == 14 else data.size_8_16_px
        assert recipe.size_px == (384 if card.key == "musk" else size), cell
        check_size(card, recipe.size_px)
        assert recipe.size_px % card.patch == 0, cell
        assert (recipe.epochs, recipe.rank, recipe.strategy) == (150, 16, cell.strategy)


def test_what_is_not_pinned_says_so(config):
    for card in encoder_cards().values():
        (line,) = [one for one in paper_grid().splitlines() if one.startswith(f"  {card.key}: {{")]
        assert ("no revision is known" in line) == (card.revision is None)
        assert card.access in line
