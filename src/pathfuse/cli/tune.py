"""``pathfuse experts tune``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pathfuse.cli.experts import (
    AllowPartial,
    Features,
    Slides,
    need_torch,
    parse_features,
    parse_settings,
)
from pathfuse.cli.options import (
    EndpointName,
    Force,
    Out,
    Samples,
    Scheduler,
    TimeEdges,
    parse_time_edges,
)
from pathfuse.errors import InputError


def tune(
    *,
    features: Features,
    samples: Samples,
    out: Out,
    head: Annotated[str, Parameter(help="Of the recipe, as of 'experts train'.")] = "abmil",
    set_: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            consume_multiple=True,
            negative="",
            help="Values of the recipe that are not searched: epochs=50 folds=4.",
        ),
    ] = None,
    space: Annotated[
        str | None,
        Parameter(
            help="What to search: learning_rate=1e-4:1e-2:log,dropout=0:0.5,hidden=128|256|512."
        ),
    ] = None,
    space_file: Annotated[
        Path | None, Parameter(help="The same as a YAML or JSON file, instead of --space.")
    ] = None,
    trials: Annotated[
        int, Parameter(help="Recipes to try; the first is the recipe as it stands.")
    ] = 20,
    search: Annotated[
        Literal["random", "halving"],
        Parameter(help="halving: bad trials see few inner folds; random: all trials see all."),
    ] = "halving",
    slides: Slides = None,
    endpoint: EndpointName = None,
    time_edges: TimeEdges = None,
    seed: Annotated[int, Parameter(help="Of the draws and of every training.")] = 0,
    um_per_px: Annotated[
        float | None,
        Parameter(help="Micrometres per level-0 pixel, where encoders are in different units."),
    ] = None,
    allow_partial: AllowPartial = False,
    jobs: Annotated[
        int, Parameter(help="Models to train at a time, -1: one per core; no result depends on it.")
    ] = -1,
    scheduler: Scheduler = None,
    force: Force = False,
) -> None:
    """Search a head's recipe on inner folds of the fit (or train) rows; write tuned.yaml.

    A stopped run goes on.
    """
    import sys

    from pathfuse.cli.console import cluster, command_line, progress
    from pathfuse.experts.parts import ExpertSetup
    from pathfuse.experts.recipe import TrainingRecipe

    chosen = parse_settings(set_)
    if "head" in chosen:
        raise InputError("--set head: the head is named by --head")
    if um_per_px is not None:
        chosen.setdefault("um_per_px", um_per_px)
    chosen = ({"seed": seed} if seed else {}) | chosen
    recipe = TrainingRecipe.of(head, **chosen)
    if recipe.facts.pooled and space is None and space_file is None:
        raise InputError(
            f"the head '{recipe.head}' has no learning rate, dropout or width, and chooses its strength itself; say "
            "what to search with --space"
        )
    searched = _space(space, space_file)
    edges = parse_time_edges(time_edges)
    expert = ExpertSetup(
        "tune",
        parse_features(features),
        samples,
        out,
        recipe,
        slides,
        endpoint,
        None if edges is None else tuple(edges),
        allow_partial=allow_partial,
    )
    need_torch()
    from pathfuse.experts.tuning.search import TUNED
    from pathfuse.experts.tuning.search import tune as run
    from pathfuse.experts.tuning.space import read_space

    with cluster(scheduler, reads=expert.read, out=out), progress() as report:
        found = run(
            expert,
            chosen,
            read_space(*searched),
            trials=trials,
            search=search,
            seed=seed,
            n_jobs=jobs,
            force=force,
            command=command_line(),
            progress=report,
        )
    sys.stdout.write(f"{found.verdict[:1].upper()}{found.verdict[1:]}.\nRecipe: {out}/{TUNED}\n")


def _space(text: str | None, file: Path | None) -> tuple[dict[str, object], str]:
    """What to search as it was written, and where.

    Raises:
        InputError: Both forms are given, or the file holds no mapping.
    """
    from pathfuse.experts.tuning.space import DEFAULT, parse_space
    from pathfuse.files.yaml import read_yaml

    if text is not None and file is not None:
        raise InputError("give --space or --space-file, not both")
    if file is not None:
        content = read_yaml(file)
        if not isinstance(content, dict):
            raise InputError(f"{file} holds no mapping of names to ranges")
        return content, str(file)
    return (dict(DEFAULT), "--space") if text is None else (dict(parse_space(text)), "--space")
