"""The command line `cookbook`: the local API's process, and fine-tuning jobs.

Thin over `server.py` and `jobs.py`; knows arguments and how to print.

    cookbook serve --engine mock --port 8000
    cookbook fine-tunes follow ftjob-...
"""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import openai
import typer

from helpers import server
from helpers.client import connect
from helpers.errors import CookbookError
from helpers.jobs import cancel as cancel_job
from helpers.jobs import follow as follow_job

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Fine-tune small language models, on your own machine or at a hosted provider.")
fine_tunes = typer.Typer(no_args_is_help=True, help="Look after fine-tuning jobs.")
app.add_typer(fine_tunes, name="fine-tunes")

JobId = Annotated[str, typer.Argument(help="The job's id, such as ftjob-abc123.", metavar="JOB")]


@app.command()
def serve(
    engine: Annotated[str | None, typer.Option(help="lora trains a real model; mock answers at once without one. "
                                                    "Left out: lora where it is installed.")] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on. Other machines reach only what listens elsewhere "
                                           "than 127.0.0.1, and then LOCAL_API_KEY must be set.")] = "127.0.0.1",
    data_dir: Annotated[Path | None, typer.Option(help="Where files, jobs and models are kept.")] = None,
) -> None:
    """Run the local API here, until Ctrl-C. Notebooks on the same data folder use it."""
    options = ["--port", str(port), "--host", host, *(["--engine", engine] if engine else [])]
    command = server.server_command((data_dir or server.data_dir()).resolve(), *options)
    os.chdir(server.PACKAGES)  # where Python finds `local_api` even if nothing was installed
    # In our place, not below us: signals and the exit status are the server's own.
    os.execv(command[0], command)


@app.command()
def status() -> None:
    """Say whether the local API runs. Exit status 1 if it does not."""
    found = server.server_status()
    if found is None:
        print(f"The local API does not run on {server.data_dir()}. Start it with: cookbook serve")
        raise typer.Exit(1)
    waiting = f"{found.queue_length} job{'' if found.queue_length == 1 else 's'} in the queue"
    print(f"Local API {found.version} at {found.url} (process {found.pid}): engine {found.engine}, "
          f"base model {found.base_model}, {waiting}, data in {found.data_dir}")


@app.command()
def stop() -> None:
    """Stop the local API. A job that is running goes on from its last checkpoint at the next start."""
    print("Stopped." if server.stop_server() else f"The local API does not run on {server.data_dir()}.")


@fine_tunes.command("list")
def list_jobs(limit: Annotated[int, typer.Option(help="How many, the newest first.")] = 20) -> None:
    """List fine-tuning jobs."""
    page = connect(announce=False).fine_tuning.jobs.list(limit=limit)
    for job in page.data:
        created = datetime.fromtimestamp(job.created_at).isoformat(sep=" ", timespec="minutes")
        print(f"{job.id}  {created}  {job.status:<16}  {job.fine_tuned_model or job.model}")
    if not page.data:
        print("There are no fine-tuning jobs yet.")


@fine_tunes.command("get")
def get_job(job_id: JobId) -> None:
    """Print a job as the API describes it, in JSON."""
    print(connect(announce=False).fine_tuning.jobs.retrieve(job_id).model_dump_json(indent=2))


@fine_tunes.command()
def follow(job_id: JobId) -> None:
    """Show a job from its beginning until it ends. Ctrl-C leaves it running."""
    client = connect(announce=False)
    try:
        job = follow_job(client, job_id)
    except KeyboardInterrupt:
        print(f"The job goes on. See it again: cookbook fine-tunes follow {job_id}\n"
              f"Stop it: cookbook fine-tunes cancel {job_id}")
        raise typer.Exit(130) from None
    print(f"Model: {job.fine_tuned_model}" if job.fine_tuned_model else f"{job.id}: {job.status}")


@fine_tunes.command()
def cancel(job_id: JobId) -> None:
    """Stop a job."""
    print(f"{job_id}: {cancel_job(connect(announce=False), job_id).status}")


def main() -> None:
    """The entry point. What people can put right is told in a sentence, with exit status 1; a bug shows its traceback."""
    try:
        app()
    except (CookbookError, openai.APIError) as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
