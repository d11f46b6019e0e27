"""Images over processes: the same bytes for any number; probabilities; what goes wrong is said."""

import numpy as np
import pytest
from joblib import parallel_config

from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.fusion import segmenting
from pathfuse.dense.fusion.fused_model import DenseFusion
from pathfuse.dense.fusion.methods.majority import Majority
from pathfuse.dense.fusion.methods.staple import Staple
from pathfuse.dense.fusion.segmenting import Job, segment
from pathfuse.errors import WorkerError

NAMES = ("left", "middle", "right")


def fusion(chosen: str = "staple") -> DenseFusion:
    methods = {"majority": Majority((0, 1, 2)), "staple": Staple()}
    return DenseFusion(("a", "b", "c"), NAMES, methods, chosen, NAMES)


def made(study, place, n_jobs, **more):
    place.mkdir()
    shares = place / "shares"
    shares.mkdir()
    job = Job(fusion(), LogitFiles(study.logits, 3), place, shares, **more)
    counted = {item.image_id: judged for item, judged in segment(job, study.test, n_jobs)}
    bytes_of = {file.name: file.read_bytes() for file in sorted(place.rglob("*.*"))}
    return counted, bytes_of


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_the_same_bytes_and_counts_for_any_number_at_a_time(study, tmp_path, monkeypatch, backend):
    one, files = made(study, tmp_path / "one", 1)
    monkeypatch.setattr(segmenting, "PROCESSES_FROM", 0)
    with parallel_config(backend):
        two, others = made(study, tmp_path / "two", 2)
    strips, in_strips = made(study, tmp_path / "strips", 1, cells=2000)
    assert files == others == in_strips
    assert len(files) == 2 * len(study.test)
    for image_id, judged in one.items():
        for other in (two[image_id], strips[image_id]):
            assert judged.cms.keys() == other.cms.keys()
            for name, cm in judged.cms.items():
                np.testing.assert_array_equal(cm, other.cms[name])


def test_small_studies_start_no_process(study, tmp_path, monkeypatch):
    def refuse(n_jobs, tasks, lost):
        assert n_jobs == 1
        return iter(())

    monkeypatch.setattr(segmenting, "file_to_file", refuse)
    made(study, tmp_path / "out", -1)


def test_a_process_that_was_ended_is_a_sentence(study, tmp_path, monkeypatch):
    def ended(n_jobs, tasks, lost):
        _, args, words = next(iter(tasks))
        yield lost("its process was ended", *args, **words)

    monkeypatch.setattr(segmenting, "file_to_file", ended)
    with pytest.raises(WorkerError, match="the image 'im06' was not segmented: its process was"):
        made(study, tmp_path / "out", 2)
