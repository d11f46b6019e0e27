"""One look at the features: what is new is predicted by the experts and fused."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pathfuse.errors import InputError
from pathfuse.experts.slide_table import read_slides
from pathfuse.features.locate import NoFeaturesError, find_store
from pathfuse.features.opened import OpenedFeatures
from pathfuse.files.at_work import claim_output
from pathfuse.files.tables import parquet_frame
from pathfuse.files.write import check_table, refuse_link, write_file
from pathfuse.progress import Progress, silent
from pathfuse.workflows.new_samples import check_min_experts
from pathfuse.workflows.score.seen import Seen, State, read_seen, state_of
from pathfuse.workflows.score.study import ScoringStudy

if TYPE_CHECKING:
    from pathfuse.experts.serve import Serving

ID = "sample_id"
RECORD = "seen.json"


@dataclass(frozen=True)
class Asked:
    """What is to be scored, and how."""

    study: ScoringStudy
    features: Mapping[str, Path]
    """By encoder."""
    out: Path
    slides: Path | None = None
    """Table ``sample_id,slide_id``; None: each slide is a sample."""
    min_experts: int = 1
    attention: Path | None = None
    """Where the attention of the tiles goes: a folder per expert."""
    strict: bool = False
    """Refuse what cannot be read, instead of leaving it out."""

    @property
    def predictions(self) -> Path:
        """The folder of the experts' predictions, beside the output: ``pathfuse predict`` and
        ``drift`` read it, too.
        """
        return self.out.with_name(f"{self.out.stem}_predictions")


@dataclass(frozen=True)
class Scored:
    """What one look found."""

    fresh: tuple[str, ...]
    """Samples that were scored now, sorted."""
    n_samples: int
    """In the output."""
    unread: tuple[str, ...]
    """Samples that have files, of which none could be read, also in earlier calls."""
    too_few: int
    """Samples that too few experts scored."""
    lacking: str
    """One sentence on the experts that samples lack; empty if none does."""
    left_out: tuple[dict[str, Any], ...]
    """What has no part in the scores now: expert, reason, number, the first few."""
    notes: tuple[str, ...]
    """What could not be drawn of the attention."""


def prepare(asked: Asked, force: bool = False) -> Seen:
    """Refuses what cannot be scored, before any work; the record of earlier calls.

    Raises:
        InputError: An encoder is unknown, an option out of range, or the output is in the way.
    """
    asked.study.check_encoders(asked.features)
    check_min_experts(asked.min_experts, len(asked.study.model.experts))
    if not asked.features:
        raise InputError(f"--features: give those of {', '.join(asked.study.encoders)}")
    record = asked.predictions / RECORD
    goes_on = record.exists() and not force
    check_table(asked.out, force or goes_on, [asked.study.place, *asked.features.values()], ID)
    claim_output(asked.predictions)
    foreign = asked.predictions.exists() and not record.exists()
    if foreign and (not asked.predictions.is_dir() or any(asked.predictions.iterdir())):
        raise InputError(f"{asked.predictions} is in the way: pathfuse did not write it")
    if force:
        refuse_link(asked.predictions)
        shutil.rmtree(asked.predictions, ignore_errors=True)
    return read_seen(record, asked.study.stamp, by_table=asked.slides is not None)


def look(asked: Asked) -> dict[str, State]:
    """Every sample that has features now, with the files of its slides, by encoder.

    Raises:
        InputError: A place does not exist, two files claim one slide, or the slide table is wrong.
    """
    belongs = _belongs(asked)
    found: dict[str, State] = {}
    for encoder, place in asked.features.items():
        try:
            paths = find_store(place).paths
        except NoFeaturesError:
            continue
        samples = belongs if belongs is not None else {name: (name,) for name in paths}
        for name, slides in samples.items():
            files = {file for slide in slides for file in paths.get(slide, ())}
            if files:
                found.setdefault(name, {})[encoder] = state_of(files)
    return found


def score(
    asked: Asked, seen: Seen, now: Mapping[str, State], progress: Progress = silent
) -> Scored:
    """Scores the samples that are new, or whose files have changed, and writes all scores.

    Args:
        asked: What, and how.
        seen: From ``prepare``; it is added to.
        now: From ``look``.
        progress: Called as the work goes on.

    Raises:
        NoFeaturesError: There is nothing to score yet.
        InputError: Features cannot be used, a table is wrong, or the output cannot be written.
    """
    _check_samples(asked, seen)
    fresh = seen.changed(now, asked.features)
    left_out: list[dict[str, Any]] = []
    notes: list[str] = []
    if fresh:
        asked.predictions.mkdir(parents=True, exist_ok=True)
        seen.add({})  # from here on the folder is known as ours
        left_out, notes = _predict(asked, seen, now, progress)
        seen.add({name: now[name] for name in fresh})
    progress("fusing", 0.95)
    tables = sorted(asked.predictions.glob("*.parquet"))
    if not tables:
        places = ", ".join(str(place) for place in asked.features.values())
        why = "; ".join(dict.fromkeys(str(item["reason"]) for item in left_out))
        raise NoFeaturesError(f"nothing to score in {places}{f': {why}' if why else ' yet'}")
    new = asked.study.model.read({file.stem: parquet_frame(file) for file in tables})
    fused = asked.study.model.predict(new, min_experts=asked.min_experts)
    write_file(fused, asked.out, force=True)
    progress("done", 1.0)
    there = set(new.ids)
    return Scored(
        tuple(name for name in fresh if name in there),
        fused.height,
        tuple(sorted(set(seen.samples) - there)),
        len(there) - fused.height,
        new.summary(),
        tuple(left_out),
        tuple(dict.fromkeys(notes)),
    )


def _belongs(asked: Asked) -> dict[str, tuple[str, ...]] | None:
    """The slides of each sample, where a table says so."""
    return None if asked.slides is None else read_slides(asked.slides)[0]


def _check_samples(asked: Asked, seen: Seen) -> None:
    """Refuses a slide table that no longer knows what was scored.

    Raises:
        InputError: Naming a sample.
    """
    belongs = _belongs(asked)
    gone = sorted(set(seen.samples) - set(belongs)) if belongs is not None else []
    if gone:
        raise InputError(
            f"{asked.slides} has no sample '{gone[0]}', which was scored before ({len(gone)} such "
            "samples); --force scores all slides anew"
        )


def _predict(
    asked: Asked, seen: Seen, now: Mapping[str, State], progress: Progress
) -> tuple[list[dict[str, Any]], list[str]]:
    """Every expert's predictions of what is new to it; gives what was left out, and notes."""
    from pathfuse.experts.serve import serve  # torch: a look that finds nothing does without

    belongs = _belongs(asked)
    opened: dict[tuple[str, ...], OpenedFeatures] = {}
    left_out: list[dict[str, Any]] = []
    notes: list[str] = []
    for n, (expert, reads) in enumerate(asked.study.reads.items()):
        encoders = tuple(name for name in reads if name in asked.features)
        samples = seen.changed(now, encoders)
        encoders = tuple(e for e in encoders if any(e in now[one] for one in samples))
        if not samples:
            continue
        progress(f"{expert}: {len(samples)} samples", 0.95 * n / len(asked.study.reads))
        slides = {one for name in samples for one in (belongs[name] if belongs else (name,))}
        shared = opened.setdefault(encoders, OpenedFeatures(only=frozenset(slides)))
        places = {name: asked.features[name] for name in encoders}
        try:
            one = serve(
                asked.study.folder(expert),
                places if len(reads) > 1 else places[reads[0]],
                asked.slides,
                asked.strict,
                opened=shared,
            )
        except NoFeaturesError as error:
            left_out.append(
                {"expert": expert, "reason": str(error), "n": len(samples), "first": samples[:1]}
            )
            _keep(None, samples, asked.predictions / f"{expert}.parquet")
            continue
        _keep(one.table(), samples, asked.predictions / f"{expert}.parquet")
        left_out += [{"expert": expert, **item} for item in one.left_out]
        notes += _attend(asked, expert, one)
    return left_out, notes


def _keep(table: pl.DataFrame | None, samples: list[str], file: Path) -> None:
    """Puts an expert's predictions in the place of its earlier ones of these samples; None: there
    are none now.
    """
    others = parquet_frame(file).filter(~pl.col(ID).is_in(samples)) if file.exists() else None
    parts = [part for part in (others, table) if part is not None and part.height]
    if parts:
        write_file(pl.concat(parts).sort(ID), file, force=True)
    else:
        file.unlink(missing_ok=True)


def _attend(asked: Asked, expert: str, one: "Serving") -> list[str]:
    """Writes the attention of the tiles, where the head has some; gives what could not be drawn."""
    from pathfuse.experts.attending import attend_more

    if asked.attention is None or not one.fitted[0].recipe.facts.shows_attention:
        return []
    return attend_more(one.fitted, one.folder, one.units, asked.attention / expert)
