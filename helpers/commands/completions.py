"""`cookbook completions create`: ask a model from the terminal.

Knows the flags of the old command line.

    cookbook completions create -m ft:... -e -p 'Where is it?\\n\\n###\\n\\n' --stop '\\n'
"""

import codecs
import re
import sys
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Ask a model.")
ESCAPES = re.compile(r"\\(?:[ntr\\\"']|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")


@app.command()
def create(
    prompt: Annotated[str, typer.Option("-p", "--prompt", help="The prompt. - reads it from standard input.")],
    model: Annotated[str | None, typer.Option("-m", "--model", help="The model. Left out: the base model of the API.")] = None,
    escapes: Annotated[bool, typer.Option("-e", "--escapes", help=r"Take \n in the prompt for a line feed, as in a "
                                          "separator.")] = False,
    max_tokens: Annotated[int | None, typer.Option("-M", "--max-tokens", min=1, help="The longest answer, in tokens.")] = None,
    temperature: Annotated[float | None, typer.Option("-t", "--temperature", min=0, max=2,
                                                      help="0: always the likeliest token.")] = None,
    top_p: Annotated[float | None, typer.Option("-P", "--top-p", min=0, max=1,
                                                help="Choose among the tokens that make up this share.")] = None,
    n: Annotated[int | None, typer.Option("-n", "--n", min=1, help="How many answers.")] = None,
    logprobs: Annotated[int | None, typer.Option(min=0, help="Show the logprobs of so many tokens at each place.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help=r"Where the answer ends. \n is a line feed. Up to four times.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print the answer as it comes.")] = False,
    seed: Annotated[int | None, typer.Option(help="The same seed, the same answer.")] = None,
) -> None:
    """Print what a model says to a prompt."""
    from helpers.client import base_model, connect

    text = sys.stdin.read() if prompt == "-" else prompt
    options: dict[str, Any] = {
        "max_tokens": max_tokens, "temperature": temperature, "top_p": top_p, "n": n, "logprobs": logprobs, "seed": seed,
        "stop": [unescaped(one) for one in stop] if stop else None}
    api = connect(announce=False)
    request = {"model": model or base_model(api), "prompt": unescaped(text) if escapes else text,
               **{name: value for name, value in options.items() if value is not None}}
    if stream:
        for chunk in api.completions.create(**request, stream=True):
            print("".join(choice.text for choice in chunk.choices), end="", flush=True)
        print()
        return
    answer = api.completions.create(**request)
    for choice in answer.choices:
        if len(answer.choices) > 1:
            print(f"--- {choice.index + 1}")
        print(choice.text)
        if choice.logprobs is not None:
            _show_logprobs(choice.logprobs)


def _show_logprobs(logprobs: Any) -> None:
    for place, token in enumerate(logprobs.tokens or ()):
        others = (logprobs.top_logprobs or [])[place : place + 1]
        shown = ", ".join(f"{other!r} {value:.2f}" for other, value in (others[0] or {}).items()) if others else ""
        print(f"  {token!r} {logprobs.token_logprobs[place]:.2f}" + (f"   ({shown})" if shown else ""), file=sys.stderr)


def unescaped(text: str) -> str:
    r"""The text with \n, \t, \" and the like as what they stand for, and all else as it is."""
    return ESCAPES.sub(lambda match: codecs.decode(match[0], "unicode_escape"), text)
