import pytest

from pathfuse.dense.encoders.cards import encoder_cards, find_card
from pathfuse.errors import InputError

# patch, values per token, class and register tokens: docs/design/densebench.md, section 1
FACTS = {
    "uni_v1": (16, 1024, 1), "uni_v2": (14, 1536, 9), "conch_v1": (16, 768, 1), "conch_v1_5": (16, 1024, 1),
    "virchow_v1": (14, 1280, 1), "virchow_v2": (14, 1280, 5), "phikon": (16, 768, 1), "phikon_v2": (16, 1024, 1),
    "gigapath": (16, 1536, 1), "hoptimus_0": (14, 1536, 5), "hoptimus_1": (14, 1536, 5), "midnight12k": (14, 1536, 1),
    "kaiko-vitl14": (14, 1024, 5), "lunit_vits8": (8, 384, 1), "hibou_l": (14, 1024, 5), "musk": (16, 1024, 1),
    "PathOrchestra": (16, 1024, 1),
}  # fmt: skip


def test_the_seventeen_models_and_their_shapes() -> None:
    cards = encoder_cards()
    assert {key: (card.patch, card.dim, card.num_prefix) for key, card in cards.items()} == FACTS


def test_only_lunit_and_musk_were_normalised_wrongly() -> None:
    wrong = {key: card for key, card in encoder_cards().items() if card.paper_mean is not None}
    assert set(wrong) == {"lunit_vits8", "musk"}
    for card in wrong.values():
        assert card.paper_mean == (0.485, 0.456, 0.406)
        assert card.paper_sd == (0.229, 0.224, 0.225)
        assert card.mean != card.paper_mean


def test_only_musk_has_one_size() -> None:
    fixed = [card for card in encoder_cards().values() if card.size_policy == "fixed"]
    assert [(card.key, card.size_px) for card in fixed] == [("musk", 384)]


def test_every_card_can_be_asked_for_and_pins_a_whole_commit() -> None:
    for card in encoder_cards().values():
        assert card.page == f"https://huggingface.co/{card.hub_id}"
        assert card.licence
        assert card.revision is None or (len(card.revision) == 40 and int(card.revision, 16))


def test_scales_of_training_are_those_of_microscopes_or_not_known() -> None:
    scales = {key: card.mpp_um for key, card in encoder_cards().items()}
    assert all(0.1 < mpp_um < 4 for known in scales.values() for mpp_um in known)
    assert scales["hoptimus_0"] == (0.5,)
    assert scales["midnight12k"] == (0.25, 0.5, 1.0, 2.0)
    assert scales["musk"] == ()  # not said


def test_unknown_key_names_the_known() -> None:
    with pytest.raises(InputError, match=r"uni_v9.*uni_v1"):
        find_card("uni_v9")


# musk needs its package; uni_v1, hoptimus_1 and virchow_v1 are the same networks as others here
# (registers apart)
BUILT = [key for key in FACTS if key not in {"musk", "uni_v1", "hoptimus_1", "virchow_v1"}]


@pytest.mark.parametrize("key", BUILT)
def test_the_card_builds_the_network_it_describes(key: str) -> None:
    """On the meta device, so that the shapes of a billion weights cost nothing."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("timm")
    from pathfuse.dense.encoders.base import adapted_names
    from pathfuse.dense.encoders.load import load_encoder

    with torch.device("meta"):
        encoder = load_encoder(key, pretrained=False)
        tokens = encoder.run(torch.empty(1, 3, 3 * encoder.patch, 2 * encoder.patch))
    card = encoder.card
    assert tuple(tokens.shape) == (1, card.num_prefix + 6, card.dim)
    millions = sum(parameter.numel() for parameter in encoder.trunk.parameters()) / 1e6
    assert millions == pytest.approx(card.parameters_m, rel=0.05)  # published numbers are rounded
    depth = {"lunit_vits8": 12, "conch_v1": 12, "phikon": 12, "virchow_v1": 32, "virchow_v2": 32}
    depth |= dict.fromkeys(("gigapath", "hoptimus_0", "hoptimus_1", "midnight12k"), 40)
    # timm joins queries, keys and values in one layer: 2 per block, elsewhere 4
    assert len(adapted_names(encoder)) == depth.get(key, 24) * (
        4 if card.loader == "transformers" else 2
    )
