import numpy as np
import polars as pl
import pytest


@pytest.fixture
def samples():
    return pl.DataFrame({"sample_id": [f"s{n}" for n in range(6)], "label": list("abbaba")})


@pytest.fixture
def of_b():
    """An expert's probability of class b, sample by sample."""

    def read(study, name):
        expert = next(e for e in study.experts if e.name == name)
        outputs = expert.outputs["all"]
        found = dict(zip(expert.ids, outputs.log_prob[:, outputs.group[1]], strict=True))
        return [round(float(np.exp(found[i])), 6) for i in sorted(found)]

    return read
