"""A result in a notebook: the answer and the table of methods, without the page."""

import html

from pathfuse.report.answer import answer
from pathfuse.report.content import Content
from pathfuse.report.headline import alarmed
from pathfuse.report.publication import metrics_table


def snippet(content: Content) -> str:
    """The head of the report as an HTML element."""
    found, table, alarm = answer(content), metrics_table(content), alarmed(content.manifest)
    parts = [f"<h3>{html.escape(found.title)}</h3>", f"<p>{html.escape(found.question)}</p>"]
    parts += [f"<p><strong>{html.escape(alarm)}</strong></p>"] if alarm else []
    parts += [
        f"<p>{html.escape(one.label)}: <strong>{one.value}</strong> "
        f"{html.escape('; '.join(filter(None, (one.interval, one.note))))}</p>"
        for one in found.figures
    ]
    parts.append(f"<p>{html.escape(found.second)}</p>")
    return f"<div>{''.join(parts)}{table.element if table is not None else ''}</div>"
