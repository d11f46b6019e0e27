"""What goes wrong, in one sentence for a person."""


class PathfuseError(Exception):
    """Base of every error that pathfuse raises on purpose."""


class InputError(PathfuseError, ValueError):
    """The input is wrong. The message names the file, the column and the value."""


class NotFittedError(PathfuseError, RuntimeError):
    """A fusion was asked for a prediction before it was fitted."""
