"""``pathfuse experts train`` and ``pathfuse experts predict``."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pathfuse.cli.options import (
    EndpointName,
    Force,
    Out,
    Samples,
    Scheduler,
    ShardText,
    TimeEdges,
    parse_time_edges,
    with_reading,
)
from pathfuse.errors import InputError
from pathfuse.experts.heads.registry import names_of
from pathfuse.files.kinds import stem_of
from pathfuse.study.reading import DEFAULT, Reading

Features = Annotated[
    list[str],
    Parameter(
        name="--features",
        consume_multiple=True,
        negative="",
        help="One encoder's features: a folder, or a table of vectors. Several encoders: NAME=PATH NAME=PATH.",
    ),
]
Slides = Annotated[
    Path | None,
    Parameter(
        name="--slides", help="Table sample_id,slide_id: which slides belong to which sample."
    ),
]
Strict = Annotated[
    bool,
    Parameter(
        name="--strict",
        negative="",
        help="Refuse missing or broken files instead of leaving them out.",
    ),
]
Devices = Annotated[
    str | None,
    Parameter(
        name="--devices",
        help="Devices such as cuda:0,cuda:1: one process trains on each. Default: the first GPU, or the CPU.",
    ),
]
AllowPartial = Annotated[
    bool,
    Parameter(
        name="--allow-partial",
        negative="",
        help="Go on where more than half of the samples or slides drop out of the expert, or where units differ.",
    ),
]
LogDir = Annotated[
    Path | None,
    Parameter(
        name="--log-dir",
        help="Folder for the losses of every epoch as it ends: CSV, and TensorBoard where installed.",
    ),
]


@with_reading
def train(
    *,
    features: Features,
    samples: Samples,
    out: Out,
    name: Annotated[
        str | None,
        Parameter(
            help="Of the expert; default: the feature folder's name; of several encoders the head's."
        ),
    ] = None,
    head: Annotated[
        str | None,
        Parameter(
            help=f"{names_of(fuses=False)}; of several encoders also {names_of(fuses=True)}; default: abmil."
        ),
    ] = None,
    recipe_file: Annotated[
        Path | None,
        Parameter(
            help="tuned.yaml of 'experts tune': a head and its recipe; --set goes before it."
        ),
    ] = None,
    teachers: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=True,
            negative="",
            help="Slide-level embeddings that teach fusecpath: NAME=PATH NAME=PATH.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            consume_multiple=True,
            negative="",
            help="Values of the recipe: epochs=50 folds=10.",
        ),
    ] = None,
    slides: Slides = None,
    endpoint: EndpointName = None,
    time_edges: TimeEdges = None,
    seed: Annotated[
        int, Parameter(help="Same input, version and seed: same bytes (on a CPU).")
    ] = 0,
    attention: Annotated[
        bool,
        Parameter(
            negative="", help="Write every tile's attention as Parquet and GeoJSON (for QuPath)."
        ),
    ] = False,
    um_per_px: Annotated[
        float | None,
        Parameter(help="Micrometres per level-0 pixel, where coordinates are in micrometres."),
    ] = None,
    origin: Annotated[
        str | None,
        Parameter(
            name="--origin",
            help="Where QuPath's image of a slide begins (openslide.bounds-x,-y), in level-0 pixels: X,Y or a "
            "table slide_id,x,y.",
        ),
    ] = None,
    strict: Strict = False,
    allow_partial: AllowPartial = False,
    log_dir: LogDir = None,
    jobs: Annotated[
        int,
        Parameter(
            help="Models to train at a time, -1: one per core, on a GPU one; no result depends on it."
        ),
    ] = -1,
    devices: Devices = None,
    shard: ShardText = None,
    scheduler: Scheduler = None,
    force: Force = False,
    reading: Reading = DEFAULT,
) -> None:
    """Train an expert on one encoder's features or on several, cross-fitted by patient.

    A stopped run goes on.
    """
    import sys

    from pathfuse.cli.console import cluster, command_line, progress
    from pathfuse.experts.parts import ExpertSetup
    from pathfuse.experts.recipe import TrainingRecipe
    from pathfuse.experts.tuning.recipe_file import merge_recipe

    chosen = parse_settings(set_)
    if "head" in chosen:
        raise InputError("--set head: the head is named by --head")
    if recipe_file is not None:
        here = ({"seed": seed} if seed else {}) | chosen | {"head": head}
        chosen = merge_recipe(recipe_file, here)
        head = str(chosen.pop("head"))
    chosen = {"seed": seed, **chosen}
    given = parse_features(features)
    if um_per_px is not None and not isinstance(given, Path):
        chosen.setdefault("um_per_px", um_per_px)
    if origin is not None and not attention:
        raise InputError("--origin moves attention for QuPath; add --attention")
    recipe = TrainingRecipe.of(head or "abmil", **chosen)
    edges = parse_time_edges(time_edges)
    called = _default_name(given, recipe.head) if name is None else name
    taught = parse_named("--teachers", teachers or [])
    expert = ExpertSetup(
        called, given, samples, out, recipe, slides, endpoint, None if edges is None else tuple(edges), strict, taught,
        allow_partial, log_dir, reading,
    )  # fmt: skip
    need_torch()
    from pathfuse.experts.origin import parse_origin
    from pathfuse.experts.train import train_expert
    from pathfuse.shard import Shard
    from pathfuse.training.devices import parse_devices

    part, places = Shard.parse(shard), parse_devices(devices)
    with cluster(scheduler, reads=expert.read, out=out), progress() as report:
        done = train_expert(
            expert,
            n_jobs=jobs,
            force=force,
            attention=attention,
            um_per_px=um_per_px,
            origins=parse_origin(origin),
            command=command_line(),
            devices=places,
            shard=part,
            progress=report,
        )
    if done is None:
        sys.stdout.write(f"Shard {part} done. The shard that ends last writes {out}.\n")
        return
    show(out, sys.stdout.write)


def predict(
    *,
    model: Annotated[Path, Parameter(name="--model", help="Folder that 'experts train' wrote.")],
    features: Features,
    out: Annotated[Path, Parameter(name="--out", help="Table to write, .csv or .parquet.")],
    slides: Slides = None,
    attention: Annotated[
        Path | None,
        Parameter(help="Folder for every tile's attention, as Parquet and GeoJSON (for QuPath)."),
    ] = None,
    um_per_px: Annotated[
        float | None,
        Parameter(help="Micrometres per level-0 pixel, where coordinates are in micrometres."),
    ] = None,
    origin: Annotated[
        str | None,
        Parameter(
            name="--origin",
            help="Where QuPath's image of a slide begins (openslide.bounds-x,-y), in level-0 pixels: X,Y or a "
            "table slide_id,x,y.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        Parameter(
            help="Folder of slide thumbnails, <slide>.png or .jpg: a heatmap of each is written."
        ),
    ] = None,
    strict: Strict = False,
    force: Force = False,
) -> None:
    """Predict new slides with a trained expert."""
    import sys

    from pathfuse.features.locate import split_layer
    from pathfuse.files.write import check_out, check_table, write_file

    given = parse_features(features)
    places = [given] if isinstance(given, Path) else given.values()
    read = [model, *(split_layer(place)[0] for place in places)]
    check_table(out, force, read, "sample_id")
    if attention is not None:
        check_out(attention, force, [*read, *([images] if images is not None else [])])
    if images is not None and attention is None:
        raise InputError("--images draws attention; say where to: --attention FOLDER")
    if origin is not None and attention is None:
        raise InputError("--origin moves attention for QuPath; say where to: --attention FOLDER")
    need_torch()
    from pathfuse.experts.origin import parse_origin
    from pathfuse.experts.serve import serve

    origins = parse_origin(origin)
    one = serve(model, given, slides, strict, um_per_px)
    table = one.table()
    if attention is not None:
        from pathfuse.experts.attending import attend, check_attends

        check_attends(one.fitted[0].recipe)
        for note in attend(
            one.fitted, one.folder, one.units, attention, um_per_px, images, force, origins
        ):
            sys.stderr.write(f"pathfuse: {note}\n")
    write_file(table, out, force, alike=True)
    for reading in one.folder.readings:
        sys.stdout.write(f"Understood: {reading}.\n")
    for item in one.left_out:
        sys.stderr.write(f"pathfuse: left out: {item['n']} ({in_words(item)})\n")
    sys.stdout.write(f"{table.height} samples: {out}\n")


def parse_features(texts: list[str]) -> Path | dict[str, Path]:
    """A path, or several encoders' paths by name; a folder's own name where none is given.

    Raises:
        InputError: A name stands twice.
    """
    if len(texts) == 1 and not _is_named(texts[0]):
        return Path(texts[0])
    return parse_named("--features", texts)


def parse_named(option: str, texts: list[str]) -> dict[str, Path]:
    """``NAME=PATH`` parts; the name of the folder or file where only a path is given.

    Raises:
        InputError: A name stands twice.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, _, place = text.partition("=") if _is_named(text) else (_stem(Path(text)), "", text)
        if name in found:
            raise InputError(f"{option} {text}: the name '{name}' stands twice; write NAME=PATH")
        found[name] = Path(place)
    return found


def _is_named(text: str) -> bool:
    return "=" in text and not Path(text).exists()


def _stem(path: Path) -> str:
    from pathfuse.features.locate import split_layer

    return stem_of(split_layer(path)[0].resolve())


def _default_name(features: Path | dict[str, Path], head: str) -> str:
    return _stem(features) if isinstance(features, Path) else head


def parse_settings(settings: list[str] | None) -> dict[str, Any]:
    """``epochs=50`` and the like; a value is read as JSON where it is some.

    Raises:
        InputError: A part has no equals sign.
    """
    import json

    found: dict[str, Any] = {}
    for text in settings or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"--set {text}: write KEY=VALUE, such as epochs=50")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def in_words(item: dict[str, Any]) -> str:
    """A reason, the first few that it is about, and the samples and patients that are touched,
    where counted.
    """
    what = f"{item['reason']}: {', '.join(item['first'])}" if item["first"] else str(item["reason"])
    if not item.get("samples"):
        return what
    patients = f" of {item['patients']} patients" if "patients" in item else ""
    return f"{what}; {item['samples']} samples{patients}"


def show(out: Path, say: Any) -> None:
    """What was trained and what was left out; warnings on standard error."""
    import json
    import sys

    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    features, rows = manifest["features"], manifest["rows"]
    say(
        f"{features['slides']} slides, {features['tiles']} tiles of length {features['dim']} ({features['format']}, "
        f"one {features['granularity']} per vector); {rows['predicted']} of {rows['read']} samples predicted.\n"
        f"{manifest['scheme'][:1].upper()}{manifest['scheme'][1:]}.\n"
    )
    for item in manifest["left_out"]:
        say(f"Left out: {item['n']} ({in_words(item)}).\n")
    for warning in manifest["warnings"]:
        sys.stderr.write(f"pathfuse: warning: {warning}\n")
    if "reference" in manifest:
        say(
            f"{manifest['reference']['verdict'][:1].upper()}{manifest['reference']['verdict'][1:]}.\n"
        )
    say(f"Predictions: {out}/predictions\n")


def need_torch() -> None:
    """Refuses in a sentence where the extra is not installed.

    Raises:
        InputError: torch or h5py is missing.
    """
    from importlib.util import find_spec

    missing = next((name for name in ("torch", "h5py") if find_spec(name) is None), None)
    if missing is not None:
        raise InputError(
            f"experts need {missing}, which is not installed: pip install 'pathfuse[torch]'"
        )
