"""The checklists that every run fills."""

from pathfuse.report.checklists.base import Checklist
from pathfuse.report.checklists.claim import CLAIM
from pathfuse.report.checklists.tripod_ai import TRIPOD_AI

CHECKLISTS: tuple[Checklist, ...] = (TRIPOD_AI, CLAIM)
