"""`cookbook serve`, `keys`, `status` and `stop`: the local API's process.

Thin over `server.py`; knows arguments and how to print.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def serve(
    engine: Annotated[str | None, typer.Option(help="lora trains a real model; mock answers at once without one. "
                                                    "Left out: lora where it is installed.")] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on. Other machines reach only what listens elsewhere "
                                           "than 127.0.0.1, and then --keys or LOCAL_API_KEY must be given.")] = "127.0.0.1",
    data_dir: Annotated[Path | None, typer.Option(help="Where files, jobs and models are kept.")] = None,
    keys: Annotated[Path | None, typer.Option(help="To share the server: a file of keys, a project for each. "
                                                   "`cookbook keys add NAME` makes it.")] = None,
    faults: Annotated[str | None, typer.Option(help="Make errors on purpose, such as 429=0.1,500=0.1,seed=7.")] = None,
    log: Annotated[str | None, typer.Option(help="json: requests and troubles as lines of JSON.")] = None,
) -> None:
    """Run the local API here, until Ctrl-C. Notebooks on the same data folder use it."""
    from helpers import server

    given = {"--engine": engine, "--keys": keys and str(keys.resolve()), "--faults": faults, "--log": log}
    options = ["--port", str(port), "--host", host, *(part for pair in given.items() if pair[1] for part in pair)]
    become(server.server_command((data_dir or server.data_dir()).resolve(), *options))


def keys(
    action: Annotated[str, typer.Argument(help="add, remove or list.", metavar="add|remove|list")],
    names: Annotated[list[str] | None, typer.Argument(help="Projects: letters, digits, - and _.", metavar="NAME")] = None,
    keys: Annotated[Path, typer.Option(help="The keys file.")] = Path("keys.toml"),
) -> None:
    """Make keys for a server that others use too: `cookbook keys add ann bob` prints a key for each, once."""
    become([sys.executable, "-m", "local_api.keys", action, *(names or []), "--keys", str(keys.resolve())])


def become(command: list[str]) -> None:
    """Run `command` in our place, not below us: signals and the exit status are its own."""
    from helpers import server

    os.chdir(server.PACKAGES)  # where Python finds `local_api` even if nothing was installed
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
