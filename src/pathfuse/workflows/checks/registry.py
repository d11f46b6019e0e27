"""The checks: a new one is its class in a file of its own, and its place in this list."""

from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.better_on_fit import BetterOnFit
from pathfuse.workflows.checks.classes import Classes
from pathfuse.workflows.checks.constant import Constant
from pathfuse.workflows.checks.copied import Copied
from pathfuse.workflows.checks.decisions import Decisions
from pathfuse.workflows.checks.edges import Edges
from pathfuse.workflows.checks.events import Events
from pathfuse.workflows.checks.lost_rows import LostRows
from pathfuse.workflows.checks.no_logits import NoLogits
from pathfuse.workflows.checks.other_truth import OtherTruth
from pathfuse.workflows.checks.other_unit import OtherUnit
from pathfuse.workflows.checks.repeated_cases import RepeatedCases
from pathfuse.workflows.checks.same_rows import SameRows
from pathfuse.workflows.checks.seen import Seen
from pathfuse.workflows.checks.squeezed import Squeezed
from pathfuse.workflows.checks.swapped_columns import SwappedColumns
from pathfuse.workflows.checks.wrong_way import WrongWay

CHECKS: tuple[Check, ...] = (
    BetterOnFit(),
    WrongWay(),
    SwappedColumns(),
    Constant(),
    Squeezed(),
    OtherUnit(),
    NoLogits(),
    Decisions(),
    Copied(),
    RepeatedCases(),
    SameRows(),
    Seen(),
    Edges(),
    Events(),
    Classes(),
    OtherTruth(),
    LostRows(),
)
"""In the order in which alarms are shown."""
