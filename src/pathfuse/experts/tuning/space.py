"""What a search over recipes draws from: ranges and lists, written as text or in a YAML file."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathfuse.errors import InputError

FIXED = (
    "head", "folds", "group", "several", "test_from", "overlap", "incomplete", "um_per_px", "likelihood", "precision",
    "device", "cache_mb", "seed",
)  # fmt: skip
"""Values of a recipe that say what is predicted and how it is divided: with others the losses could
not be compared."""
DEFAULT = {
    "learning_rate": "5e-5:2e-3:log",
    "weight_decay": "1e-6:1e-2:log",
    "dropout": "0:0.6",
    "hidden": "128|256|512",
}
"""Searched where nothing else is said."""
LOG = "log"


@dataclass(frozen=True)
class Range:
    """Numbers between two ends; whole ones where both ends are whole."""

    low: float
    high: float
    log: bool = False
    """Whether orders of magnitude are drawn evenly."""

    def draw(self, rng: np.random.Generator) -> float | int:
        """One number."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        low, high = (self.low, self.high + 1) if whole else (self.low, self.high)
        ends = (math.log(low), math.log(high)) if self.log else (low, high)
        value = float(rng.uniform(*ends))
        value = math.exp(value) if self.log else value
        if whole:
            return min(int(value), int(self.high))
        return float(f"{value:.4g}")  # to be read and typed by people


@dataclass(frozen=True)
class OneOf:
    """One of some values."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """One of them."""
        return self.values[int(rng.integers(len(self.values)))]


Space = dict[str, Range | OneOf]


def read_space(content: Mapping[str, Any], source: str) -> Space:
    """A space from its written form.

    Args:
        content: Name of a value of the recipe to ``low:high``, ``low:high:log``, ``a|b|c`` or a
            list.
        source: Where it was written, for messages.

    Raises:
        InputError: A value cannot be searched, or its range cannot be read.

    Examples:
        >>> space = read_space({"dropout": "0:0.5", "hidden": "128|256", "gate": ["relu", "tanh"]}, "--space")
        >>> space["dropout"], space["hidden"].values
        (Range(low=0, high=0.5, log=False), (128, 256))
    """
    if not content:
        raise InputError(f"{source}: nothing to search is named")
    found: Space = {}
    for name, written in content.items():
        if name in FIXED:
            raise InputError(
                f"{source}: '{name}' cannot be searched: losses would not be comparable; choose it with --set"
            )
        found[str(name)] = _one(str(name), written, source)
    return found


def parse_space(text: str) -> dict[str, str]:
    """``learning_rate=1e-4:1e-2:log,hidden=128|256`` as a mapping.

    Raises:
        InputError: A part has no equals sign, or a name stands twice.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, written = part.strip().partition("=")
        if not equals or not name or not written:
            raise InputError(
                f"--space {part}: write NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A|B|C"
            )
        if name in found:
            raise InputError(f"--space: '{name}' stands twice")
        found[name] = written
    return found


def draw_trials(space: Space, n: int, seed: int) -> list[dict[str, Any]]:
    """Values of every trial; the first has none, so that it is the recipe as it stands.

    Args:
        space: To draw from.
        n: Trials, with the first.
        seed: The same seed draws the same trials, and more of them continue fewer.
    """
    rng = np.random.default_rng(seed)
    return [{}, *({name: one.draw(rng) for name, one in space.items()} for _ in range(n - 1))]


def _one(name: str, written: Any, source: str) -> Range | OneOf:
    """The range or choice of one value."""
    if isinstance(written, list | tuple):
        return OneOf(_filled(name, tuple(written), source))
    text = str(written)
    if "|" in text:
        return OneOf(_filled(name, tuple(_value(one) for one in text.split("|")), source))
    low, *rest = text.split(":")
    ends = [_value(low), _value(rest[0])] if rest else []
    log = len(rest) == 2 and rest[1] == LOG
    numbers = [end for end in ends if isinstance(end, int | float) and not isinstance(end, bool)]
    if len(numbers) < 2 or len(rest) > 1 + log:
        raise InputError(
            f"{source}: '{name}' is {text}, but must be LOW:HIGH, LOW:HIGH:log or A|B|C"
        )
    if not (math.isfinite(numbers[0]) and numbers[0] < numbers[1] < math.inf):
        raise InputError(f"{source}: '{name}' is {text}, but LOW must be below HIGH")
    if log and numbers[0] <= 0:
        raise InputError(f"{source}: '{name}' is {text}, but a range with log must begin above 0")
    return Range(numbers[0], numbers[1], log)


def _filled(name: str, values: tuple[Any, ...], source: str) -> tuple[Any, ...]:
    if not values:
        raise InputError(f"{source}: '{name}' has no values to choose from")
    return values


def _value(text: str) -> Any:
    """A number, truth value or null where it is one, as in JSON; otherwise the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
