"""``pathfuse fuse``."""

from typing import Unpack

from pathfuse.cli.options import (
    CensoringRule,
    DryRun,
    EndpointName,
    Force,
    Jobs,
    LabelMaps,
    Out,
    Predictions,
    Samples,
    Scheduler,
    TimeEdges,
    parse_label_maps,
    parse_time_edges,
    with_options,
    with_reading,
)
from pathfuse.study.reading import DEFAULT, Reading
from pathfuse.workflows.options import FuseCommandKeywords


@with_reading
@with_options()
def fuse(
    *,
    samples: Samples,
    predictions: Predictions,
    out: Out,
    label_map: LabelMaps = None,
    endpoint: EndpointName = None,
    time_edges: TimeEdges = None,
    censoring: CensoringRule = "later",
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    force: Force = False,
    dry_run: DryRun = False,
    reading: Reading = DEFAULT,
    **options: Unpack[FuseCommandKeywords],
) -> int:
    """Fuse a study's experts, compare the fusion with simpler methods, certify it."""
    from pathfuse.cli.check import looked_through
    from pathfuse.cli.console import cluster, command_line, progress, show_result
    from pathfuse.errors import faults_in
    from pathfuse.files.write import check_out
    from pathfuse.study.study import Study, read_study
    from pathfuse.workflows.fuse import faults_of_fuse
    from pathfuse.workflows.fuse import fuse as run
    from pathfuse.workflows.steps.costs import recorded_costs
    from pathfuse.workflows.steps.trained import trained_left_out

    maps, edges = parse_label_maps(label_map), parse_time_edges(time_edges)

    def read() -> Study:
        return read_study(
            samples,
            predictions,
            maps,
            endpoint,
            edges,
            censoring,
            reading,
            options.get("positive"),
            options.get("unit", "sample"),
        )

    def check_place() -> None:
        check_out(out, force, [samples, *predictions, *maps.values()])

    if dry_run:
        return looked_through(
            read,
            lambda study: [*faults_in(check_place), *faults_of_fuse(study, **options)],
            options.get("positive"),
            fitting=True,
        )
    check_place()
    with progress() as report:
        report("reading", 0.0)
        study = read()
        costs = recorded_costs(study)
        with cluster(scheduler, reads=[], out=out):
            result = run(study, n_jobs=jobs, costs=costs, progress=report, **options)
    result.manifest["command"] = command_line()
    result.manifest["left_out"] += trained_left_out(study)
    result.save(out, force)
    show_result(result, str(out))
    return 0
