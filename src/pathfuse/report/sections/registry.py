"""The sections that stand on their own, in the order of the page."""

from pathfuse.report.sections import calibration_detail, checklist, distributions
from pathfuse.report.sections.base import Section

SECTIONS: tuple[Section, ...] = (
    distributions.SECTION,
    calibration_detail.SECTION,
    checklist.SECTION,
)
