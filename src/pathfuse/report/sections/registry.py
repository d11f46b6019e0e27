"""The sections that stand on their own, in the order of the page."""

from pathfuse.report.sections.base import Section
from pathfuse.report.sections.checklist import CHECKLIST

SECTIONS: tuple[Section, ...] = (CHECKLIST,)
