"""``pathfuse fuse``."""

from typing import Annotated

from cyclopts import Parameter

from pathfuse.cli.options import (
    CensoringRule,
    EndpointName,
    Force,
    IntervalKind,
    Jobs,
    LabelMaps,
    Margin,
    Out,
    Positive,
    Predictions,
    Resamples,
    Samples,
    Seed,
    TimeEdges,
    Unit,
    parse_label_maps,
    parse_time_edges,
)


def fuse(
    *,
    samples: Samples,
    predictions: Predictions,
    out: Out,
    method: Annotated[str, Parameter(help="auto (a council of all methods), choose, or one method's name.")] = "auto",
    seed: Seed = 0,
    label_map: LabelMaps = None,
    endpoint: EndpointName = None,
    time_edges: TimeEdges = None,
    censoring: CensoringRule = "later",
    unit: Unit = "sample",
    resamples: Resamples = 2000,
    interval: IntervalKind = "auto",
    margin: Margin = 0.01,
    positive: Positive = None,
    allow_in_sample: Annotated[
        bool, Parameter(negative="", help="Fit on 'train' rows too; the manifest warns.")
    ] = False,
    gate: Annotated[str, Parameter(help="LogitProd's gate: shared, or per_bin (survival).")] = "shared",
    expert_dropout: Annotated[float, Parameter(help="Share of predictions hidden from LogitProd's fit.")] = 0.0,
    coverage: Annotated[
        float | None, Parameter(help="Conformal prediction sets that hold the truth in this share of cases, e.g. 0.9.")
    ] = None,
    ablation: Annotated[
        bool, Parameter(negative="", help="Fit again without each expert, with noise, with shuffled labels; compare.")
    ] = False,
    skip_unscored: Annotated[bool, Parameter(negative="", help="Leave out samples that no expert scored.")] = False,
    jobs: Jobs = None,
    force: Force = False,
) -> None:
    """Fuse a study's experts, judge the fusion beside its rivals, certify it."""
    from pathfuse.cli.console import command_line, progress, show_result
    from pathfuse.runs.costs import recorded_costs
    from pathfuse.runs.fuse import fuse as run
    from pathfuse.tables.study import read_study
    from pathfuse.tables.write import check_out

    maps, edges = parse_label_maps(label_map), parse_time_edges(time_edges)
    check_out(out, force, [samples, *predictions, *maps.values()])
    with progress() as report:
        report("reading", 0.0)
        study = read_study(samples, predictions, maps, endpoint, edges, censoring)
        result = run(
            study,
            method,
            seed,
            n_resamples=resamples,
            interval=interval,
            margin=margin,
            unit=unit,
            gate=gate,
            expert_dropout=expert_dropout,
            coverage=coverage,
            ablation=ablation,
            allow_in_sample=allow_in_sample,
            skip_unscored=skip_unscored,
            n_jobs=jobs,
            costs=recorded_costs(study),
            positive=positive,
            progress=report,
        )
    result.manifest["command"] = command_line()
    result.save(out, force)
    show_result(result, str(out))
