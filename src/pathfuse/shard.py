"""A share of some work, for the array jobs of a cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pathfuse.errors import InputError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Every ``of``-th part, from the ``number``-th on."""

    number: int
    """From 1."""
    of: int

    @staticmethod
    def parse(text: "str | Shard | None") -> "Shard | None":
        """The shard of ``2/4``; what is none yet or one already stays.

        Raises:
            InputError: It is not written so.
        """
        if text is None or isinstance(text, Shard):
            return text
        number, _, of = text.partition("/")
        if number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
            return Shard(int(number), int(of))
        raise InputError(f"--shard {text}: write I/N with I from 1 to N, such as 1/4")

    def among(self, items: Sequence[Item]) -> list[Item]:
        """Its items.

        Examples:
            >>> Shard(2, 3).among("abcdefg")
            ['b', 'e']
        """
        return list(items[self.number - 1 :: self.of])

    @property
    def share(self) -> str:
        """The same in a name of a file.

        Examples:
            >>> Shard(2, 3).share
            '2-of-3'
        """
        return f"{self.number}-of-{self.of}"

    def __str__(self) -> str:
        """As it was given."""
        return f"{self.number}/{self.of}"
