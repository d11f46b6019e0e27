"""One line of JSON for each request, and for what happens to the server: no sample, no value."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

NAME = "pathfuse.serving"
ABOUT = "about"
"""Attribute of a record: the fields of its line."""


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``; of an error its kind and place, never its words or values."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        about = getattr(record, ABOUT, None)
        line |= about if about is not None else {"event": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            line |= fault_of(record.exc_info[1])
        line["pid"] = record.process
        return json.dumps(line)


def fault_of(error: BaseException | None) -> dict[str, Any]:
    """The kind of an error, and the lines of code that it came through."""
    places, trace = list[str](), error.__traceback__ if error is not None else None
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "at": places[-5:]}


def config(level: str = "INFO") -> dict[str, Any]:
    """For ``logging.config.dictConfig``, of pathfuse and of uvicorn: lines on standard error."""
    own = {"handlers": ["lines"], "level": level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": f"{__name__}.{JsonLines.__name__}"}},
        "handlers": {
            "lines": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {NAME: own, "uvicorn": own, "asyncio": own},
    }
