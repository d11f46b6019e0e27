"""Held-out predictions of the fusion: of every fit row, by fusions that did not see it."""

import numpy as np
import pytest

import pathfuse
from pathfuse.study.samples import partitions
from pathfuse.workflows.steps.fitting import FusionRecipe, fit_task, held_out_fused


@pytest.mark.parametrize("method", ["auto", "choose", "root_stacking"])
def test_every_fit_row_is_predicted_once_per_repeat(simulate, method):
    study = pathfuse.read_study(*simulate(classes=("no", "yes")))
    (part,) = partitions(study.samples, False)
    fit = fit_task(study, "all", part.fit, FusionRecipe(method))
    found = held_out_fused(fit.methods, fit.fused, 0)
    n_repeats = int(found.repeat.max()) + 1
    for repeat in range(n_repeats):
        assert sorted(found.rows[found.repeat == repeat]) == list(range(len(part.fit)))
    in_sample = fit.fused.combine(fit.methods.inner)
    assert not np.allclose(found.predictions, in_sample[found.rows])
