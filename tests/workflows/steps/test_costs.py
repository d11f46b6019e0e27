"""What experts and fusion cost, from the folders of ``experts train`` to the manifest and the page."""

import json
import re
import shutil

import polars as pl
import pytest
from safetensors.numpy import load_file

import pathfuse
from pathfuse.costs import Cost
from pathfuse.workflows.steps.costs import read_cost, recorded_costs

COST = Cost(12.5, 20.0, 900.0, 250.0, 1_500_000, 2.5e12, 3e7)


@pytest.fixture(scope="module")
def study(tmp_path_factory, make_study):
    """Two experts: the first in a folder such as ``experts train`` writes, the second a colleague's
    table."""
    folder = tmp_path_factory.mktemp("costs")
    samples, predictions = make_study(folder / "study", 20, 20, 2, ("normal", "tumor"))
    trained = folder / "trained" / "predictions"
    trained.mkdir(parents=True)
    pl.read_csv(predictions / "expert_0.csv").write_parquet(trained / "expert_0.parquet")
    (folder / "trained/manifest.json").write_text(
        json.dumps({"pathfuse": "0", "cost": COST.as_dict()})
    )
    return samples, trained / "expert_0.parquet", predictions / "expert_1.csv"


@pytest.fixture(scope="module")
def fused(study, tmp_path_factory, run_cli):
    out = tmp_path_factory.mktemp("fused") / "out"
    samples, *predictions = study
    said = run_cli(
        "fuse", "--samples", samples, "--predictions", *predictions, "--out", out, "--resamples", 20
    )
    assert said.status == 0, said.err
    return out


def test_the_manifest_has_the_costs(fused):
    manifest = json.loads((fused / "manifest.json").read_text())
    costs = manifest["costs"]
    assert costs["experts"] == {"expert_0": COST.as_dict(), "expert_1": None}
    fusion = Cost.from_dict(costs["fusion"])
    assert 0 < fusion.wall_s < manifest["wall_time_s"]
    assert fusion.cpu_s > 0
    assert fusion.peak_memory_mb > 20
    tensors = load_file(fused / "model/model.safetensors")
    assert fusion.parameters == sum(
        array.size for name, array in tensors.items() if name != "fit_ids"
    )
    assert fusion.fit_flops > 1000 * fusion.predict_flops_per_sample > 0


def test_the_page_shows_them(fused):
    page = (fused / "report.html").read_text(encoding="utf-8")
    section = page.split('<h2 id="cost">')[1].split("<h2")[0]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', section)
    cells = {name: re.findall(r"<td[^>]*>(.*?)</td>", rest) for name, rest in rows}
    assert cells["expert_0"] == ["12.50", "900", "250", "1.5 M", "2.5 T", "30.0 M"]
    assert cells["expert_1"] == ["not recorded", *["—"] * 5]
    assert set(cells) == {"expert_0", "expert_1", "fused"}
    assert "Against the fit of the fusion: expert_0" in section


def read(study):
    return pathfuse.read_study(study[0], list(study[1:]))


def test_costs_are_read_only_where_training_wrote_them(study, tmp_path):
    assert recorded_costs(read(study)) == {"expert_0": COST}
    for place in (tmp_path / "a/tables", tmp_path / "b/predictions"):
        place.mkdir(parents=True)
        shutil.copy(study[1].parent.parent / "manifest.json", place.parent)
    shutil.copy(study[1], tmp_path / "a/tables/expert_0.parquet")  # another folder
    shutil.copy(study[2], tmp_path / "b/predictions/expert_1.csv")  # another kind of file
    moved = [tmp_path / "a/tables/expert_0.parquet", tmp_path / "b/predictions/expert_1.csv"]
    assert recorded_costs(pathfuse.read_study(study[0], moved)) == {}


ODD = [
    "",
    "[]",
    "{}",
    '{"cost": null}',
    '{"cost": {"wall_s": NaN}}',
    '{"cost": {"wall_s": null}}',
    "\xff",
]


@pytest.mark.parametrize("content", [*ODD, pytest.param("[" * 100_000, id="deep")])
def test_an_odd_manifest_is_an_unknown_cost(content, tmp_path):
    (tmp_path / "manifest.json").write_bytes(content.encode("latin-1"))
    assert read_cost(tmp_path / "manifest.json") is None
    assert read_cost(tmp_path / "nowhere.json") is None


def test_the_cost_of_a_stranger_is_refused(study):
    with pytest.raises(pathfuse.InputError, match="'expert_9'"):
        pathfuse.fuse(read(study), costs={"expert_9": COST})
