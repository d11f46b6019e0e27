"""``pathfuse demo``."""

from dataclasses import replace
from pathlib import Path

from pathfuse.cli.options import Force, Out, Seed


def demo(*, out: Out = Path("pathfuse-demo"), seed: Seed = 0, force: Force = False) -> None:
    """Run the main job on real data that needs no download: fine-needle aspirates of breast masses."""
    import json

    from pathfuse.cli.console import command_line, progress, show_result
    from pathfuse.files.write import new_folder
    from pathfuse.study.study import read_study
    from pathfuse.workflows.demo_study import write_demo_study
    from pathfuse.workflows.fuse import fuse

    with new_folder(out, force) as partial:
        with progress() as report:
            report("training five experts", 0.0)
            samples, predictions = write_demo_study(partial / "study")
            result = fuse(read_study(samples, predictions), seed=seed, progress=report)
        result.manifest["command"] = command_line()
        # The inputs lie inside the folder that is renamed at the end: name them as they will be
        # found.
        manifest = json.loads(json.dumps(result.manifest).replace(str(partial), str(out)))
        replace(result, manifest=manifest).write(partial)
    show_result(result, str(out))
