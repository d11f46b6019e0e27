"""The outputs of a command, as far as they are its own: see ``files.at_work``. Light, since every
command begins here.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outputs:
    """The outputs of a command."""

    stack: ExitStack
    """Gives them free in the end."""
    held: set[Path] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    """Tags of those whose claims were taken over."""


outputs: ContextVar[Outputs | None] = ContextVar("outputs", default=None)


@contextmanager
def outputs_claimed() -> Iterator[None]:
    """Until the block ends, the outputs that are checked or written in it are this process's.

    A block inside of another adds nothing; without one, nothing is claimed. Processes that the
    block starts work for it, and claim nothing.
    """
    if outputs.get() is not None:
        yield
        return
    with ExitStack() as stack:
        token = outputs.set(Outputs(stack))
        try:
            yield
        finally:
            outputs.reset(token)
