import pytest

torch = pytest.importorskip("torch")

from pathfuse.dense.network.decoder import CupDecoder  # noqa: E402


@pytest.mark.parametrize("patch", [8, 14, 16, 32])
def test_any_patch_and_oblong_grids(patch: int) -> None:
    decoder = CupDecoder(12, 3)
    logits = decoder(torch.rand(1, 12, 3, 2), (3 * patch, 2 * patch))
    assert tuple(logits.shape) == (1, 3, 3 * patch, 2 * patch)


def test_published_numbers_of_parameters() -> None:
    """7.06 million at 1024 values per token, 8.57 million with the maps of the CNN adapter.

    See docs/design/densebench.md, section 3.
    """

    def millions(*skips: int) -> float:
        return sum(p.numel() for p in CupDecoder(1024, 2, skips).parameters()) / 1e6

    assert millions(0, 0, 0, 0) == pytest.approx(7.06, abs=0.005)
    assert millions(512, 256, 64, 0) == pytest.approx(8.57, abs=0.005)


def test_maps_beside_are_used_and_fitted() -> None:
    torch.manual_seed(0)
    decoder = CupDecoder(12, 2, (4, 2, 0, 0)).eval()
    grid, first, second = torch.rand(1, 12, 3, 4), torch.rand(1, 4, 5, 9), torch.rand(1, 2, 7, 7)
    before = decoder(grid, (42, 56), [first, second])
    assert tuple(before.shape) == (1, 2, 42, 56)
    assert not torch.equal(before, decoder(grid, (42, 56), [first, second + 1.0]))
    assert not torch.equal(before, decoder(grid, (42, 56), [first + 1.0, second]))
