"""The command line `cookbook`: the commands of the old guide, for today.

Puts together what is in `commands/`, and tells what went wrong in a sentence.

    cookbook prepare-data -f tickets.csv
    cookbook fine-tunes create -t tickets_prepared.jsonl
"""

import sys

import typer

from helpers.commands import completions, fine_tunes, local_server
from helpers.commands.prepare_data import prepare_data
from helpers.errors import CookbookError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown",
    # The old command line wrote --n_epochs where today's writes --n-epochs: both are understood.
    context_settings={"token_normalize_func": lambda token: token.replace("_", "-")},
    help="Fine-tune small language models, on your own machine or at a hosted provider.\n\nThree steps: `prepare-data` makes a "
         "training file of a table, `fine-tunes create` trains on it, `completions create` asks the result.")
app.command("prepare-data")(prepare_data)
app.add_typer(fine_tunes.app, name="fine-tunes")
app.add_typer(completions.app, name="completions")
for command in (local_server.serve, local_server.keys, local_server.status, local_server.stop):
    app.command()(command)


def main() -> None:
    """The entry point. What people can put right is told in a sentence, with exit status 1; a bug shows its traceback."""
    try:
        app()
    except CookbookError as error:
        fail(error)
    except Exception as error:
        # The client's errors, if it was imported at all: importing it for this line would take half a second.
        if "openai" not in sys.modules or not isinstance(error, sys.modules["openai"].APIError):
            raise
        fail(error)


def fail(error: Exception) -> None:
    print(f"Error: {error}", file=sys.stderr)
    raise SystemExit(1)
