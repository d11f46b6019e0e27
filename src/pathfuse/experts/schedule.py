"""Which parts of experts are trained together, in how many processes, on which devices."""

from collections.abc import Sequence
from dataclasses import dataclass

from pathfuse.errors import InputError
from pathfuse.experts.shards import Part
from pathfuse.training.device import device_of, is_shared
from pathfuse.workers import runs_elsewhere


@dataclass(frozen=True)
class Lane:
    """Parts that are trained in the same processes."""

    parts: list[Part]
    n_jobs: int | None
    """Processes, as in joblib; None or 1: this process."""
    devices: tuple[str, ...] = ()
    """A device for each process; none: what the recipes say."""


def check_devices(devices: Sequence[str]) -> None:
    """Refuses devices of this machine where the models are trained on others.

    Raises:
        InputError: They are.
    """
    if devices and runs_elsewhere():
        raise InputError(
            "--devices names devices of this machine, and with --scheduler each worker trains on "
            "its own: start one worker per GPU, each with its CUDA_VISIBLE_DEVICES"
        )


def lanes(parts: Sequence[Part], n_jobs: int | None, devices: Sequence[str] = ()) -> list[Lane]:
    """Parts by where they run: first the heads that devices were named for, one process per device;
    then those that run on a GPU anyway, one at a time unless a number of processes is asked for;
    then those on the CPU. On a cluster all go together: each worker trains one at a time.

    Args:
        parts: What is to be trained.
        n_jobs: Processes, as in joblib; negative: as many as make sense.
        devices: For the trained heads whose recipe leaves the device to the run.
    """
    if runs_elsewhere():
        return [Lane(list(parts), None)] if parts else []
    spread: list[Part] = []
    shared: list[Part] = []
    rest: list[Part] = []
    for part in parts:
        recipe = part[0].expert.recipe
        if recipe.facts.pooled:
            rest.append(part)
        elif devices and recipe.device == "auto":
            spread.append(part)
        elif is_shared(device_of(recipe.device)):
            shared.append(part)
        else:
            rest.append(part)
    one_at_a_time = 1 if n_jobs is None or n_jobs < 0 else n_jobs
    found = [
        Lane(spread, len(devices), tuple(devices)),
        Lane(shared, one_at_a_time),
        Lane(rest, n_jobs),
    ]
    return [lane for lane in found if lane.parts]
