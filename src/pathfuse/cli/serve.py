"""``pathfuse serve``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pathfuse.errors import InputError

NEEDED = ("fastapi", "uvicorn", "prometheus_client")
"""Of the extra; the workers need them all."""


def serve(
    model: Annotated[Path, Parameter(help="Model folder that fuse wrote (DIR/model, or DIR).")],
    *,
    host: Annotated[
        str, Parameter(help="Address to listen at; others than this machine's own need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen at; 0: any that is free.")] = 8000,
    workers: Annotated[
        int, Parameter(help="Processes; one that dies is started again while the others answer.")
    ] = 1,
    token_file: Annotated[
        Path | None,
        Parameter(
            help="File with the token that requests must bring; or the variable PATHFUSE_TOKEN."
        ),
    ] = None,
    name: Annotated[
        str | None, Parameter(help="What the model is called in addresses; default: its folder.")
    ] = None,
    max_body_mb: Annotated[
        float, Parameter(help="Megabytes (2^20 bytes) that the body of a request may have.")
    ] = 16.0,
    max_rows: Annotated[int, Parameter(help="Samples that a request may have.")] = 10_000,
    max_seconds: Annotated[
        float, Parameter(help="Seconds until a body must be there, and then until its answer is.")
    ] = 30.0,
) -> None:
    """Answer requests over HTTP with a saved model (extra 'serve')."""
    import os
    import sys
    from importlib.util import find_spec

    missing = next((name for name in NEEDED if find_spec(name) is None), None)
    if missing is not None:
        raise InputError(f"pathfuse serve needs {missing}: pip install 'pathfuse[serve]'")
    from pathfuse.files.digests import files_digest
    from pathfuse.serving.run import serve as run
    from pathfuse.serving.settings import (
        Limits,
        Settings,
        check_address,
        digest_of_token,
        name_of,
        read_token,
    )
    from pathfuse.workflows.model_file import load, model_files

    token = read_token(token_file, os.environ)
    check_address(host, port, token)
    limits = Limits(int(max_body_mb * (1 << 20)), max_rows, max_seconds)
    limits.check()
    fusion = load(model)
    files = model_files(model)
    settings = Settings(
        name_of(model, name),
        files_digest(files)[:12],
        limits,
        None if token is None else digest_of_token(token),
    )

    def announce(address: str) -> None:
        sys.stdout.write(
            f"Serving {model} as '{settings.name}' at {address} ({fusion.endpoint.in_words}, "
            f"{len(fusion.experts)} experts); stop with Ctrl-C\n"
        )
        sys.stdout.flush()

    run(files, settings, host=host, port=port, workers=workers, announce=announce)
