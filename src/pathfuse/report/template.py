"""The one template environment: every page has the same rules, style sheet and script."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pathfuse.report.words import number, p_value, several


def render_page(template: str, filters: Mapping[str, Callable[..., Any]], /, **content: Any) -> str:
    """A page as text.

    Args:
        template: Its file inside the package, such as ``report/page.html``.
        filters: Its own filters, in addition to ``number``, ``p`` and ``several``.
        content: What the template shows; ``style``, ``script`` and ``script_hash`` are there
            besides.
    """
    script = _asset("page.js")
    shared = {
        "style": _asset("page.css"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    # A name that is not given is an error, and everything but our own figures and assets is
    # escaped.
    environment = Environment(
        loader=PackageLoader("pathfuse", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": number, "p": p_value, "several": several, **filters}
    return environment.get_template(template).render(**shared, **content)


def _asset(name: str) -> Markup:
    """The style sheet or the script, as it is."""
    return Markup(files("pathfuse.report").joinpath(name).read_text(encoding="utf-8"))  # noqa: S704
