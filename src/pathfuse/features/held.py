"""How much of one slide or patient may be held in memory."""

from pathfuse.errors import InputError

MOST_NUMBERS = 4 * 10**9
"""Tiles times dimensions: 16 GB as float32, some 2.6 million tiles of 1,536. The largest slides have 400,000."""


def check_held(n_tiles: int, dim: int, what: str) -> None:
    """Refuses tiles that are too many to be held at once.

    Args:
        n_tiles: How many are to be read.
        dim: Numbers of each.
        what: Whose they are, in sentences.

    Raises:
        InputError: With what they need, and the limit.
    """
    if n_tiles * dim > MOST_NUMBERS:
        raise InputError(
            f"{what} has {n_tiles:,} tiles of {dim:,} numbers, {n_tiles * dim * 4 / 1e9:,.1f} GB; at most "
            f"{MOST_NUMBERS * 4 / 1e9:.0f} GB of one slide or patient are held at once: let the head read a part "
            "of them (--set max_tiles=100000 max_tiles_predict=100000)"
        )
