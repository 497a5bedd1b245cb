"""`cookbook fine-tunes`: create jobs, follow them, look after them and their models.

Knows the flags of the old command line and today's API. How a job is shown is in `widgets/`.

    cookbook fine-tunes create -t tickets_prepared_train.jsonl -v tickets_prepared_valid.jsonl --suffix tickets
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import openai

app = typer.Typer(no_args_is_help=True, help="Create fine-tuning jobs and look after them.")

Job = Annotated[str | None, typer.Argument(help="The job's id, such as ftjob-abc123.", metavar="JOB", show_default=False)]
JobOption = Annotated[str | None, typer.Option("-i", "--id", help="The same, as the old command line wanted it.")]
HOW, WHAT, METRICS = "How it learns", "What it learns from", "What is measured at the end"
RECONNECT_ATTEMPTS = 8  # with waits that double, about two minutes


class Method(StrEnum):
    SUPERVISED = "supervised"
    DPO = "dpo"


def client() -> "openai.OpenAI":
    # Only here: what prepares data needs no client, whose import takes half a second.
    from helpers.client import connect

    return connect(announce=False)


@app.command()
def create(
    training_file: Annotated[str, typer.Option("-t", "--training-file", help="A JSONL file, or the id of one uploaded before "
                                               "(file-...).", rich_help_panel=WHAT)],
    validation_file: Annotated[str | None, typer.Option("-v", "--validation-file", help="The same, to validate on.",
                                                        rich_help_panel=WHAT)] = None,
    model: Annotated[str | None, typer.Option("-m", "--model", help="The base model, or a fine-tuned model to continue from. "
                                              "Left out: the base model of the API.", rich_help_panel=WHAT)] = None,
    suffix: Annotated[str | None, typer.Option(help="A part of the new model's name, so that you know it again.")] = None,
    n_epochs: Annotated[int | None, typer.Option(min=1, max=50, help="Passes over the training file.",
                                                 rich_help_panel=HOW)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, max=256, help="Examples of a step.", rich_help_panel=HOW)] = None,
    learning_rate_multiplier: Annotated[float | None, typer.Option(help="How far each step goes: 0.02 to 0.2 is worth trying.",
                                                                   rich_help_panel=HOW)] = None,
    method: Annotated[Method, typer.Option(help="supervised, or dpo for preference rows.",
                                           rich_help_panel=HOW)] = Method.SUPERVISED,
    seed: Annotated[int | None, typer.Option(help="The same seed and file, the same training.", rich_help_panel=HOW)] = None,
    prompt_loss_weight: Annotated[float | None, typer.Option(help="Of the old API: today's has none.",
                                                             rich_help_panel=HOW)] = None,
    compute_classification_metrics: Annotated[bool, typer.Option(
        "--compute-classification-metrics", help="When the job is done, classify the validation file and print how good the "
        "answers are.", rich_help_panel=METRICS)] = False,
    classification_n_classes: Annotated[int | None, typer.Option(help="How many classes there must be.",
                                                                 rich_help_panel=METRICS)] = None,
    classification_positive_class: Annotated[str | None, typer.Option(
        help="The class whose precision and recall are printed.", rich_help_panel=METRICS)] = None,
    classification_betas: Annotated[list[float] | None, typer.Option(
        help="Print F-beta of the positive class for this beta, too. May be given several times.",
        rich_help_panel=METRICS)] = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="Do not wait for the job: print its id alone.")] = False,
) -> None:
    """Create a fine-tuning job, and follow it until it ends.

    Files are uploaded first. Interrupt with Ctrl-C whenever you like: the job goes on.
    """
    from helpers.commands.classify import Measure, print_metrics

    if prompt_loss_weight is not None:
        raise typer.BadParameter("today's API has no such parameter: leave it out", param_hint="--prompt-loss-weight")
    measure = Measure(classification_n_classes, classification_positive_class, tuple(classification_betas or ()))
    if compute_classification_metrics:
        examples = measure.examples(validation_file, no_follow=no_follow)
    api = client()
    hyperparameters = {name: value for name, value in (("n_epochs", n_epochs), ("batch_size", batch_size), (
        "learning_rate_multiplier", learning_rate_multiplier)) if value is not None}
    job = _create(api, training_file, validation_file, model=model, suffix=suffix, seed=seed, method=method.value,
                  hyperparameters=hyperparameters)
    if no_follow:
        print(job)
        return
    print(f"Created fine-tuning job: {job}", file=sys.stderr)
    finished = _follow(api, job)
    if compute_classification_metrics and finished:
        print_metrics(api, finished, examples, measure)


def _create(api: "openai.OpenAI", training: str, validation: str | None, *, model: str | None, method: str,
            hyperparameters: dict[str, float], **optional: object) -> str:
    from helpers.client import base_model

    given = {name: value for name, value in optional.items() if value is not None}
    if validation is not None:
        given["validation_file"] = _file(api, validation)
    return api.fine_tuning.jobs.create(
        model=model or base_model(api), training_file=_file(api, training),
        method={"type": method, method: {"hyperparameters": hyperparameters}}, **given).id


def _file(api: "openai.OpenAI", name: str) -> str:
    """The id of a file: of one on disk, after its upload."""
    from helpers.jobs import upload

    if name.startswith("file-") and not Path(name).exists():
        return name
    if not Path(name).is_file():
        raise typer.BadParameter(f"there is no file {name}: give a JSONL file, or the id of an uploaded one (file-...)")
    uploaded = upload(api, Path(name))
    print(f"Uploaded file from {name}: {uploaded.id}", file=sys.stderr)
    return uploaded.id


@app.command()
def follow(job: Job = None, job_option: JobOption = None) -> None:
    """Show a job from its beginning until it ends.

    A connection that breaks off is taken up again where it broke: no event is lost, none is told twice. Ctrl-C leaves the
    job running.
    """
    _follow(client(), _one(job, job_option, "JOB"))


def _follow(api: "openai.OpenAI", job_id: str) -> str | None:
    """The fine-tuned model, if the job ends with one."""
    from helpers.jobs import follow as follow_job

    try:
        job = follow_job(api, job_id, reconnect=_reconnect)
    except KeyboardInterrupt:
        print(f"\nThe job goes on. See it again: cookbook fine-tunes follow {job_id}\n"
              f"Stop it: cookbook fine-tunes cancel {job_id}", file=sys.stderr)
        raise typer.Exit(130) from None
    print(f"Model: {job.fine_tuned_model}" if job.fine_tuned_model else f"{job.id}: {job.status}")
    if job.fine_tuned_model:
        print(f"Try it: cookbook completions create -m {job.fine_tuned_model} -p YOUR_PROMPT", file=sys.stderr)
    return job.fine_tuned_model


def _reconnect(failures: int) -> "openai.OpenAI | None":
    """A new client after a connection broke off; None when it is not worth trying any more."""
    import time

    if failures > RECONNECT_ATTEMPTS:
        return None
    if failures == 1:
        print("The connection broke off; taking it up again ...", file=sys.stderr)
    time.sleep(min(2 ** (failures - 1), 60) / 2)
    return client()


@app.command("list")
def list_jobs(limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20) -> None:
    """List fine-tuning jobs."""
    from datetime import datetime

    page = client().fine_tuning.jobs.list(limit=limit)
    for job in page.data:
        created = datetime.fromtimestamp(job.created_at).isoformat(sep=" ", timespec="minutes")
        print(f"{job.id}  {created}  {job.status:<16}  {job.fine_tuned_model or job.model}")
    if not page.data:
        print("There are no fine-tuning jobs yet.")


@app.command("get")
def get_job(job: Job = None, job_option: JobOption = None) -> None:
    """Print a job as the API describes it, in JSON."""
    print(client().fine_tuning.jobs.retrieve(_one(job, job_option, "JOB")).model_dump_json(indent=2))


@app.command()
def cancel(job: Job = None, job_option: JobOption = None) -> None:
    """Stop a job."""
    from helpers.jobs import cancel as cancel_job

    job_id = _one(job, job_option, "JOB")
    print(f"{job_id}: {cancel_job(client(), job_id).status}")


@app.command()
def results(job: Job = None, job_option: JobOption = None) -> None:
    """Print the results of a job as CSV, a row for each step.

    Keep them with: cookbook fine-tunes results JOB > results.csv
    """
    from helpers.result_files import results as read

    read(client(), _one(job, job_option, "JOB")).to_csv(sys.stdout, index=False)


@app.command()
def delete(
    model: Annotated[str | None, typer.Argument(help="The fine-tuned model, or the job that made it.", metavar="MODEL",
                                                show_default=False)] = None,
    model_option: JobOption = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a fine-tuned model, for ever."""
    name, api = _one(model, model_option, "MODEL"), client()
    if name.startswith("ftjob-"):
        made = api.fine_tuning.jobs.retrieve(name).fine_tuned_model
        if made is None:
            raise typer.BadParameter(f"{name} has made no model")
        name = made
    if not yes:
        typer.confirm(f"Delete the model {name} for ever?", abort=True)
    print(f"{name}: {'deleted' if api.models.delete(name).deleted else 'not deleted'}")


def _one(argument: str | None, option: str | None, name: str) -> str:
    if (argument or option) is None or (argument and option):
        raise typer.BadParameter(f"give {name} once", param_hint=name)
    return argument or option or ""
