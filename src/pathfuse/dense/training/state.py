"""Where the training of a segmentation network is."""

from dataclasses import dataclass, field

from pathfuse.training.state import TrainingState


@dataclass
class DenseState(TrainingState):
    """The state after some epochs, and what they cost."""

    cm: list[list[int]] = field(default_factory=list)
    """Confusion matrix of the validation images in the best epoch."""
    seconds: float = 0.0
    """Over all sittings."""
    peak_mb: float | None = None
    gpu_mb: float | None = None
