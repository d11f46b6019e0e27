"""Every metric has all that tables, rank and report ask of it, and its facts stand nowhere else."""

import re
from pathlib import Path

import pytest

import pathfuse
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.endpoints.multilabel import Multilabel
from pathfuse.endpoints.ordinal import Ordinal
from pathfuse.endpoints.regression import Regression
from pathfuse.endpoints.survival import Survival
from pathfuse.evaluation.metrics.registry import KINDS, METRICS, metric
from pathfuse.evaluation.scales import Transformed

EVERY = [one for kind in KINDS for one in kind]
ENDPOINTS = [
    Multiclass(("a", "b")),
    Ordinal(("0", "1", "2")),
    Multilabel(("x", "y")),
    Survival((0.0, 12.5, 30.0, float("inf"))),
    Regression(("t",)),
]
SRC = Path(pathfuse.__file__).parent


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
def test_words_are_there_and_plain(one):
    assert one.label
    assert one.meaning
    assert not one.meaning.endswith(".")
    assert one.undefined.startswith("is undefined")
    assert one.undefined.format(
        rows=3,
        classes="the judged rows hold 1 class",
        one_call="all predictions are of one class",
    )
    assert one.better == ("lower" if one.lower_is_better else "higher")
    assert one.sign == (-1 if one.lower_is_better else 1)


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
def test_its_interval_holds_the_value_and_stays_in_range(one):
    for value in [0.2, 0.7] if one.scale.low >= 0 else [-0.4, 0.2, 0.7]:
        assert one.scale.holds(value)
        if isinstance(one.scale, Transformed):
            assert float(one.scale.back(one.scale.to(value))) == pytest.approx(value, abs=1e-12)
            slope = (one.scale.to(value + 1e-6) - one.scale.to(value - 1e-6)) / 2e-6
            assert float(slope) == pytest.approx(float(one.scale.slope(value)), rel=1e-6)
        low, high = one.scale.interval(value, 0.05, 2.0)
        assert one.scale.low <= low < value < high <= one.scale.high
        assert one.scale.interval(value, 0.0, 2.0) == pytest.approx((value, value))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.kind)
def test_every_metric_of_an_endpoint_is_known(endpoint):
    assert [metric(name).name for name in endpoint.metrics] == list(endpoint.metrics)
    assert [name for name in endpoint.metrics if metric(name).principal]


def test_an_unknown_metric_raises():
    with pytest.raises(KeyError):
        metric("nil")


def test_metrics_of_one_name_say_the_same():
    for one in EVERY:
        first = METRICS[one.name]
        same = (
            "label",
            "meaning",
            "lower_is_better",
            "principal",
            "brief",
            "on_a_scale",
            "no_interval",
        )
        assert all(getattr(one, fact) == getattr(first, fact) for fact in same)


def test_no_second_list_of_metrics():
    """A file that writes down several metrics' names side by side keeps a fact about them: it
    belongs to the object."""
    names = "|".join(sorted(METRICS, key=len, reverse=True))
    several = re.compile(rf"""["']({names})["'],\s*["']({names})["']""")
    rooms = [p for p in SRC.rglob("*.py") if p.parent.name != "metrics"]
    found = [
        str(p.relative_to(SRC)) for p in rooms if several.search(p.read_text(encoding="utf-8"))
    ]
    assert found == []
