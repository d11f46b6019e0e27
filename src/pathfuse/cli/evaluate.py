"""``pathfuse evaluate``."""

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
from pathfuse.workflows.options import EVALUATE, EvaluateCommandKeywords


@with_reading
@with_options(only=EVALUATE)
def evaluate(
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
    **options: Unpack[EvaluateCommandKeywords],
) -> int:
    """Score and compare predictions; fit nothing."""
    from pathfuse.cli.check import looked_through
    from pathfuse.cli.console import cluster, command_line, progress, show_result
    from pathfuse.errors import faults_in
    from pathfuse.files.write import check_out
    from pathfuse.study.study import Study, read_study
    from pathfuse.workflows.evaluate import evaluate as run
    from pathfuse.workflows.evaluate import faults_of_evaluate
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
            lambda study: [*faults_in(check_place), *faults_of_evaluate(study, **options)],
            options.get("positive"),
            fitting=False,
        )
    check_place()
    with progress() as report:
        report("reading", 0.0)
        study = read()
        with cluster(scheduler, reads=[], out=out):
            result = run(study, n_jobs=jobs, progress=report, **options)
    result.manifest["command"] = command_line()
    result.manifest["left_out"] += trained_left_out(study)
    result.save(out, force)
    show_result(result, str(out))
    return 0
