"""The sections that stand on their own, in the order of the page."""

from pathfuse.report.sections.base import Section
from pathfuse.report.sections.failures import FAILURES
from pathfuse.report.sections.participants import PARTICIPANTS
from pathfuse.report.sections.subgroups import SUBGROUPS

SECTIONS: tuple[Section, ...] = (
    PARTICIPANTS,
    FAILURES,
    SUBGROUPS,
)
