"""New slides by the experts and the fusion of a study, in one call, and only what is new."""

import json
import os
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

import polars as pl
import pytest
import yaml

import pathfuse
from pathfuse.errors import InputError
from pathfuse.experts.serve import serve
from pathfuse.features.locate import NoFeaturesError, find_store
from pathfuse.testing.cohort import CohortPlan
from pathfuse.testing.demo import write_demo
from pathfuse.workflows.score import run as scoring
from pathfuse.workflows.score.run import Asked, look, prepare, score
from pathfuse.workflows.score.study import open_study
from pathfuse.workflows.score.watch import watch
from pathfuse.workflows.study_file.config import read_config
from pathfuse.workflows.study_file.run import run_study

SMALL = CohortPlan(n_patients=24, tiles_per_slide=(4, 8), slides_per_patient=(1, 2))
pytestmark = pytest.mark.slow
ENCODERS = ("alpha", "beta")
QUICK = {"head": "abmil", "epochs": 1, "min_epochs": 1, "folds": 2, "networks": 1}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of two encoders' experts and one that reads both, and where its features lie."""
    file = write_demo(tmp_path_factory.mktemp("study"), SMALL, heads=("mean_pool",))
    content = yaml.safe_load(file.read_text())
    features = {name: content["features"][name] for name in ENCODERS}
    content |= {
        "features": features,
        "experts": [QUICK],
        "fused": [{"head": "pca_ridge", "name": "together", "um_per_px": 0.5}],
        "fuse": {"method": "static_product", "resamples": 0},
    }
    file.write_text(yaml.safe_dump(content))
    config = read_config(file)
    run_study(config)
    return open_study(config.out), config


@pytest.fixture
def copied(study, tmp_path):
    """``copied(*slides, of=encoders)`` puts slides of the study into new folders, one per encoder."""
    _, config = study

    def copy(*slides, of=ENCODERS):
        for encoder, place in config.features.items():
            target = tmp_path / "new" / encoder
            target.mkdir(parents=True, exist_ok=True)
            paths = find_store(place).paths
            for slide in slides:
                if encoder in of and slide in paths:
                    shutil.copy(paths[slide][0], target)
        return {encoder: tmp_path / "new" / encoder for encoder in config.features}

    return copy


@pytest.fixture
def slides(study):
    """Slides that all encoders have."""
    names = [set(find_store(place).paths) for place in study[1].features.values()]
    return sorted(set.intersection(*names))


def once(asked, force=False):
    return score(asked, prepare(asked, force), look(asked))


def test_the_scores_are_those_of_the_four_commands(study, copied, slides, tmp_path):
    opened, _ = study
    places = copied(*slides[:6])
    done = once(Asked(opened, places, tmp_path / "scores.parquet"))
    assert done.fresh == tuple(slides[:6])
    assert done.left_out == ()
    experts = {}
    for name, encoders in opened.reads.items():
        given = {one: places[one] for one in encoders}
        features = given if len(given) > 1 else next(iter(given.values()))
        experts[name] = serve(opened.folder(name), features).table()
    assert len(opened.reads["together"]) == 2
    wanted = pathfuse.load(opened.place / "fused").predict(experts)
    assert pl.read_parquet(tmp_path / "scores.parquet").equals(wanted)


def test_only_what_is_new_or_changed_is_read_again(study, copied, slides, tmp_path, monkeypatch):
    opened, _ = study
    asked = Asked(opened, copied(*slides[:3]), tmp_path / "scores.csv")
    once(asked)
    first = (tmp_path / "scores.csv").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("pathfuse.experts.serve.serve", None)
        assert once(asked).fresh == ()
    assert (tmp_path / "scores.csv").read_bytes() == first
    copied(slides[3])
    assert once(asked).fresh == (slides[3],)
    rows = pl.read_csv(tmp_path / "scores.csv")
    assert rows["sample_id"].to_list() == slides[:4]
    assert first.splitlines()[1:] == (tmp_path / "scores.csv").read_bytes().splitlines()[1:4]
    os.utime(tmp_path / "new/alpha" / f"{slides[0]}.h5", ns=(5, 5))
    assert once(asked).fresh == (slides[0],)


def test_an_encoder_that_comes_later_joins(study, copied, slides, tmp_path):
    opened, _ = study
    asked = Asked(opened, copied(*slides[:2], of=("alpha",)), tmp_path / "scores.csv")
    once(asked)
    before = pl.read_csv(tmp_path / "scores.csv")["n_experts"].to_list()
    copied(*slides[:2], of=("beta",))
    assert once(asked).fresh == tuple(slides[:2])
    after = pl.read_csv(tmp_path / "scores.csv")["n_experts"].to_list()
    assert max(before) < min(after) == len(opened.reads)
    whole = replace(asked, out=tmp_path / "whole.csv")
    once(whole)
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "scores.csv").read_bytes()


def test_slides_of_one_patient_are_one_sample(study, copied, slides, tmp_path):
    opened, _ = study
    table = pl.DataFrame({"sample_id": ["one", "one", "two"], "slide_id": slides[:3]})
    table.write_csv(tmp_path / "slides.csv")
    asked = Asked(opened, copied(*slides[:2]), tmp_path / "out.csv", tmp_path / "slides.csv")
    assert once(asked).fresh == ("one",)
    copied(slides[2])
    assert once(asked).fresh == ("two",)


def test_attention_is_written_where_a_head_has_some(study, copied, slides, tmp_path):
    opened, _ = study
    places = copied(slides[0])
    once(Asked(opened, places, tmp_path / "out.csv", attention=tmp_path / "attention"))
    found = sorted(
        str(f.relative_to(tmp_path / "attention"))
        for f in (tmp_path / "attention").rglob("*.parquet")
    )
    assert found == [f"{encoder}/{slides[0]}.parquet" for encoder in ENCODERS]


def test_what_cannot_be_read_is_left_out_and_tried_again_when_it_changes(
    study, copied, slides, tmp_path
):
    opened, _ = study
    places = copied(*slides[:2])
    broken = tmp_path / "new/alpha" / f"{slides[0]}.h5"
    content = broken.read_bytes()
    broken.write_bytes(content[:100])
    asked = Asked(opened, places, tmp_path / "out.csv")
    done = once(asked)
    assert {item["expert"] for item in done.left_out} >= {"alpha"}
    assert once(asked).fresh == ()
    broken.write_bytes(content)
    assert once(asked).fresh == (slides[0],)
    broken.write_bytes(content[:100])
    with pytest.raises(InputError, match=slides[0]):
        once(replace(asked, strict=True))


def test_what_is_wrong_is_a_sentence(study, copied, slides, tmp_path):
    opened, _ = study
    places = copied(slides[0])
    asked = Asked(opened, places, tmp_path / "out.csv")
    with pytest.raises(
        InputError, match=r"no expert of .* reads the encoder 'delta'; they read alpha"
    ):
        once(replace(asked, features={"delta": places["alpha"]}))
    with pytest.raises(InputError, match="--min-experts 9 must be between 1 and 3"):
        once(replace(asked, min_experts=9))
    with pytest.raises(InputError, match=r"features of length \d+, but the expert was trained"):
        once(replace(asked, features={"alpha": places["beta"], "beta": places["alpha"]}))
    assert once(asked).fresh == (slides[0],)  # what was refused is in nobody's way
    (tmp_path / "out.csv").unlink()
    shutil.rmtree(asked.predictions)
    with pytest.raises(NoFeaturesError, match="nothing to score in"):
        once(replace(asked, features={"alpha": _empty(tmp_path)}))
    with pytest.raises(InputError, match="not the output folder of 'pathfuse run'"):
        open_study(tmp_path)
    (tmp_path / "out.csv").write_text("sample_id,mine\n")
    with pytest.raises(InputError, match=r"out\.csv exists already"):
        once(asked)


def test_the_result_of_another_study_is_not_gone_on_from(study, copied, slides, tmp_path):
    opened, _ = study
    asked = Asked(opened, copied(slides[0]), tmp_path / "out.csv")
    once(asked)
    other = replace(asked, study=replace(opened, stamp="another"))
    with pytest.raises(InputError, match="is of another study, or the study has changed"):
        once(other)
    assert once(other, force=True).fresh == (slides[0],)


def test_a_call_that_was_killed_at_its_start_is_gone_on_from(study, copied, slides, tmp_path):
    asked = Asked(study[0], copied(slides[0]), tmp_path / "out.csv")
    asked.predictions.mkdir()
    assert once(asked).fresh == (slides[0],)
    other = Asked(study[0], copied(slides[0]), tmp_path / "mine.csv")
    other.predictions.mkdir()
    (other.predictions / "mine.txt").touch()
    with pytest.raises(InputError, match="is in the way: pathfuse did not write it"):
        once(other, force=True)


def test_a_sample_whose_files_cannot_be_read_is_named_in_every_call(
    study, copied, slides, tmp_path
):
    asked = Asked(study[0], copied(*slides[:2]), tmp_path / "out.csv")
    once(asked)
    for encoder in ENCODERS:
        (tmp_path / "new" / encoder / f"{slides[0]}.h5").write_bytes(b"broken")
    assert [once(asked).unread for _ in range(2)] == [(slides[0],)] * 2
    assert pl.read_csv(tmp_path / "out.csv")["sample_id"].to_list() == [slides[1]]


def test_samples_that_are_made_otherwise_are_not_mixed(study, copied, slides, tmp_path):
    asked = Asked(study[0], copied(*slides[:2]), tmp_path / "out.csv")
    once(asked)
    table = tmp_path / "slides.csv"
    pl.DataFrame({"sample_id": ["one"] * 2, "slide_id": slides[:2]}).write_csv(table)
    with pytest.raises(InputError, match="each slide as a sample, and --slides now says otherwise"):
        once(replace(asked, slides=table))
    assert once(replace(asked, slides=table), force=True).fresh == ("one",)
    pl.DataFrame({"sample_id": ["two"] * 2, "slide_id": slides[:2]}).write_csv(table)
    with pytest.raises(InputError, match="has no sample 'one', which was scored before"):
        once(replace(asked, slides=table))


def test_a_damaged_record_is_a_sentence(study, copied, slides, tmp_path):
    asked = Asked(study[0], copied(slides[0]), tmp_path / "out.csv")
    once(asked)
    record = asked.predictions / "seen.json"
    content = json.loads(record.read_text())
    for damage in (None, {slides[0]: 3}, {slides[0]: {"alpha": [["a.h5"]]}}):
        record.write_text(json.dumps(content | {"samples": damage}))
        with pytest.raises(InputError, match=r"seen\.json is damaged; --force scores all"):
            once(asked)
    assert once(asked, force=True).fresh == (slides[0],)


def test_a_study_of_an_older_pathfuse_says_what_to_do(study, tmp_path):
    place = tmp_path / "result"
    shutil.copytree(study[0].place, place)
    manifest = json.loads((place / "manifest.json").read_text())
    del manifest["encoders_of"]
    (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"'pathfuse run' with the same study\.yaml adds that"):
        open_study(place)


def test_a_growing_folder_is_scored_once_files_have_settled(study, copied, slides, tmp_path):
    opened, _ = study
    asked = Asked(opened, copied(), tmp_path / "out.csv")
    said, looks = [], count()

    def wait(seconds):
        assert seconds == 7
        match next(looks):
            case 1:
                copied(slides[0])
            case 3:
                (tmp_path / "new/beta" / f"{slides[1]}.h5").write_bytes(b"half of")
                copied(slides[1])
            case 9:
                raise KeyboardInterrupt

    found = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(watch(asked, prepare(asked), 7, said.append, wait=wait))
    assert [(one.fresh, one.n_samples) for one in found] == [((slides[0],), 1), ((slides[1],), 2)]
    assert said == []


def test_a_look_that_fails_is_said_once_and_the_next_may_find_it_mended(
    study, copied, slides, tmp_path
):
    opened, _ = study
    asked = Asked(opened, {"alpha": tmp_path / "new/alpha"}, tmp_path / "out.csv")
    said, looks = [], count()

    def wait(_seconds):
        match next(looks):
            case 2:
                copied(slides[0], of=("alpha",))
            case 5:
                raise KeyboardInterrupt

    seen, found = (
        scoring.read_seen(asked.predictions / "seen.json", opened.stamp, by_table=False),
        [],
    )
    with pytest.raises(KeyboardInterrupt):
        found.extend(watch(asked, seen, 1, said.append, wait=wait))
    assert (tmp_path / "out.csv").exists()
    assert len(said) == 1
    assert "does not exist" in said[0]


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_force_leaves_a_link_to_other_predictions_alone(study, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / scoring.RECORD).write_text("{}")
    asked = Asked(study[0], study[1].features, tmp_path / "scores.csv")
    asked.predictions.symlink_to(mine)
    with pytest.raises(InputError, match="scores_predictions is a link to"):
        prepare(asked, force=True)
    assert asked.predictions.is_symlink()
    assert (mine / scoring.RECORD).exists()
