"""The record: written, read, and damaged."""

import numpy as np
import pytest

from pathfuse.errors import InputError
from pathfuse.workflows.adapting.journal import SCHEMA, is_journal, read_journal
from pathfuse.workflows.adapting.run import adapt


@pytest.fixture
def folder(stream, tmp_path):
    samples, experts = stream.first(30, 12)
    adapt(stream.folder, tmp_path / "out", experts, samples)
    return tmp_path / "out"


def test_what_is_written_is_read(stream, tmp_path, folder):
    samples, experts = stream.first(30, 12)
    written = adapt(stream.folder, folder, experts, samples).stream.journal
    read = read_journal(folder)
    assert (read.about, read.ids, read.patients) == (written.about, written.ids, written.patients)
    for name in ("predicted_in", "n_known", "labelled_in", "learned_in", "learned"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    np.testing.assert_array_equal(read.logits["all"], written.logits["all"])
    np.testing.assert_array_equal(read.observed["all"], written.observed["all"])


@pytest.mark.parametrize("name", ["stream.parquet", "stream.safetensors"])
def test_damage_is_a_sentence(folder, name):
    (folder / name).write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"the stream of adapt in .* is damaged"):
        read_journal(folder)


def test_a_newer_version_is_refused(folder):
    file = folder / "stream.json"
    file.write_text(file.read_text().replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}'))
    with pytest.raises(InputError, match="newer pathfuse"):
        read_journal(folder)


def test_other_folders_hold_none(tmp_path):
    assert not is_journal(tmp_path)
    with pytest.raises(InputError, match="holds no stream of adapt"):
        read_journal(tmp_path)
