"""The one template environment: every page has the same rules, style sheet, script and policy."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pathfuse.report.policy import content_policy
from pathfuse.report.words import number, p_value, several
from pathfuse.unseen import visible


def render_page(template: str, filters: Mapping[str, Callable[..., Any]], /, **content: Any) -> str:
    """A page as text.

    What the template shows is escaped, and characters that nobody sees are shown as escapes; the
    only text that is not are our own style sheet, script and policy, and figures, which
    ``Drawing.inline`` makes.

    Args:
        template: Its file inside the package, such as ``report/page.html``. Its head is
            ``report/head.html``.
        filters: Its own filters, in addition to ``number``, ``p`` and ``several``.
        content: What the template shows; ``style``, ``script`` and ``policy`` are there besides.
    """
    style, script = _asset("page.css"), _asset("page.js")
    shared = {
        "style": Markup(style),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "policy": Markup(content_policy(style, script)),  # noqa: S704 - hashes
    }
    # A name that is not given is an error.
    environment = Environment(
        loader=PackageLoader("pathfuse", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_seen,
    )  # fmt: skip
    environment.filters |= {"number": number, "p": p_value, "several": several, **filters}
    return environment.get_template(template).render(**shared, **content)


def _asset(name: str) -> str:
    """The style sheet or the script, as it is."""
    return files("pathfuse.report").joinpath(name).read_text(encoding="utf-8")


def _seen(value: Any) -> Any:
    """What a template shows, before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
