"""`cookbook serve`, `status` and `stop`: the local API's process.

Thin over `server.py`; knows arguments and how to print.
"""

import os
from pathlib import Path
from typing import Annotated

import typer


def serve(
    engine: Annotated[str | None, typer.Option(help="lora trains a real model; mock answers at once without one. "
                                                    "Left out: lora where it is installed.")] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on. Other machines reach only what listens elsewhere "
                                           "than 127.0.0.1, and then LOCAL_API_KEY must be set.")] = "127.0.0.1",
    data_dir: Annotated[Path | None, typer.Option(help="Where files, jobs and models are kept.")] = None,
) -> None:
    """Run the local API here, until Ctrl-C. Notebooks on the same data folder use it."""
    from helpers import server

    options = ["--port", str(port), "--host", host, *(["--engine", engine] if engine else [])]
    command = server.server_command((data_dir or server.data_dir()).resolve(), *options)
    os.chdir(server.PACKAGES)  # where Python finds `local_api` even if nothing was installed
    # In our place, not below us: signals and the exit status are the server's own.
    os.execv(command[0], command)


def status() -> None:
    """Say whether the local API runs. Exit status 1 if it does not."""
    from helpers import server

    found = server.server_status()
    if found is None:
        print(f"The local API does not run on {server.data_dir()}. Start it with: cookbook serve")
        raise typer.Exit(1)
    waiting = f"{found.queue_length} job{'' if found.queue_length == 1 else 's'} in the queue"
    print(f"Local API {found.version} at {found.url} (process {found.pid}): engine {found.engine}, "
          f"base model {found.base_model}, {waiting}, data in {found.data_dir}")


def stop() -> None:
    """Stop the local API. A job that is running goes on from its last checkpoint at the next start."""
    from helpers import server

    print("Stopped." if server.stop_server() else f"The local API does not run on {server.data_dir()}.")
