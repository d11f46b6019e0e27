"""What every request passes: an identifier, the token, one line in the log, the counts; and no error
leaves as anything but a sentence.
"""

import logging
import uuid
from collections.abc import MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pathfuse.serving.answers import problem
from pathfuse.serving.logs import ABOUT, NAME
from pathfuse.serving.metrics import Metrics
from pathfuse.serving.settings import Settings

OPEN = ("/v2/health/live", "/v2/health/ready")
"""Paths without a token: whoever watches the server has none."""
OTHER = "other"
"""Stands in logs and counts for paths that are none of ours: they may hold anything."""
SEEN = "pathfuse"
_LOG = logging.getLogger(NAME)


@dataclass
class Told:
    """What a route says of a request, for the log."""

    rows: int = 0


def told(scope: MutableMapping[str, Any]) -> Told:
    """Where a route says it."""
    found: Told = scope[SEEN]
    return found


class Gate:
    """The outermost part of the application."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, request_id, status = perf_counter(), uuid.uuid4().hex, 0
        scope[SEEN] = Told()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        fault: Exception | None = None
        try:
            await self._pass(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - the last place that can answer with a sentence
            fault = error
            if not status:
                answer = problem(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    f"a fault of pathfuse, not of the request; its log says more under {request_id}",
                )
                await answer(scope, receive, send_with_id)
        seconds = perf_counter() - begun
        route = getattr(scope.get("route"), "path", OTHER)
        self.metrics.answered(route, status, seconds)
        about = {
            "event": "request",
            "request_id": request_id,
            "method": scope["method"] if scope["method"] in ("GET", "POST") else OTHER,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "rows": told(scope).rows,
        }
        level = logging.ERROR if fault is not None else logging.INFO
        _LOG.log(level, "request", extra={ABOUT: about}, exc_info=fault)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request in that may be answered."""
        path = scope["path"]
        if path not in OPEN and not self.settings.admits(Headers(scope=scope).get("authorization")):
            answer: Response = problem(
                HTTPStatus.UNAUTHORIZED,
                "this server answers with a token only: send the header 'Authorization: Bearer TOKEN'",
            )
            answer.headers["www-authenticate"] = "Bearer"
            answer.headers["connection"] = "close"  # the body was not read
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)
