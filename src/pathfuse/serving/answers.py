"""Answers as bytes."""

from http import HTTPStatus
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

JSON = "application/json"


def json_answer(content: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Anything that JSON can say; numbers in so many digits that they are read back to the last bit."""
    return Response(to_json(content, inf_nan_mode="null"), status, media_type=JSON)


def problem(status: HTTPStatus, sentence: str) -> Response:
    """What is wrong, in one sentence, as the Open Inference Protocol has it."""
    return json_answer({"error": sentence}, status)
