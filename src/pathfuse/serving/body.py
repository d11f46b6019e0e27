"""The body of a request, read with its limits in view."""

import asyncio
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from pathfuse.serving.refused import RefusedError
from pathfuse.serving.settings import Limits


async def body_of(request: Request, limits: Limits) -> bytes:
    """The whole body.

    Raises:
        RefusedError: It is longer than may be (413), or does not come in time (408).
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed (Content-Encoding)"
        )
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said[:20]) > limits.body_bytes:
        raise _too_long(limits)
    parts, size = list[bytes](), 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    raise _too_long(limits)
                parts.append(part)
    except TimeoutError:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body did not come within {limits.seconds:g} seconds",
        ) from None
    except ClientDisconnect:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the body was cut off") from None
    return b"".join(parts)


def _too_long(limits: Limits) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {limits.body_bytes:,} bytes; send the samples in parts",
    )


def media_type_of(request: Request) -> str:
    """What the body is said to be, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
