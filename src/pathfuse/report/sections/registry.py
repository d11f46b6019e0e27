"""The sections that stand on their own, in the order of the page."""

from pathfuse.report.sections.base import Section
from pathfuse.report.sections.operating_points import OPERATING_POINTS
from pathfuse.report.sections.utility import UTILITY

SECTIONS: tuple[Section, ...] = (OPERATING_POINTS, UTILITY)
