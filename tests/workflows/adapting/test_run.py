"""Streams from the outside: in one piece or many, twice, and taken back."""

import re

import numpy as np
import polars as pl
import pytest

from pathfuse.errors import InputError
from pathfuse.online.fixed_share import RATES
from pathfuse.online.methods import NAMES, SHARE_OF_FIRST
from pathfuse.workflows.adapting import run
from pathfuse.workflows.adapting.incoming import Timing
from pathfuse.workflows.adapting.journal import FILES
from pathfuse.workflows.adapting.run import adapt, take_back


def adapted(folder):
    return pl.read_parquet(folder / "adapted.parquet")


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "survival"])
def test_every_endpoint_of_probabilities(streams, tmp_path, kind):
    own = streams(kind)
    out = tmp_path / "out"
    found = adapt(own.folder, out, own.experts, own.samples)
    table = adapted(out)
    assert table["sample_id"].to_list() == own.samples["sample_id"].to_list()
    frozen = own.model.predict(own.experts)
    extra = {"n_labels", "update"}
    shown = [c for c in frozen.columns if not c.startswith(("weight_", "prediction_set"))]
    assert set(table.columns) == {*shown, *extra}
    first = table.filter(pl.col("n_labels") == 0)
    assert first.height == 1
    nll = found.stream.nll.filter(pl.col("what") == "adapted minus frozen")
    assert nll["output"].to_list() == list(own.model.fusions)
    # Half of the weight begins on the fusion, and a fifth on "nothing changes": what that promises.
    promised = np.log(1 / SHARE_OF_FIRST) + np.log(len(RATES))
    assert (nll["nll"] * nll["n"] <= promised + 1e-9).all()
    shifted = "weight_label_shift" in pl.read_parquet_schema(out / "weights.parquet")
    assert shifted == (kind != "survival")  # bins of time have no frequencies to compare with
    if kind == "multiclass":
        assert nll["nll"][0] < -0.2  # the best expert breaks


@pytest.mark.parametrize("by", NAMES)
def test_pieces_make_the_same_predictions_as_one_call(stream, tmp_path, by):
    """Labels ten samples late: samples and labels as they come, and all at the end."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = {"timing": Timing(delay=10), "by": by}
    adapt(stream.folder, whole, stream.experts, stream.samples, **options)
    for n in (7, 30, 31, 90):
        samples, experts = stream.first(n, labels=max(n - 10, 0))
        adapt(stream.folder, parts, experts, samples, **options)
    adapt(stream.folder, parts, samples=stream.samples, **options)
    same = ["sample_id", "n_labels", "prob_adipose", "prob_stroma", "prob_tumor"]
    assert adapted(whole).select(same).equals(adapted(parts).select(same))
    weights = [
        pl.read_parquet(place / "weights.parquet").drop("update") for place in (whole, parts)
    ]
    assert weights[0].equals(weights[1])
    assert (whole / "nll.csv").read_bytes() == (parts / "nll.csv").read_bytes()


def test_called_twice_it_changes_nothing(stream, tmp_path, content):
    for _ in range(2):
        found = adapt(stream.folder, tmp_path / "out", stream.experts, stream.samples)
        before = content(tmp_path / "out")
        again = adapt(stream.folder, tmp_path / "out", stream.experts, stream.samples)
        assert (again.n_samples, again.n_labels) == (0, 0)
        assert content(tmp_path / "out") == before
    adapt(stream.folder, tmp_path / "other", stream.experts, stream.samples)
    assert content(tmp_path / "other") == before
    assert found.stream.journal.n_updates == 1


def test_updates_are_taken_back_byte_for_byte(stream, tmp_path, content):
    out, states = tmp_path / "out", []
    for n, labels in ((20, 0), (20, 15), (60, 40), (90, 90)):
        samples, experts = stream.first(n, labels)
        adapt(stream.folder, out, experts, samples)
        states.append(content(out))
    take_back(stream.folder, out, 1)
    assert content(out) == states[2]
    take_back(stream.folder, out, 2)
    assert content(out) == states[0]
    samples, experts = stream.first(20, 15)
    adapt(stream.folder, out, experts, samples)
    assert content(out) == states[1]
    for n in (0, 2, 5):
        with pytest.raises(
            InputError, match=f"--undo {n} is out of range: the folder has 2 updates"
        ):
            take_back(stream.folder, out, n)
    assert content(out) == states[1]


def test_a_prediction_knows_only_labels_that_came_before(stream, tmp_path):
    """Other labels from the 40th sample on: what was predicted up to then and through the delay is
    the same."""
    others = stream.samples.with_columns(
        label=pl.when(pl.int_range(pl.len()) >= 40)
        .then(pl.lit("stroma"))
        .otherwise(pl.col("label"))
    )
    for name, table in (("one", stream.samples), ("two", others)):
        adapt(stream.folder, tmp_path / name, stream.experts, table, timing=Timing(delay=5))
    one, two = (adapted(tmp_path / name)["prob_tumor"].to_numpy() for name in ("one", "two"))
    np.testing.assert_array_equal(one[:46], two[:46])
    assert (one[46:] != two[46:]).any()


def test_newer_samples_without_label_are_predicted_with_the_weights_of_now(stream, tmp_path):
    samples, experts = stream.first(90, labels=80)
    found = adapt(stream.folder, tmp_path / "out", experts, samples)
    last = adapted(tmp_path / "out").tail(10)
    assert (last["n_labels"] == 80).all()
    assert found.stream.nll["n"].unique().to_list() == [80]
    names = ("uniform_product", "without_expert_0")
    weights = dict(found.stream.latest["all"])
    assert all(weights[name] >= 0 for name in names)
    assert weights["expert_0"] < 0.01  # it broke


def test_without_labels_nothing_moves(stream, tmp_path):
    adapt(stream.folder, tmp_path / "out", stream.experts, by="bayes", label_shift=False)
    table = adapted(tmp_path / "out")
    assert table["sample_id"].is_sorted()
    assert (table["n_labels"] == 0).all()
    assert pl.read_csv(tmp_path / "out/nll.csv").height == 0
    assert pl.read_parquet(tmp_path / "out/weights.parquet").height == 0


def test_an_update_shows_what_it_brought(stream, tmp_path):
    for n, labels in ((30, 0), (60, 20)):
        samples, experts = stream.first(n, labels)
        adapt(stream.folder, tmp_path / "out", experts, samples)
    rows = pl.read_csv(tmp_path / "out/updates.csv").rows()
    assert rows == [(1, 30, 0, 0), (2, 30, 20, 20)]
    weights = pl.read_parquet(tmp_path / "out/weights.parquet")
    assert weights["label"].to_list() == list(range(1, 21))
    shares = weights.select(pl.sum_horizontal(pl.col("^weight_.*$")))
    np.testing.assert_allclose(shares.to_series(), 1)


def test_fit_rows_take_no_part(stream, tmp_path, streams):
    fitted = stream.model.fitted
    assert len(fitted)
    extra = stream.samples.with_columns(pl.lit("x").alias("note"))
    found = adapt(stream.folder, tmp_path / "out", stream.experts, extra)
    assert found.n_fitted == 0
    assert found.n_samples == 90


def test_a_label_that_changed_is_said_and_not_taken(stream, tmp_path, content):
    adapt(stream.folder, tmp_path / "out", stream.experts, stream.samples)
    before = content(tmp_path / "out")
    name = stream.samples["sample_id"][3]
    other = "tumor" if stream.samples["label"][3] != "tumor" else "stroma"
    changed = stream.samples.with_columns(
        label=pl.when(pl.col("sample_id") == name).then(pl.lit(other)).otherwise(pl.col("label"))
    )
    found = adapt(stream.folder, tmp_path / "out", stream.experts, changed)
    assert found.changed == (name,)
    assert content(tmp_path / "out") == before


def test_a_folder_goes_on_as_it_began(stream, streams, tmp_path):
    out = tmp_path / "out"
    adapt(stream.folder, out, stream.experts, stream.samples)
    with pytest.raises(InputError, match="begun with another --by"):
        adapt(stream.folder, out, stream.experts, stream.samples, by="boa")
    with pytest.raises(InputError, match="begun with the other --label-shift"):
        adapt(stream.folder, out, stream.experts, stream.samples, label_shift=False)
    other = streams("multilabel")
    with pytest.raises(InputError, match="begun with another model"):
        adapt(other.folder, out, other.experts, other.samples)
    with pytest.raises(InputError, match="begun with another model"):
        take_back(other.folder, out, 1)


def test_what_cannot_be_adapted(stream, tmp_path):
    with pytest.raises(InputError, match="no sample yet"):
        adapt(stream.folder, tmp_path / "out", samples=stream.samples)
    with pytest.raises(InputError, match="holds no stream"):
        take_back(stream.folder, tmp_path / "out", 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    with pytest.raises(InputError, match="exists already and holds no stream of adapt"):
        adapt(stream.folder, tmp_path / "mine", stream.experts)
    with pytest.raises(InputError, match="'hedge' is unknown"):
        adapt(stream.folder, tmp_path / "out", stream.experts, by="hedge")
    assert not (tmp_path / "out").exists()


def test_survival_with_nothing_but_censored_cases_so_far(streams, tmp_path):
    own = streams("survival")
    censored = own.samples.with_columns(event=pl.lit(0)).head(10)
    found = adapt(own.folder, tmp_path / "out", own.experts, censored)
    assert found.n_labels == 10


@pytest.mark.parametrize("begun", [False, True])
def test_a_call_that_another_overtook_writes_nothing(stream, tmp_path, content, monkeypatch, begun):
    """The other call begins and ends between this one's reading and writing."""
    out = tmp_path / "out"
    if begun:
        adapt(stream.folder, out, stream.first(20)[1])
    made = run.stream_of

    def overtaken(*given):
        monkeypatch.setattr(run, "stream_of", made)
        adapt(stream.folder, out, stream.first(40)[1])
        return made(*given)

    monkeypatch.setattr(run, "stream_of", overtaken)
    sentence = f"another call has changed {out} since this one read it; call again"
    with pytest.raises(InputError, match=re.escape(sentence)):
        adapt(stream.folder, out, stream.first(60)[1])
    assert adapted(out).height == 40
    adapt(stream.folder, out, stream.first(60)[1])
    assert adapted(out).height == 60
    before = content(out)
    monkeypatch.setattr(run, "stream_of", lambda *given: (overtaken_by_all(), made(*given))[1])

    def overtaken_by_all():
        monkeypatch.setattr(run, "stream_of", made)
        adapt(stream.folder, out, stream.experts)

    with pytest.raises(InputError, match="another call has changed"):
        take_back(stream.folder, out, 1)
    assert content(out) != before
    assert adapted(out).height == 90
    assert not list(tmp_path.glob(".*"))


def test_labels_know_their_time_and_come_after_their_sample(stream, tmp_path):
    """A label that seems to come earlier would teach samples that came before anybody knew it."""
    out, timing = tmp_path / "out", Timing(order="day", labelled_at="signed")
    signed = stream.samples.with_columns(signed=pl.col("day") + 3)
    first, second = stream.samples["sample_id"][:2]

    def refused(table, sentence):
        with pytest.raises(InputError, match=re.escape(sentence)):
            adapt(stream.folder, out, stream.experts, table, timing=timing)
        assert not out.exists()

    refused(
        signed.rename({"day": "signed", "signed": "day"}),
        f"the label of sample '{first}' came at 0 (column 'signed'), before the sample itself at 3 (column 'day'), "
        "and so it is with 89 more; are the columns swapped?",
    )
    at = pl.col("sample_id") == second
    refused(
        signed.with_columns(signed=pl.when(at).then(None).otherwise("signed")),
        f"column 'signed': the label of sample '{second}' has no time; with --labelled-at every label needs",
    )
    no_label = pl.when(at).then(None)
    waits = signed.with_columns(
        label=no_label.otherwise("label"), signed=no_label.otherwise("signed")
    )
    found = adapt(stream.folder, out, stream.experts, waits, timing=timing)
    assert found.n_labels == 89


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_folder_is_called_so(stream, tmp_path, content, name):
    """And no option is named that adapt does not have."""
    out = tmp_path / "out"
    adapt(stream.folder, out, stream.first(20)[1])
    (out / name).unlink()
    before = content(out)
    with pytest.raises(InputError, match=name) as refused:
        adapt(stream.folder, out, stream.experts)
    assert "--force" not in str(refused.value)
    assert content(out) == before


def test_samples_without_a_patient_stand_for_themselves_and_are_counted(stream, tmp_path):
    bare = pl.when(pl.int_range(pl.len()) >= 18).then("patient_id")
    table = stream.samples.with_columns(patient_id=bare)
    for _ in range(2):  # as it is made, and as it is read
        found = adapt(stream.folder, tmp_path / "out", stream.experts, table)
        counts = found.stream.nll.row(0, named=True)
        assert (counts["n"], counts["n_patients"], counts["n_without_patient"]) == (90, 54, 18)
    kept = pl.read_parquet(tmp_path / "out/stream.parquet")["patient_id"]
    assert kept.null_count() == 18
