"""A result in a notebook: the answer and the table of methods, without the page."""

from pathfuse.report.answer import answer
from pathfuse.report.content import Content
from pathfuse.report.headline import alarmed
from pathfuse.report.publication import metrics_table
from pathfuse.unseen import as_html


def snippet(content: Content) -> str:
    """The head of the report as an HTML element."""
    found, table, alarm = answer(content), metrics_table(content), alarmed(content.manifest)
    parts = [f"<h3>{as_html(found.title)}</h3>", f"<p>{as_html(found.question)}</p>"]
    parts += [f"<p><strong>{as_html(alarm)}</strong></p>"] if alarm else []
    parts += [
        f"<p>{as_html(one.label)}: <strong>{as_html(one.value)}</strong> "
        f"{as_html('; '.join(filter(None, (one.interval, one.note))))}</p>"
        for one in found.figures
    ]
    parts.append(f"<p>{as_html(found.second)}</p>")
    return f"<div>{''.join(parts)}{table.element if table is not None else ''}</div>"
