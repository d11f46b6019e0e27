"""Which endpoint a samples table is about: its target columns decide.

A new endpoint is one file and one line here.
"""

from collections.abc import Sequence
from typing import Any

from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.endpoints.multilabel import Multilabel
from pathfuse.endpoints.ordinal import Ordinal
from pathfuse.endpoints.regression import Regression
from pathfuse.endpoints.survival import Survival
from pathfuse.errors import InputError, clipped

ENDPOINTS: dict[str, type[Endpoint]] = {
    kind.kind: kind for kind in (Multiclass, Ordinal, Multilabel, Survival, Regression)
}


def endpoint_of(
    header: Sequence[str], source: str, wanted: str | None = None
) -> tuple[type[Endpoint], list[str]]:
    """The endpoint and its target columns.

    Raises:
        InputError: The table has the target columns of no endpoint, or of several and none was
            asked for.
    """
    found = {
        name: columns
        for name, kind in ENDPOINTS.items()
        if (columns := kind.target_columns(header))
    }
    if wanted is not None:
        if wanted not in ENDPOINTS:
            raise InputError(
                f"endpoint '{wanted}' is unknown; choose one of {', '.join(ENDPOINTS)}"
            )
        if wanted not in found:
            raise InputError(
                f"{source} has no target column of endpoint '{wanted}'; its columns are {', '.join(header)}"
                f"{ENDPOINTS[wanted].hint(header)}"
            )
        return ENDPOINTS[wanted], found[wanted]
    if not found:
        hints = "".join(kind.hint(header) for kind in ENDPOINTS.values())
        raise InputError(
            f"{source} has no target column such as 'label'; its columns are {', '.join(header)}; "
            f"--columns label=NAME says which one holds the classes{hints}"
        )
    if len(found) > 1:
        targets = ", ".join(f"'{c}'" for names in found.values() for c in names[:2])
        raise InputError(
            f"{source} has target columns of several endpoints ({targets}); say which: --endpoint {'|'.join(found)}"
        )
    (name,) = found
    return ENDPOINTS[name], found[name]


def endpoint_from_dict(content: dict[str, Any]) -> Endpoint:
    """The inverse of ``Endpoint.as_dict``.

    Raises:
        ValueError: It describes no endpoint.
    """
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in ENDPOINTS:
        raise ValueError(f"there is no endpoint {clipped(repr(kind))}")
    return ENDPOINTS[kind].from_dict(content)
