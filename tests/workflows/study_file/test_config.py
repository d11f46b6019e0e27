"""``study.yaml``: the example is valid, and what is wrong is said in a sentence."""

import re

import pytest
import yaml

from pathfuse.errors import InputError
from pathfuse.workflows.options import chosen
from pathfuse.workflows.study_file.config import EXAMPLE, read_config

GOOD = {
    "samples": "labels.csv",
    "features": {"uni": "f/uni"},
    "experts": [{"head": "abmil"}],
    "out": "result",
}


def config_of(tmp_path, **changes):
    content = {key: value for key, value in (GOOD | changes).items() if value is not None}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(content))
    return read_config(file)


def test_the_example_is_valid_also_with_its_comments_taken_off(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(EXAMPLE)
    plain = read_config(file)
    heads = ("pooled_linear", "pooled_kernel", "pooled_forest", "abmil")
    single = [f"{encoder}_{head}" for encoder in ("uni", "virchow2") for head in heads]
    assert list(plain.planned()) == single
    assert plain.planned()["uni_abmil"].references == tuple(f"uni_{head}" for head in heads[:3])
    text = re.sub(r"^( *)# ((?:- )?\w+:)", r"\1\2", EXAMPLE, flags=re.MULTILINE)
    file.write_text(text.replace("endpoint: multiclass", "endpoint: survival"))
    (tmp_path / "tuned.yaml").write_text("head: mean_pool\nepochs: 7\n")
    full = read_config(file)
    planned = full.planned()
    single = [
        f"{encoder}_{head}" for encoder in ("uni", "virchow2") for head in (*heads, "mean_pool")
    ]
    assert planned["uni_mean_pool"].recipe.epochs == 7
    assert list(planned) == [
        *single,
        "pca_ridge_meta_encoder",
        "meta_encoder",
        "pca_ridge_fusecpath",
        "fusecpath",
        "abmil_of_all",
    ]
    assert list(planned["fusecpath"].teachers) == ["titan"]
    assert planned["fusecpath"].teachers["titan"] == tmp_path / "features/titan"
    found = [planned[name].references for name in ("meta_encoder", "fusecpath", "abmil_of_all")]
    # One bag per sample, one per slide.
    assert found == [("pca_ridge_meta_encoder",), ("pca_ridge_fusecpath",), ()]
    assert full.fuse.coverage == 0.9
    assert full.time_edges == (0, 12, 24, 48, float("inf"))


def test_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    config = config_of(tmp_path, slides="slides.csv")
    assert config.samples == tmp_path / "labels.csv"
    assert config.slides == tmp_path / "slides.csv"
    assert config.features == {"uni": tmp_path / "f/uni"}
    assert config.out == tmp_path / "result"


def test_the_seed_of_the_study_is_that_of_its_experts(tmp_path):
    assert config_of(tmp_path, seed=5).planned()["uni"].recipe.seed == 5
    assert config_of(tmp_path, seed=5, experts=[{"seed": 2}]).planned()["uni"].recipe.seed == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sample": "x"}, "'sample' is unknown; did you mean 'samples'?"),
        ({"experts": []}, "there is no expert; list heads under 'experts', 'fused' or both"),
        ({"samples": None}, "'samples' is missing"),
        ({"features": {}}, "'features'"),
        ({"features": {"a/b": "x"}}, "study.yaml: 'a/b' cannot name an expert: use letters"),
        ({"experts": [{"head": "resnet"}]}, "'head'"),
        ({"experts": [{"epoch": 3}]}, "'epoch' is unknown"),
        ({"experts": [{"folds": 1}]}, "'folds'"),
        ({"experts": [{"head": "clam"}, {"head": "clam"}]}, "'clam' stands twice; give each"),
        ({"fuse": {"metod": "auto"}}, "'fuse.metod' is unknown"),
        ({"fuse": {"seed": 3}}, "'fuse.seed' is unknown"),
        ({"fuse": {"n_resamples": 3}}, "'fuse.n_resamples' is unknown"),
        ({"fuse": {"allow_in_sample": True}}, "'fuse.allow_in_sample' is unknown"),
        (
            {"fuse": {"resamples": -1}},
            "'fuse.resamples': input should be greater than or equal to 0, not -1",
        ),
        ({"fuse": {"margin": 0}}, "'fuse.margin': input should be greater than 0, not 0"),
        (
            {"fuse": {"interval": "foo"}},
            "'fuse.interval': input should be 'auto', 'percentile' or 'bca', not 'foo'",
        ),
        (
            {"fuse": {"unit": "slide"}},
            "'fuse.unit': input should be 'sample' or 'patient', not 'slide'",
        ),
        ({"fuse": {"coverage": 1}}, "'fuse.coverage': input should be less than 1, not 1"),
        ({"endpoint": "cox"}, "'endpoint'"),
    ],
)
def test_wrong_content_is_named(tmp_path, changes, sentence):
    with pytest.raises(InputError) as caught:
        config_of(tmp_path, **changes)
    assert sentence in str(caught.value)
    assert "study.yaml" in str(caught.value)


def test_a_study_of_fused_heads_only(tmp_path):
    config = config_of(tmp_path, experts=[], fused=[{"head": "meta_encoder"}])
    assert list(config.planned()) == ["pca_ridge", "meta_encoder"]


def test_the_options_of_the_fusion(tmp_path):
    said = {"resamples": 7, "gate": "per_bin", "expert_dropout": 0.2}
    options = config_of(tmp_path, seed=5, fuse=said).fuse_options()
    assert options == chosen(
        seed=5, n_resamples=7, gate="per_bin", expert_dropout=0.2, skip_unscored=True
    )


@pytest.mark.parametrize(
    ("strict", "said", "skips"),
    [
        (False, {}, True),
        (True, {}, False),
        (False, {"skip_unscored": False}, False),
        (True, {"skip_unscored": True}, True),
    ],
)
def test_samples_that_no_expert_scored_go_where_feature_files_may(tmp_path, strict, said, skips):
    assert config_of(tmp_path, strict=strict, fuse=said).fuse_options().skip_unscored is skips


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a: [", "is not YAML"), ("- 1", "holds no study"), ("", "holds no study")],
)
def test_what_is_no_study_is_refused(tmp_path, text, sentence):
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_config(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


def test_the_reference_of_a_fusion_of_features(tmp_path):
    features = {"uni": "f/uni", "conch": "f/conch", "chief": "f/chief"}
    some = {
        "head": "meta-encoder",
        "name": "two",
        "encoders": ["uni", "conch"],
        "folds": 7,
        "incomplete": "drop",
    }
    planned = config_of(
        tmp_path, features=features, seed=3, fused=[some, {"head": "fusecpath"}]
    ).planned()
    assert planned["two"].references == ("pca_ridge_two",)
    assert planned["fusecpath"].references == ("pca_ridge_fusecpath",)
    assert (
        list(planned["pca_ridge_two"].features) == list(planned["two"].features) == ["conch", "uni"]
    )
    recipe = planned["pca_ridge_two"].recipe
    assert (recipe.head, recipe.folds, recipe.incomplete, recipe.seed) == (
        "pca_ridge",
        7,
        "drop",
        3,
    )


def references(tmp_path, fused, **chosen):
    """Name, encoders and recipe of every reference."""
    planned = config_of(
        tmp_path, features={"uni": "f/uni", "conch": "f/conch"}, fused=fused, **chosen
    ).planned()
    named = {
        name: one.references[0]
        for name, one in planned.items()
        if one.recipe.facts.fuses and one.references
    }
    return {
        name: (other, list(planned[other].features), planned[other].recipe)
        for name, other in named.items()
    }


def test_only_an_equal_expert_serves_as_reference(tmp_path):
    """Not one of other encoders, of another head, of fewer components, or of other slides."""
    meta, both = {"head": "meta_encoder"}, ["conch", "uni"]
    for other in (
        {"head": "pca_ridge", "encoders": ["uni"]},
        {"head": "pca_ridge", "components": 1},
        {"head": "mean_pool", "name": "pca_ridge"},
    ):
        name, encoders, recipe = references(tmp_path, [meta, other])["meta_encoder"]
        assert (name, encoders, recipe.head, recipe.components) == (
            "pca_ridge_1",
            both,
            "pca_ridge",
            256,
        )
    assert (
        references(tmp_path, [meta, {"head": "pca_ridge", "name": "mine"}])["meta_encoder"][0]
        == "mine"
    )
    found = references(tmp_path, [meta | {"incomplete": "drop"}, {"head": "fusecpath"}])
    assert [(name, recipe.incomplete) for name, _, recipe in found.values()] == [
        ("pca_ridge_meta_encoder", "drop"),
        ("pca_ridge_fusecpath", "mask"),
    ]
    alike = references(tmp_path, [meta, {"head": "fusecpath"}])
    assert {name for name, _, _ in alike.values()} == {
        "pca_ridge"
    }  # without a slide table a sample is a slide
    several = references(tmp_path, [meta, {"head": "fusecpath"}], slides="slides.csv")
    assert len({name for name, _, _ in several.values()}) == 2


@pytest.mark.parametrize(
    ("fused", "sentence"),
    [
        (
            [{"head": "meta_encoder", "encoders": ["uni", "who"]}],
            "reads the encoder 'who', which is not among the",
        ),
        (
            [{"head": "abmil", "teachers": {"t": "x"}}],
            "its head 'abmil' takes none; fusecpath does",
        ),
        (
            [{"head": "meta_encoder"}, {"head": "meta_encoder"}],
            "two experts are called 'meta_encoder'",
        ),
        ([{"head": "meta_encoder", "strategy": "sum"}], "'strategy': input should be"),
        ([{"head": "abmil", "name": "uni"}], "two experts are called 'uni'"),
        ([{"name": "x"}], "'fused.0.head' is missing"),
        (
            [{"head": "meta_encoder", "encoders": ["uni", "uni"]}],
            "'meta_encoder' names an encoder twice",
        ),
        (
            [{"head": "meta_encoder", "encoders": []}],
            "'fused.0.encoders': tuple should have at least 1",
        ),
    ],
)
def test_what_stands_under_fused_is_checked(tmp_path, fused, sentence):
    with pytest.raises(InputError, match=sentence):
        config_of(tmp_path, fused=fused)


def test_the_same_head_may_stand_twice_with_names(tmp_path):
    entries = [{"head": "abmil"}, {"head": "abmil", "name": "wide", "hidden": 1024}]
    planned = config_of(tmp_path, features={"uni": "f/uni"}, experts=entries).planned()
    assert {name: one.recipe.hidden for name, one in planned.items()} == {
        "uni_abmil": 512,
        "uni_wide": 1024,
    }


def test_a_head_is_a_name_and_stands_once(tmp_path):
    with pytest.raises(InputError, match="'tile_mlp' stands twice"):
        config_of(tmp_path, experts=[{"head": "tile-mlp"}, {"head": "tile_mlp"}])
    with pytest.raises(InputError, match="'head' is a name, not 3"):
        config_of(tmp_path, experts=[{"head": 3}])
