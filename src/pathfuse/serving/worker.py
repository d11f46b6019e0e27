"""How a worker begins. This file imports next to nothing: uvicorn's supervisor takes a worker for
hung that does not answer it within seconds, and it cannot answer before this file is there.
"""

from pathlib import Path
from typing import Any

from pathfuse.serving.settings import Settings


def application(folder: Path, settings: Settings) -> Any:
    """The application that answers for a model.

    Args:
        folder: The model's.
        settings: Limits, token, and what the model is called.
    """
    from pathfuse.serving.app import create_app
    from pathfuse.workflows.model import load

    return create_app(load(folder), settings)
