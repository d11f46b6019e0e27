"""Every converter by the name of what it writes."""

from functools import partial
from pathlib import Path

from pathfuse.dense.data.cards import variant_of
from pathfuse.dense.data.converters import bcss, cocahis, instances, mat, npy, nucls, pairs
from pathfuse.dense.data.converters.base import Converter
from pathfuse.dense.data.records import Split
from pathfuse.files.write import check_out

CONVERTERS: dict[str, Converter] = {
    **{name: partial(pairs.convert, name) for name in pairs.FAMILIES},
    **{
        name: partial(mat.convert, name)
        for name in ("cpm15", "cpm17", "kumar", "consep", "consep8", "lizard")
    },
    **{name: partial(bcss.convert, name) for name in ("bcss", "bcss5")},
    "conic2022": npy.convert_conic,
    "pannuke": npy.convert_pannuke,
    "nucls": nucls.convert,
    "cocahis": cocahis.convert,
    "dsb2018_histology": instances.convert,
}
"""By variant of a card."""


def convert(name: str, source: Path, out: Path, *, seed: int = 0, force: bool = False) -> Split:
    """Converts one data set from the folder that was downloaded.

    Args:
        name: Of a data set or a variant, such as ``glas`` or ``bcss5``; case does not matter.
        source: The folder as downloaded and unpacked; it is not changed.
        out: A new folder for ``split.json`` and ``masks``, and for ``images`` and ``instances``
            where needed.
        seed: Of what the official split leaves open.
        force: Whether an existing ``out`` is replaced.

    Returns:
        The data set with notes on what differs from its card.

    Raises:
        InputError: The name is unknown, or as in ``Converter``.
    """
    variant = variant_of(name)
    check_out(out, force, [source])
    return CONVERTERS[variant](source, out, seed=seed, force=force)
