"""``pathfuse init`` and ``pathfuse run``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pathfuse.cli.experts import Devices, LogDir
from pathfuse.cli.options import Force, Scheduler, ShardText

if TYPE_CHECKING:
    from pathfuse.workflows.study_file.run import StudyRun


def init(
    *,
    out: Annotated[Path, Parameter(name="--out", help="File to write.")] = Path("study.yaml"),
    force: Force = False,
) -> None:
    """Write a commented example of study.yaml."""
    import sys

    from pathfuse.files.write import write_text_file
    from pathfuse.workflows.study_file.config import EXAMPLE

    write_text_file(EXAMPLE, out, force, [".yaml", ".yml"])
    sys.stdout.write(f"{out}\n")


def run(
    study: Annotated[Path, Parameter(help="study.yaml; 'pathfuse init' writes an example.")],
    /,
    *,
    jobs: Annotated[
        int,
        Parameter(
            help="Models to train at a time, -1: one per core, on a GPU one; no result depends on it."
        ),
    ] = -1,
    devices: Devices = None,
    shard: ShardText = None,
    log_dir: LogDir = None,
    scheduler: Scheduler = None,
) -> None:
    """Run a whole study: features, experts, fusion, report; what has not changed is not done again."""
    import sys

    from pathfuse.cli.console import cluster, command_line, progress
    from pathfuse.cli.experts import need_torch
    from pathfuse.workflows.study_file.config import read_config

    config = read_config(study)
    need_torch()
    from pathfuse.shard import Shard
    from pathfuse.training.devices import parse_devices
    from pathfuse.workflows.study_file.run import run_study

    part, places = Shard.parse(shard), parse_devices(devices)
    with cluster(scheduler, reads=config.reads, out=config.out), progress() as report:
        done = run_study(
            config,
            n_jobs=jobs,
            command=command_line(),
            devices=places,
            shard=part,
            log_dir=log_dir,
            progress=report,
        )
    if done is None:
        sys.stdout.write(f"Shard {part} done. The shard that ends last fuses.\n")
        return
    _show(done)


def _show(done: "StudyRun") -> None:
    """Experts, the fusion, and what was left out, also of a fusion that is unchanged."""
    import sys

    from pathfuse.cli.console import show_result
    from pathfuse.files.json import read_object
    from pathfuse.report.content import left_out_lines

    trained = f"{len(done.trained)} trained" + (
        f" ({', '.join(done.trained)})" if done.trained else ""
    )
    sys.stdout.write(f"Experts: {trained}, {len(done.unchanged)} unchanged.\n")
    if done.result is not None:
        for one in done.result.manifest["references"]:
            sys.stdout.write(f"{one['verdict']}.\n")
        show_result(done.result, str(done.folder / "fused"))
    else:
        sys.stdout.write("Fusion unchanged.\n")
        earlier = read_object(done.folder / "fused" / "manifest.json")
        for line in left_out_lines(earlier["left_out"]):
            sys.stdout.write(f"{line}.\n")
        for warning in earlier["warnings"]:
            sys.stderr.write(f"pathfuse: warning: {warning}\n")
        sys.stdout.write(f"Report: {done.folder}/fused/report.html\n")
