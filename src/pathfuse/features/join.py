"""From the feature files of several encoders to a bank: slides joined by name, tiles by coordinates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from pathfuse.errors import InputError
from pathfuse.features.bank import BankStore, Dropped, FeatureBank, Incomplete, Masked
from pathfuse.features.folder import Broken, FeatureFolder, Slide
from pathfuse.features.formats.base import Coords, MixedUnitsError, UnusableError
from pathfuse.features.grid import ABSENT, Match, in_pixels, match, single
from pathfuse.features.opened import OpenedFeatures
from pathfuse.files.spelling import spelled_otherwise

MixedUnits = Literal["refuse", "leave_out"]


def open_bank(
    paths: Mapping[str, Path],
    *,
    overlap: float = 0.5,
    um_per_px: float | None = None,
    incomplete: Incomplete = "mask",
    strict: bool = False,
    mixed_units: MixedUnits = "refuse",
    check_values: bool = True,
    opened: OpenedFeatures | None = None,
) -> FeatureBank:
    """Looks at the feature files of several encoders and joins their slides by name, their tiles by
    coordinates.

    Tiles of one size and grid are joined where their corners agree to half a pixel (or micrometre),
    and the bank has the union of them. Where grids differ, the rows are the tiles of the finest,
    and each gets of every other encoder the tile that covers the largest share of it. Rows are in
    reading order: by y, then x. See ``grid.match``. The order of files, of tiles in a file and of
    ``paths`` changes nothing.

    A slide whose tiles cannot be joined (no coordinates, several tiles in one place, an encoder
    that shares no tile with the others) is listed in ``broken``; a slide that only one encoder has
    needs no coordinates. Pixels here and micrometres there without ``um_per_px`` are an error, since
    one number mends them all.

    Args:
        paths: Encoder to its folder or table, see ``open_folder``.
        overlap: The least share of a tile's area that a tile of another grid must cover, in (0, 1].
        um_per_px: Micrometres per pixel of level 0, the same for all slides; only for slides where
            some files are in pixels and others in micrometres, whose rows are then in pixels.
        incomplete: ``mask``: what an encoder lacks is NaN; ``drop``: only slides and tiles that all
            encoders have.
        strict: Anything that is broken, missing or left over is an error.
        mixed_units: ``leave_out``: slides in pixels and micrometres go into ``broken`` instead of
            being refused.
        check_values: Look for NaN and infinite values: reads every file once, a part at a time.
        opened: Folders that are open already, which are not read again.

    Raises:
        InputError: See ``open_folder``; or there is no encoder, one holds tiles and another vectors
            of whole slides, an encoder shares no slide with the others, units differ, or no slide
            can be used.
    """
    _check_options(paths, overlap, um_per_px, incomplete)
    opened = OpenedFeatures(check_values) if opened is None else opened
    encoders = tuple(sorted((name, Path(path)) for name, path in paths.items()))
    folders = {name: opened.folder(path, strict=strict) for name, path in encoders}

    def joined() -> FeatureBank:
        return _joined(folders, overlap, um_per_px, incomplete, strict, mixed_units)

    how = (encoders, overlap, um_per_px, incomplete, strict, mixed_units)
    return opened.bank(how, joined)


def _joined(
    folders: dict[str, FeatureFolder],
    overlap: float,
    um_per_px: float | None,
    incomplete: Incomplete,
    strict: bool,
    mixed_units: MixedUnits,
) -> FeatureBank:
    """The bank of some encoders; see ``open_bank``."""
    _check_granularity(folders)
    _check_slides(folders)
    joined = _Joined(folders, overlap, um_per_px, incomplete)
    for slide in joined.slides():
        joined.add(slide)
    source = " + ".join(folder.source for folder in folders.values())
    if joined.mixed and mixed_units == "refuse":
        raise InputError(_units_sentence(joined, source))
    _check_usable(joined, source)
    bank = joined.bank(source)
    if strict:
        _refuse(bank)
    return bank


def _units_sentence(joined: "_Joined", source: str) -> str:
    """In how many slides units differ, and what to give."""
    first, why = next(iter(joined.mixed.items()))
    shared = sum(
        sum(name in folder.slides for folder in joined.folders.values()) > 1
        for name in joined.slides()
    )
    return (
        f"{source}: coordinates are in different units in {len(joined.mixed)} of the {shared} slides that several "
        f"encoders have; in the first, '{first}', {why}: micrometres per pixel of level 0, such as "
        "--um-per-px 0.25 (um_per_px: 0.25 under the head in study.yaml)"
    )


def _check_options(
    paths: Mapping[str, Path], overlap: float, um_per_px: float | None, incomplete: str
) -> None:
    """Refuses options out of range.

    Raises:
        InputError: Naming the option.
    """
    if not paths:
        raise InputError("a bank of features needs at least one encoder, and none is given")
    if not 0 < overlap <= 1:
        raise InputError(f"overlap is {overlap}, but must be above 0 and at most 1")
    if um_per_px is not None and not 0 < um_per_px < float("inf"):
        raise InputError(f"um_per_px is {um_per_px}, but must be a number above 0")
    if incomplete not in get_args(Incomplete):
        raise InputError(
            f"incomplete is '{incomplete}', but must be one of {', '.join(get_args(Incomplete))}"
        )


def _check_usable(joined: "_Joined", source: str) -> None:
    """Refuses a bank without any slide, or without one that several encoders share.

    Raises:
        InputError: Naming the first slide that cannot be used, and why.
    """
    folders = joined.folders
    shared = {
        name
        for name in joined.slides()
        if sum(name in folder.slides for folder in folders.values()) > 1
    }
    if not joined.matches or (shared and not shared & set(joined.matches)):
        first = next(item for item in joined.broken if item.name in shared or not shared)
        which = (
            f"{len(shared)} slides that several encoders have"
            if shared
            else f"{len(joined.broken)} slides"
        )
        raise InputError(
            f"{source}: none of the {which} can be used; the first, {first.path}, slide '{first.name}': {first.reason}"
        )


@dataclass
class _Joined:
    """Slides as they are joined, one after the other."""

    folders: dict[str, FeatureFolder]
    overlap: float
    um_per_px: float | None
    incomplete: Incomplete
    matches: dict[str, Match] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    masked: list[Masked] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    mixed: dict[str, str] = field(default_factory=dict)
    """Slides whose coordinates are in different units, and which."""

    def __post_init__(self) -> None:
        self.unusable = {
            name: {item.name: item for item in one.broken} for name, one in self.folders.items()
        }

    def slides(self) -> list[str]:
        """All that there are, sorted, those that cannot be used as well."""
        return sorted({name for folder in self.folders.values() for name in _names(folder)})

    def add(self, slide: str) -> None:
        """Joins the tiles of one slide, or says why not."""
        there = [name for name, folder in self.folders.items() if slide in folder.slides]
        lacking = [name for name in self.folders if name not in there]
        if not there or (lacking and self.incomplete == "drop"):
            self.broken.append(self._missing(slide, there, lacking))
            return
        try:
            joined = self._match(slide, there)
            kept = self._complete(slide, joined) if self.incomplete == "drop" else joined
        except UnusableError as error:
            if isinstance(error, MixedUnitsError):
                self.mixed[slide] = str(error)
            self.broken.append(Broken(slide, self._path(slide, there[0]), str(error)))
            return
        self.matches[slide] = kept
        for name, n in joined.unused.items():
            if n:
                of = self.folders[name].slides[slide].n_tiles
                self.dropped.append(
                    Dropped(slide, n, of, f"tile of encoder '{name}' on no tile of the finest grid")
                )
        for name in self.folders:
            self._mask(slide, name, kept)

    def bank(self, source: str) -> FeatureBank:
        """All of it."""
        store = BankStore(self.folders, self.matches, self.um_per_px)
        slides = {}
        for name, paths in store.paths.items():
            header = store.header(name)
            slides[name] = Slide(name, paths[0], header.n_tiles, header.dtype, header.has_coords)
        return FeatureBank(
            source=source,
            format="+".join(
                sorted({part for one in self.folders.values() for part in one.format.split("+")})
            ),
            granularity=next(iter(self.folders.values())).granularity,
            dim=store.dim,
            encoder=None,
            slides=slides,
            broken=tuple(self.broken),
            readings=tuple(said for one in self.folders.values() for said in one.readings),
            store=store,
            encoders=self.folders,
            overlap=self.overlap,
            um_per_px=self.um_per_px,
            incomplete=self.incomplete,
            masked=tuple(self.masked),
            dropped=tuple(self.dropped),
        )

    def _path(self, slide: str, name: str) -> Path:
        return self.folders[name].store.paths[slide][0]

    def _missing(self, slide: str, there: list[str], lacking: list[str]) -> Broken:
        """Why a slide is left out that not all encoders, or none, can give."""
        for name in lacking:
            if slide in self.unusable[name]:
                item = self.unusable[name][slide]
                return Broken(slide, item.path, f"of encoder '{name}': {item.reason}")
        return Broken(
            slide,
            self._path(slide, there[0]),
            f"the encoder '{lacking[0]}' has no features of the slide",
        )

    def _match(self, slide: str, there: list[str]) -> Match:
        slides = {name: self.folders[name].slides[slide] for name in there}
        if self.folders[there[0]].granularity == "slide":
            return Match({name: np.zeros(1, dtype=np.int32) for name in there})
        without = next((name for name in there if not slides[name].has_coords), None)
        if without is not None and len(there) > 1:
            raise UnusableError(
                f"the files of encoder '{without}' do not say where its tiles lie, and tiles are never joined by "
                "their order"
            )
        found = {name: self._coords(slide, name) for name in there if slides[name].has_coords}
        if len(there) == 1:
            return single(there[0], slides[there[0]].n_tiles, found.get(there[0]))
        known = {name: one for name, one in found.items() if one is not None}
        if self.um_per_px is not None and len({one.unit for one in known.values()}) > 1:
            known = {name: in_pixels(one, self.um_per_px) for name, one in known.items()}
        return match(slide, known, self.overlap)

    def _coords(self, slide: str, name: str) -> Coords | None:
        try:
            return self.folders[name].store.coords(slide)
        except UnusableError as error:
            raise UnusableError(
                f"the coordinates of encoder '{name}' cannot be read: {error}"
            ) from error

    def _complete(self, slide: str, joined: Match) -> Match:
        """Only the rows that all encoders have; the others are counted, by who lacks them."""
        lacks = np.stack([index == ABSENT for index in joined.index.values()], axis=1)
        keep = ~lacks.any(axis=1)
        if not keep.any():
            raise UnusableError("no tile has features of all encoders")
        patterns, counts = np.unique(lacks[~keep], axis=0, return_counts=True)
        for pattern, n in zip(patterns, counts.tolist(), strict=True):
            who = " and ".join(
                f"'{name}'" for name, lacking in zip(joined.index, pattern, strict=True) if lacking
            )
            reason = f"tile dropped: without features of encoder {who}"
            self.dropped.append(Dropped(slide, n, joined.n_rows, reason))
        return joined.only(np.flatnonzero(keep))

    def _mask(self, slide: str, name: str, joined: Match) -> None:
        """Notes what one encoder lacks of a slide."""
        n = joined.n_rows
        if name in joined.index:
            lacking = int((joined.index[name] == ABSENT).sum())
            if lacking:
                self.masked.append(
                    Masked(name, slide, lacking, n, f"tile without features of encoder '{name}'")
                )
        elif slide in self.unusable[name]:
            why = f"slide whose features of encoder '{name}' could not be used: {self.unusable[name][slide].reason}"
            self.masked.append(Masked(name, slide, n, n, why))
        else:
            self.masked.append(
                Masked(name, slide, n, n, f"slide without features of encoder '{name}'")
            )


def _names(folder: FeatureFolder) -> set[str]:
    """All slides, those that cannot be used as well."""
    return {*folder.slides, *(item.name for item in folder.broken)}


def _check_granularity(folders: Mapping[str, FeatureFolder]) -> None:
    first, *others = folders
    other = next(
        (name for name in others if folders[name].granularity != folders[first].granularity), None
    )
    if other is not None:
        what = {"tile": "bags of tiles", "slide": "one vector per slide"}
        one, two = folders[first], folders[other]
        raise InputError(
            f"{one.source} (encoder '{first}') holds {what[one.granularity]}, but {two.source} (encoder '{other}') "
            f"{what[two.granularity]}; they cannot stand side by side"
        )


def _check_slides(folders: Mapping[str, FeatureFolder]) -> None:
    """Names that never meet are written in different ways, which is no matter of missing features."""
    for name, folder in folders.items():
        others = {other: one for other, one in folders.items() if other != name}
        own = _names(folder)
        for other, one in others.items():
            theirs = _names(one)
            if hint := spelled_otherwise(sorted(own - theirs), sorted(own), sorted(theirs)):
                raise InputError(
                    f"{folder.source} (encoder '{name}') and {one.source} (encoder '{other}') name slides otherwise"
                    f"{hint}"
                )
        if others and not any(own & _names(one) for one in others.values()):
            other, one = next(iter(others.items()))
            raise InputError(
                f"{folder.source} (encoder '{name}') and {one.source} (encoder '{other}') share no slide: '{min(own)}' "
                f"is in one, '{min(_names(one))}' in the other; slides are joined by name"
            )


def _refuse(bank: FeatureBank) -> None:
    if bank.broken:
        first = bank.broken[0]
        raise InputError(f"{first.path}, slide '{first.name}': {first.reason}")
    for note in bank.notes():
        raise InputError(
            f"{bank.source}: {note['reason']}: {', '.join(note['first'])} ({note['n']} in all)"
        )
