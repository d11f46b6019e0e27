"""``pathfuse.rank`` on small studies with known answers."""

import json

import pytest

import pathfuse

METRICS = "method,output,metric,value,ci_low,ci_high,n,n_patients\n"
COMPARISONS = "method,reference,output,metric,difference,ci_low,ci_high,p_value,test\n"


def long_table(path, rows, header="study,method,metric,value"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def make_result(folder, values, paired=(), experts=("uni",), kind="multiclass", metric="nll"):
    """A result folder: ``values`` are (method, value, low, high), ``paired`` (method, reference,
    low, high)."""
    folder.mkdir(parents=True)
    rows = [f"{m},all,{metric},{v},{low},{high},9,9\n" for m, v, low, high in values]
    (folder / "metrics.csv").write_text(METRICS + "".join(rows))
    contrasts = [f"{m},{r},all,{metric},0,{low},{high},1,b\n" for m, r, low, high in paired]
    (folder / "comparisons.csv").write_text(
        COMPARISONS + ("".join(contrasts) or "x,y,all,other,0,0,0,1,b\n")
    )
    manifest = {"endpoint": {"kind": kind}, "experts": dict.fromkeys(experts)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


# Ties that a study cannot resolve


def test_the_paired_interval_decides_where_fused_takes_part(tmp_path):
    """Own intervals overlap everywhere, but the paired difference to best_expert excludes 0."""
    values = [
        ("fused", 0.3, 0.1, 0.5),
        ("best_expert", 0.35, 0.2, 0.6),
        ("stacking", 0.32, 0.1, 0.5),
    ]
    paired = [("fused", "best_expert", -0.08, -0.02), ("fused", "stacking", -0.05, 0.01)]
    for name in "ab":
        make_result(tmp_path / name, values, paired)
    result = pathfuse.rank([tmp_path])
    row = result.winners.row(0, named=True)
    assert (row["winner"], row["n_unresolved"], row["unresolved_with"]) == (
        "fused",
        1,
        ["stacking"],
    )
    assert result.manifest["mean_in_reach"] == 2
    assert result.ranks["unresolved"].to_list()[:3] == [True, True, False]


def test_the_paired_interval_counts_from_either_side(tmp_path):
    """The winner may be the reference: logitprod less stacking, where stacking is best."""
    values = [
        ("logitprod", 0.3, 0.2, 0.4),
        ("stacking", 0.28, 0.2, 0.4),
        ("best_expert", 0.9, 0.8, 1.0),
    ]
    for name, low in (("a", 0.01), ("b", -0.01)):
        make_result(tmp_path / name, values, [("logitprod", "stacking", low, 0.04)])
    result = pathfuse.rank([tmp_path])
    assert result.winners["unresolved_with"].to_list() == [[], ["logitprod"]]


def test_intervals_overlap_where_no_pair_was_computed(tmp_path):
    """Lower is better: a method is in reach if its lower limit is at or below the winner's upper."""
    values = [
        ("stacking", 0.30, 0.2, 0.40),
        ("static_product", 0.5, 0.40, 0.6),
        ("best_expert", 0.5, 0.41, 0.6),
    ]
    for name in "ab":
        make_result(
            tmp_path / name, values, [("stacking", "static_product", 0.1, 0.2)]
        )  # no such pair is written
    assert (
        pathfuse.rank([tmp_path]).winners["unresolved_with"].to_list() == [["static_product"]] * 2
    )


def test_without_intervals_nothing_is_claimed(tmp_path):
    rows = [
        "a,x,auroc,0.9",
        "a,y,auroc,0.9",
        "a,z,auroc,0.8",
        "b,x,auroc,0.7",
        "b,y,auroc,0.6",
        "b,z,auroc,0.5",
    ]
    result = pathfuse.rank([long_table(tmp_path / "t.csv", rows)])
    assert result.winners["n_unresolved"].to_list() == [None, None]
    assert result.winners["unresolved_with"].to_list() == [
        ["y"],
        [],
    ]  # equal values are never told apart
    assert result.ranks["unresolved"].to_list() == [True, True, None, True, None, None]
    assert result.manifest["mean_in_reach"] is None


# Methods and studies that take part


def test_experts_join_on_request_and_only_where_all_have_them(tmp_path):
    for name, own in (("a", "conch"), ("b", "gpfm")):
        values = [
            (m, 0.1 * i, 0, 1) for i, m in enumerate(("fused", "best_expert", "uni", own), start=1)
        ]
        make_result(tmp_path / name, values, experts=("uni", own))
    plain, more = pathfuse.rank([tmp_path]), pathfuse.rank([tmp_path], experts=True)
    assert plain.summary["method"].to_list() == ["fused", "best_expert"]
    assert plain.manifest["left_out"][0]["first"] == ["uni", "conch", "gpfm"]
    assert more.summary["method"].to_list() == ["fused", "best_expert", "uni"]
    assert more.manifest["left_out"] == [
        {
            "what": "methods",
            "n": 2,
            "reason": "not all studies have them",
            "first": ["conch", "gpfm"],
        }
    ]


def test_studies_without_the_metric_are_left_out_and_said(tmp_path):
    values = [("fused", 0.8, 0.7, 0.9), ("best_expert", 0.7, 0.6, 0.8)]
    for name, metric in (("a", "auroc"), ("b", "auroc"), ("c", "c_index")):
        make_result(tmp_path / name, values, metric=metric)
    result = pathfuse.rank([tmp_path], metric="AUROC")
    assert result.winners["study"].to_list() == ["a", "b"]
    reason = "they do not have the metric 'auroc'"
    assert result.manifest["left_out"] == [
        {"what": "studies", "n": 1, "reason": reason, "first": ["c"]}
    ]
    assert result.manifest["higher_is_better"] is True


def test_mixed_endpoints_are_noted(tmp_path):
    for name, kind in (("a", "multiclass"), ("b", "survival")):
        make_result(
            tmp_path / name, [("fused", 0.8, 0.7, 0.9), ("best_expert", 0.9, 0.6, 0.8)], kind=kind
        )
    notes = pathfuse.rank([tmp_path]).manifest["notes"]
    assert any("different endpoints (multiclass, survival)" in note for note in notes)


def test_absent_cells(tmp_path):
    """z lacks study c: its pairs use a and b, Friedman too, and ranks inside c are those of two
    methods."""
    rows = [f"{s},{m},auroc,{v}" for s in "abc" for m, v in (("x", 0.9), ("y", 0.8), ("z", 0.7))][
        :-1
    ]
    result = pathfuse.rank([long_table(tmp_path / "t.csv", [*rows, "c,z,auroc,", "d,x,auroc,0.5"])])
    assert result.summary.select("method", "mean_rank", "n_studies").rows() == [
        ("x", 1, 3),
        ("y", 2, 3),
        ("z", 3, 2),
    ]
    pairs = {(row["method"], row["reference"]): row for row in result.pairs.iter_rows(named=True)}
    assert (pairs["x", "y"]["n"], pairs["x", "z"]["n"]) == (3, 2)
    assert pairs["x", "y"]["p_value"] == pytest.approx(0.25)
    assert result.friedman["studies"]["n"] == 2
    assert result.friedman["studies"]["studies_left_out"] == ["c"]
    left_out = [(item["what"], item["first"]) for item in result.manifest["left_out"]]
    assert left_out == [("cells", ["c/z"]), ("studies", ["d"])]
    assert any(
        "the Friedman test leaves out studies that lack a method (1): c" in note
        for note in result.manifest["notes"]
    )


def test_mean_ranks_of_complete_studies_stand_beside_those_of_all(tmp_path):
    """y is last where all compete and first where only two do."""
    rows = [f"{s},{m},auroc,{v}" for s in "ab" for m, v in (("x", 0.9), ("z", 0.8), ("y", 0.7))]
    result = pathfuse.rank(
        [long_table(tmp_path / "t.csv", [*rows, "c,y,auroc,0.9", "c,z,auroc,0.1"])]
    )
    found = {row["method"]: row for row in result.summary.iter_rows(named=True)}
    assert (found["y"]["mean_rank"], found["y"]["mean_rank_complete"]) == (pytest.approx(7 / 3), 3)
    assert (found["y"]["wins"], found["x"]["wins"]) == (1, 2)


def test_methods_of_one_study_may_come_from_two_tables(tmp_path):
    one = long_table(tmp_path / "one.csv", ["a,x,auroc,0.9", "b,x,auroc,0.8"])
    two = long_table(tmp_path / "two.csv", ["a,y,AUROC,0.7", "b,y,AUROC,0.9"])
    result = pathfuse.rank([one, two])
    assert result.winners["winner"].to_list() == ["x", "y"]


# Cohorts


def test_a_cohort_counts_once(tmp_path):
    rows = [f"{s},{m},auroc,{v},{c}" for s, c in zip("abcdefgh", "PPPPPPQQ", strict=True)
            for m, v in (("x", 0.9), ("y", 0.8 + 0.001 * "abcdefgh".index(s)))]  # fmt: skip
    result = pathfuse.rank(
        [long_table(tmp_path / "t.csv", rows, "study,method,metric,value,cohort")]
    )
    pair = result.pairs.row(0, named=True)
    assert (pair["n"], pair["n_cohorts"]) == (8, 2)
    assert pair["p_value"] == pytest.approx(2**-7)
    assert pair["p_value_cohorts"] == pytest.approx(0.5)
    assert pair["median_difference_cohorts"] == pytest.approx((0.0975 + 0.0935) / 2)
    assert result.manifest["cohorts"] == 2
    assert (
        "no Friedman test over cohorts: there are 2 methods, and it needs 3"
        in result.manifest["notes"]
    )


def test_a_file_of_cohorts_overrides(tmp_path):
    for name in ("brca_er", "brca_pr", "luad"):
        make_result(tmp_path / name, [("fused", 0.8, 0.7, 0.9), ("best_expert", 0.9, 0.6, 0.8)])
    (tmp_path / "cohorts.csv").write_text("study,cohort\nbrca_er,BRCA\nbrca_pr,BRCA\n")
    result = pathfuse.rank([tmp_path], cohorts=tmp_path / "cohorts.csv")
    assert result.winners["cohort"].to_list() == ["BRCA", "BRCA", "luad"]
    assert result.pairs["n_cohorts"].to_list() == [2]
    assert str(tmp_path / "cohorts.csv") in result.manifest["inputs"]


def test_friedman_over_cohorts_ranks_their_mean_values(tmp_path):
    """In cohort P y wins one study by much and loses two by little: it leads the cohort, not the
    studies."""
    studies = {
        "a": (0.5, 0.9, 0.1),
        "b": (0.6, 0.5, 0.1),
        "c": (0.6, 0.5, 0.1),
        "d": (0.8, 0.7, 0.1),
    }
    rows = [f"{s},{m},auroc,{v},{'Q' if s == 'd' else 'P'}" for s, own in studies.items()
            for m, v in zip("xyz", own, strict=True)]  # fmt: skip
    tests = pathfuse.rank(
        [long_table(tmp_path / "t.csv", rows, "study,method,metric,value,cohort")]
    ).friedman
    assert tests["studies"]["mean_ranks"] == {"x": 1.25, "y": 1.75, "z": 3}
    assert tests["cohorts"]["mean_ranks"] == {"x": 1.5, "y": 1.5, "z": 3}
    assert (tests["studies"]["n"], tests["cohorts"]["n"]) == (4, 2)


# What is written


def test_the_same_bytes_every_time(tmp_path):
    rows = [
        f"s{s},{m},nll,{(s * k) % 7 / 10}" for s in range(12) for k, m in enumerate("wxyz", start=2)
    ]
    source = long_table(tmp_path / "t.csv", rows)
    places = [
        pathfuse.rank([source], seed=seed).save(tmp_path / out)
        for seed, out in ((1, "a"), (1, "b"), (2, "c"))
    ]
    files = sorted(p.relative_to(places[0]).as_posix() for p in places[0].rglob("*") if p.is_file())
    assert files == [
        ".pathfuse.json",
        *(
            "figures/critical_difference.pdf",
            "figures/critical_difference.svg",
            "friedman.json",
            "manifest.json",
        ),
        *("pairs.csv", "ranking.html", "ranks.csv", "summary.csv", "winners.csv"),
    ]
    for name in set(files) - {"manifest.json"}:  # it holds the wall time
        assert (places[0] / name).read_bytes() == (places[1] / name).read_bytes(), name
    assert (places[0] / "summary.csv").read_bytes() != (places[2] / "summary.csv").read_bytes()
    manifest = json.loads((places[0] / "manifest.json").read_text())
    assert (manifest["metric"], manifest["higher_is_better"], manifest["studies"]) == (
        "nll",
        False,
        12,
    )


def test_total_agreement_is_written_as_json(tmp_path):
    """Iman-Davenport's F is infinite there, which is not a JSON."""
    rows = [
        f"s{s},{m},auroc,{v}" for s in range(4) for m, v in (("x", 0.9), ("y", 0.8), ("z", 0.7))
    ]
    out = pathfuse.rank([long_table(tmp_path / "t.csv", rows)]).save(tmp_path / "out")
    found = json.loads((out / "friedman.json").read_text())["studies"]
    assert (found["f"], found["f_p_value"]) == (None, 0)
    assert "F = ∞" in (out / "ranking.html").read_text()


def test_real_results_can_be_ranked(tmp_path, make_study):
    for seed in range(2):
        samples, predictions = make_study(tmp_path / f"in{seed}", 30, 40, seed=seed)
        pathfuse.evaluate(pathfuse.read_study(samples, predictions), n_resamples=120).save(
            tmp_path / f"runs/s{seed}"
        )
    result = pathfuse.rank([tmp_path / "runs"], experts=True)
    assert set(result.summary["method"]) >= {
        "best_expert",
        "mean_probability",
        "uniform_product",
        "expert_0",
    }
    assert result.manifest["metric"] == "nll"
    assert result.winners["n_unresolved"].null_count() == 0


# Means of what has one scale only


@pytest.mark.parametrize(
    ("endpoints", "metric", "averaged"),
    [
        ([{"kind": "multiclass"}, {"kind": "survival"}], "nll", False),
        ([{"kind": "multiclass"}, {"kind": "multilabel"}], "auroc", True),
        ([{"kind": "survival"}, {"kind": "survival"}], "nll", True),
        (
            [
                {"kind": "regression", "targets": ["ESR1"]},
                {"kind": "regression", "targets": ["age"]},
            ],
            "rmse",
            False,
        ),
        (
            [
                {"kind": "regression", "targets": ["ESR1"]},
                {"kind": "regression", "targets": ["age"]},
            ],
            "pearson",
            True,
        ),
        (
            [
                {"kind": "regression", "targets": ["ESR1"]},
                {"kind": "regression", "targets": ["ESR1"]},
            ],
            "rmse",
            True,
        ),
    ],
)
def test_a_mean_over_studies_needs_one_scale(tmp_path, endpoints, metric, averaged):
    for name, endpoint in zip("ab", endpoints, strict=True):
        values = [("fused", 0.25, 0.1, 0.4), ("best_expert", 0.75, 0.6, 0.9)]
        folder = make_result(tmp_path / name, values, metric=metric)
        (folder / "manifest.json").write_text(
            json.dumps({"endpoint": endpoint, "experts": {"uni": None}})
        )
    result = pathfuse.rank([tmp_path])
    means = dict(result.summary.select("method", "mean_value").iter_rows())
    assert means == (
        {"fused": 0.25, "best_expert": 0.75} if averaged else {"fused": None, "best_expert": None}
    )
    notes = [note for note in result.manifest["notes"] if "mean_value is left empty" in note]
    assert len(notes) == (not averaged)
    if metric == "nll" and not averaged:
        assert notes[0].startswith(
            "the studies have different endpoints (multiclass, survival), so their nll has no "
        )
    result.save(tmp_path / "ranking")
    first = (tmp_path / "ranking/summary.csv").read_text().splitlines()[1].split(",")
    assert (first[5] == "") is not averaged
    assert "nan" not in (tmp_path / "ranking/ranking.html").read_text().lower().split("<tbody>")[1]
