"""Moments of the slides of a folder: known since it was opened, or read once more."""

from collections.abc import Sequence

import numpy as np

from pathfuse.errors import InputError
from pathfuse.features.folder import FeatureFolder
from pathfuse.features.formats.base import UnusableError
from pathfuse.features.moments import Moments


def slide_moments(folder: FeatureFolder, slides: Sequence[str]) -> Moments:
    """Moments of some slides, one row each, in the order asked for.

    What was found when the folder was opened is used; only a folder that was opened without a look
    at its values, and joined tiles of several encoders that are not simply all tiles of each, are
    read here, a part at a time.

    Args:
        folder: Features of one encoder or of several.
        slides: Names.

    Raises:
        InputError: A file has become unreadable.
    """
    if folder.scanned is not None:
        place = {name: row for row, name in enumerate(folder.slides)}
        return folder.scanned.rows([place[name] for name in slides])
    found = []
    for name in slides:
        try:
            found.append(folder.store.moments(name))
        except UnusableError as error:
            raise InputError(f"{folder.slides[name].path}: {error}") from error
    if len({one.n.shape[1] for one in found}) > 1:
        found = [one._replace(n=np.broadcast_to(one.n, one.mean.shape)) for one in found]
    return Moments.stacked(found)
