"""Who the candidates are, and what a missing expert does to them."""

import numpy as np
import pytest

from pathfuse.distributions.likelihood import set_nll
from pathfuse.errors import InputError
from pathfuse.workflows.adapting.candidates import (
    candidates_of,
    check_adaptable,
    with_label_shift,
)


def logits_of(stream, ids):
    return stream.model.aligned(stream.model.read(stream.experts).read, ids)["all"]


@pytest.fixture
def found(stream):
    ids = stream.samples["sample_id"].to_list()
    logits = logits_of(stream, ids)
    return stream, logits, candidates_of(stream.model, "all", logits)


def test_the_fusion_its_methods_the_experts_and_the_fusion_without_each(found):
    stream, logits, candidates = found
    fusion = stream.model.fusions["all"]
    experts = ["expert_0", "expert_1", "expert_2"]
    without = [f"without_{name}" for name in experts]
    assert list(candidates.names) == ["fused", *fusion.members_, *experts, *without]
    frozen = stream.model.table(stream.samples["sample_id"], {"all": logits})
    np.testing.assert_array_equal(
        np.exp(candidates.log_prob[:, 0, 2]), frozen["prob_tumor"].to_numpy()
    )


def test_experts_sleep_where_they_did_not_score(found):
    _, logits, candidates = found
    absent = np.isnan(logits[:, :, 0])
    assert absent.any()
    own = [candidates.names.index(f"expert_{m}") for m in range(3)]
    np.testing.assert_array_equal(~candidates.awake[:, own], absent)
    fused, without = candidates.names.index("fused"), candidates.names.index("without_expert_1")
    np.testing.assert_array_equal(  # who did not score need not be left out
        candidates.log_prob[absent[:, 1], fused], candidates.log_prob[absent[:, 1], without]
    )


def test_without_its_only_expert_the_fusion_sleeps(stream):
    logits = logits_of(stream, stream.samples["sample_id"].to_list()[:1])
    logits[0, 1:] = np.nan
    candidates = candidates_of(stream.model, "all", logits)
    awake = dict(zip(candidates.names, candidates.awake[0], strict=True))
    assert not awake["without_expert_0"]
    assert awake["fused"]
    assert awake["without_expert_1"]


def test_a_row_depends_on_nothing_but_itself(found):
    stream, logits, candidates = found
    alone = candidates_of(stream.model, "all", logits[7:9])
    np.testing.assert_array_equal(alone.log_prob, candidates.log_prob[7:9])


def test_likelihoods_of_sets_and_of_labels_to_come(found):
    _, _, candidates = found
    observed = np.tile([1.0, 1.0, 0.0], (90, 1))
    observed[5] = np.nan
    table = candidates.log_likelihood(observed)
    assert np.isnan(table[5]).all()
    np.testing.assert_array_equal(
        table[0, 0], -set_nll(candidates.log_prob[:1, 0], observed[:1])[0]
    )
    np.testing.assert_array_equal(np.isnan(table[6]), ~candidates.awake[6])


def test_a_label_shift_is_one_more(found):
    _, _, candidates = found
    more = with_label_shift(candidates, candidates.log_prob[:, 0])
    assert more.names[-1] == "label_shift"
    np.testing.assert_array_equal(more.log_prob[:, -1], more.log_prob[:, 0])


def test_numbers_are_refused_in_a_sentence(stream):
    class OfNumbers:
        of_numbers, in_words = True, "numbers"

    class Model:
        endpoint = OfNumbers()

    check_adaptable(stream.model)
    with pytest.raises(InputError, match="adapt weighs probabilities of outcomes"):
        check_adaptable(Model())
