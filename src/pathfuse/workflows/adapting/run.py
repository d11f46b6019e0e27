"""``adapt``: what came is added to the journal, and everything else follows from that."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import pathfuse
from pathfuse.errors import InputError
from pathfuse.files.digests import files_digest
from pathfuse.files.lock import writing
from pathfuse.files.write import check_out, new_folder, write_table
from pathfuse.fusion.gaussian.experts import GaussianExperts
from pathfuse.online.methods import NAMES, weigher_named
from pathfuse.online.stream import arrivals
from pathfuse.study.predictions import PredictionInput
from pathfuse.study.reading import DEFAULT, Reading
from pathfuse.workflows.adapting.candidates import check_adaptable
from pathfuse.workflows.adapting.figures import Stream, stream_of
from pathfuse.workflows.adapting.incoming import (
    Incoming,
    Timing,
    check_times,
    due_of,
    read_incoming,
)
from pathfuse.workflows.adapting.journal import (
    NOT_YET,
    RECORD,
    Journal,
    empty,
    has_remains,
    is_journal,
    read_journal,
    state_of,
)
from pathfuse.workflows.model import FusedModel
from pathfuse.workflows.model_file import load, model_files

FIXED = {"model": "another model", "by": "another --by", "label_shift": "the other --label-shift"}
"""What must not change in a folder, and what is said if it does."""


@dataclass(frozen=True)
class Adapted:
    """What a call did."""

    stream: Stream
    n_samples: int
    """New ones."""
    n_labels: int
    """Labels that were learned."""
    n_fitted: int = 0
    """Samples that were left out, since the model was fitted on them."""
    changed: tuple[str, ...] = ()
    """Samples whose label is another than the one that is kept."""
    unknown: int = 0
    """Labels of samples that nobody predicted."""


def adapt(
    model: str | Path,
    out: str | Path,
    predictions: PredictionInput | None = None,
    samples: str | Path | Any | None = None,
    *,
    timing: Timing | None = None,
    by: str = NAMES[0],
    label_shift: bool = True,
    reading: Reading = DEFAULT,
) -> Adapted:
    """Predicts new samples with weights that follow the labels that came before them.

    Args:
        model: Folder of a model, or the output of ``fuse``.
        out: Folder of the stream; it goes on if there is one.
        predictions: Of new samples, as in ``FusedModel.predict``; samples of earlier calls are
            passed over. None: only labels came.
        samples: Table of samples, of which some have a label; None: no label came.
        timing: When labels come; default: the label of a sample before the next sample, or before
            the first sample of the call that brings it.
        by: The method, by name (``online.methods``).
        label_shift: Whether the fusion corrected for a label shift is a candidate.
        reading: How the samples table is understood.

    Raises:
        InputError: A table is wrong, the model predicts numbers, or the folder is of another model
            or method.
    """
    timing, folder = timing or Timing(), Path(out)
    timing.check()
    weigher_named(by, np.ones(1))
    fused = load(model)
    check_adaptable(fused)
    about = {
        "kind": "adapt",
        "pathfuse": pathfuse.__version__,
        "model": model_digest(Path(model)),
        "by": by,
        "label_shift": label_shift,
    }
    state = state_of(folder)
    journal, there = _opened(folder, fused, about, [model, predictions, samples])
    incoming = Incoming()
    if samples is not None:
        incoming = read_incoming(fused, samples, timing, reading)
    longer, n_fitted = _with_samples(fused, journal, predictions, incoming)
    if not longer.ids:
        raise InputError(
            "there is no sample yet: give --predictions of samples that the model was not fitted on"
        )
    grown, changed = _with_labels(longer, incoming, len(journal.ids), timing)
    stream = stream_of(fused, grown)
    if grown.n_updates > journal.n_updates or not there:
        write_stream(stream, folder, state)
    return Adapted(
        stream,
        len(grown.ids) - len(journal.ids),
        grown.n_learned - journal.n_learned,
        n_fitted,
        changed,
        _unknown(fused, incoming, grown),
    )


def take_back(model: str | Path, out: str | Path, n_updates: int) -> Stream:
    """Takes back the last updates of a folder: it is as it was before them, byte for byte.

    Raises:
        InputError: There is no stream, or there were not so many updates.
    """
    folder = Path(out)
    if not is_journal(folder):
        raise InputError(f"{folder} holds no stream of adapt, so that nothing can be taken back")
    state = state_of(folder)
    fused, journal = load(model), read_journal(folder)
    _check_same(folder, journal, {**journal.about, "model": model_digest(Path(model))})
    check_out(folder, force=True)
    stream = stream_of(fused, journal.without_last(n_updates))
    write_stream(stream, folder, state)
    return stream


def model_digest(folder: Path) -> str:
    """Of a model's two files, wherever they lie."""
    return files_digest(model_files(folder))


def write_stream(stream: Stream, folder: Path, state: str) -> None:
    """Writes the whole folder, or leaves the old one.

    Args:
        stream: What to write.
        folder: Where to.
        state: ``journal.state_of`` the folder before its journal was read.

    Raises:
        InputError: Another call has written the folder since, or does so now: what it brought would
            be lost.
    """
    with writing(folder):
        if state_of(folder) != state:
            raise InputError(
                f"another call has changed {folder} since this one read it; call again"
            )
        _fill(stream, folder)


def _fill(stream: Stream, folder: Path) -> None:
    with new_folder(folder, force=True) as place:
        stream.journal.write(place)
        write_table(stream.adapted, place / "adapted.parquet")
        write_table(stream.weights, place / "weights.parquet")
        write_table(stream.nll, place / "nll.csv")
        write_table(stream.updates, place / "updates.csv")


def _unknown(model: FusedModel, incoming: Incoming, journal: Journal) -> int:
    """How many labels are of samples that nobody predicted, fit rows of the model left out."""
    names = sorted(set(incoming.observed) - set(journal.ids))
    return len(names) - int(model.seen_in_fit(names).sum())


def _opened(
    folder: Path, model: FusedModel, about: dict[str, Any], given: list[Any]
) -> tuple[Journal, bool]:
    """The stream that a folder holds, or one that begins, and whether there was one."""
    shapes = {
        task: (len(model.experts), len(frequency)) for task, frequency in model.frequency.items()
    }
    inputs = [Path(one) for one in _places(given)]
    if not is_journal(folder):
        _check_new(folder)
        check_out(folder, force=False, inputs=inputs)
        return empty(about, {task: shapes[task] for task in model.fusions}), False
    check_out(folder, force=True, inputs=inputs)
    journal = read_journal(folder)
    _check_same(folder, journal, about)
    return journal, True


def _check_new(folder: Path) -> None:
    """Refuses to begin in a folder that is there: adapt goes on in its own, and replaces no other.

    Raises:
        InputError: It holds something else, or a stream that has lost its record.
    """
    if not folder.is_dir() or folder.is_symlink():
        return
    if has_remains(folder):
        raise InputError(
            f"the stream of adapt in {folder} is damaged: {RECORD} is missing; restore it, or choose another folder"
        )
    raise InputError(
        f"{folder} exists already and holds no stream of adapt, so that adapt cannot go on there; choose another folder"
    )


def _places(given: list[Any]) -> list[str | Path]:
    flat = [one for item in given for one in (item if isinstance(item, list) else [item])]
    return [one for one in flat if isinstance(one, str | Path)]


def _check_same(folder: Path, journal: Journal, about: dict[str, Any]) -> None:
    """Refuses to go on otherwise than it began.

    Raises:
        InputError: Naming what differs.
    """
    other = next((words for key, words in FIXED.items() if journal.about[key] != about[key]), None)
    if other is not None:
        raise InputError(
            f"{folder} was begun with {other}; go on as it began, or choose another folder"
        )


def _with_samples(
    model: FusedModel,
    journal: Journal,
    predictions: PredictionInput | None,
    incoming: Incoming,
) -> tuple[Journal, int]:
    """The stream with the samples that are new, and how many were left out as fit rows."""
    if predictions is None:
        return journal, 0
    new = model.read(predictions)
    seen, before = model.seen_in_fit(new.ids), set(journal.ids)
    fresh = [i for i, was in zip(new.ids, seen, strict=True) if not was and i not in before]
    ids = incoming.in_order(fresh)
    if not ids:
        return journal, int(seen.sum())
    aligned, n = model.aligned(new.read, ids), len(ids)
    logits = {} if isinstance(aligned, GaussianExperts) else aligned  # regressions were refused
    update, not_yet = journal.n_updates + 1, np.full(n, NOT_YET)
    longer = replace(
        journal,
        ids=(*journal.ids, *ids),
        patients=(*journal.patients, *(incoming.patients.get(i) for i in ids)),
        predicted_in=np.append(journal.predicted_in, np.full(n, update)),
        n_known=np.append(journal.n_known, np.full(n, journal.n_learned)),
        labelled_in=np.append(journal.labelled_in, not_yet),
        learned_in=np.append(journal.learned_in, not_yet),
        learned=np.append(journal.learned, not_yet),
        logits={task: np.concatenate([journal.logits[task], one]) for task, one in logits.items()},
        observed={
            task: np.concatenate([one, np.full((n, one.shape[1]), np.nan)])
            for task, one in journal.observed.items()
        },
    )
    return longer, int(seen.sum())


def _with_labels(
    journal: Journal, incoming: Incoming, n_before: int, timing: Timing
) -> tuple[Journal, tuple[str, ...]]:
    """The stream with the labels that are new, each learned when it is due, and the samples whose
    label has become another.
    """
    update = journal.n_updates + (len(journal.ids) == n_before)
    observed = {task: np.array(one) for task, one in journal.observed.items()}
    labelled_in, changed = journal.labelled_in.copy(), list[str]()
    for row, name in enumerate(journal.ids):
        said = incoming.observed.get(name)
        if said is None:
            continue
        if labelled_in[row] == NOT_YET:
            labelled_in[row] = update
            for task, one in said.items():
                observed[task][row] = one
        elif any(not np.array_equal(observed[task][row], one) for task, one in said.items()):
            changed.append(name)
    waiting = (labelled_in != NOT_YET) & (journal.learned == NOT_YET)
    brought = [
        i for i, new in zip(journal.ids, waiting, strict=True) if new and i in incoming.observed
    ]
    check_times(brought, incoming, timing)
    due = due_of(list(journal.ids), waiting, n_before, incoming, timing)
    order = arrivals(due, first=n_before)
    n_known, learned, learned_in = (
        journal.n_known.copy(), journal.learned.copy(), journal.learned_in.copy(),
    )  # fmt: skip
    n_known[n_before:] = journal.n_learned + order.n_known[n_before:]
    learned[order.learned] = journal.n_learned + np.arange(len(order.learned))
    learned_in[order.learned] = update
    grown = replace(
        journal,
        n_known=n_known,
        labelled_in=labelled_in,
        learned=learned,
        learned_in=learned_in,
        observed=observed,
    )
    return grown, tuple(changed)
