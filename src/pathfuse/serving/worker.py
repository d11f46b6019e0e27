"""How a worker begins. This file imports next to nothing: uvicorn's supervisor takes a worker for
hung that does not answer it within seconds, and it cannot answer before this file is there.
"""

import multiprocessing
import os
import signal
from pathlib import Path
from threading import Thread
from typing import Any

from pathfuse.serving.settings import Settings


def application(folder: Path, settings: Settings) -> Any:
    """The application that answers for a model.

    Args:
        folder: The model's.
        settings: Limits, token, and what the model is called.
    """
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        Thread(target=_end_after, args=(supervisor,), daemon=True).start()
    from pathfuse.serving.app import create_app
    from pathfuse.workflows.model_file import load

    return create_app(load(folder), settings)


def _end_after(supervisor: Any) -> None:
    """Stops this worker when its supervisor was killed: nobody else would."""
    supervisor.join()
    os.kill(os.getpid(), signal.SIGTERM)
