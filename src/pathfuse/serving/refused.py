"""What is wrong with a request, and the status that says so."""

from http import HTTPStatus

from pathfuse.errors import PathfuseError


class RefusedError(PathfuseError):
    """A request that is not answered as it was meant. The message is one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
