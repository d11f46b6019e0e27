"""The reporting checklists: how many items the run fills, and with what."""

from collections.abc import Mapping
from typing import Any

from pathfuse.report.checklists.base import filled
from pathfuse.report.checklists.registry import CHECKLISTS
from pathfuse.report.content import Content
from pathfuse.report.sections.base import Section


def _shown(content: Content) -> Mapping[str, Any]:
    return {"lists": [filled(one, content) for one in CHECKLISTS]}


SECTION = Section("checklist", "Reporting checklists", "read", lambda _: [], _shown)
