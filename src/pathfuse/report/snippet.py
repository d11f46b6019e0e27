"""A result in a notebook: the answer and the table of methods, without the page."""

import html

from pathfuse.report.answer import answer
from pathfuse.report.content import Content
from pathfuse.report.headline import alarmed
from pathfuse.report.publication import metrics_table
from pathfuse.unseen import visible


def snippet(content: Content) -> str:
    """The head of the report as an HTML element."""
    found, table, alarm = answer(content), metrics_table(content), alarmed(content.manifest)
    parts = [f"<h3>{_escaped(found.title)}</h3>", f"<p>{_escaped(found.question)}</p>"]
    parts += [f"<p><strong>{_escaped(alarm)}</strong></p>"] if alarm else []
    parts += [
        f"<p>{_escaped(one.label)}: <strong>{_escaped(one.value)}</strong> "
        f"{_escaped('; '.join(filter(None, (one.interval, one.note))))}</p>"
        for one in found.figures
    ]
    parts.append(f"<p>{_escaped(found.second)}</p>")
    return f"<div>{''.join(parts)}{table.element if table is not None else ''}</div>"


def _escaped(text: str) -> str:
    return html.escape(visible(text))
