"""What every manifest says of the program that wrote it."""

import platform
from importlib.metadata import version

import pathfuse

LIBRARIES = ("numpy", "scipy", "scikit-learn", "polars")
"""Those whose version can move a figure."""


def software(*further: str) -> dict[str, str | dict[str, str]]:
    """Versions of pathfuse, of Python and of the libraries that compute.

    Args:
        further: Libraries beyond numpy, scipy, scikit-learn and polars.
    """
    libraries = {name: version(name) for name in (*LIBRARIES, *further)}
    return {
        "pathfuse": pathfuse.__version__,
        "python": platform.python_version(),
        "libraries": libraries,
    }
