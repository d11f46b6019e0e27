"""All importers of predictions, by name.

Examples:
    >>> importer("logitprod").summary
    'the expert dumps of the LogitProd authors'
    >>> sorted(importer("logitprod").fields)[:3]
    ['classes', 'confirm_row_order', 'folds']
"""

from typing import Any

from pathfuse.errors import InputError
from pathfuse.study.formats.registry import FORMATS
from pathfuse.study.importers.importer import Importer
from pathfuse.study.importers.logitprod import LOGITPROD
from pathfuse.study.importers.tool_tables import tool_importer

OF_FORMATS: list[Importer[Any]] = [tool_importer(one) for one in FORMATS if one.importable]
IMPORTERS: dict[str, Importer[Any]] = {one.name: one for one in [LOGITPROD, *OF_FORMATS]}


def importer(name: str) -> Importer[Any]:
    """An importer.

    Raises:
        InputError: None has this name.
    """
    if name not in IMPORTERS:
        raise InputError(f"the format '{name}' is unknown; known: {', '.join(IMPORTERS)}")
    return IMPORTERS[name]
