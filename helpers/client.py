"""The client that every notebook uses: a hosted provider with a key, the local API without one.

Knows how to choose between the two and how to say what was chosen. Knows nothing of how the local API works inside;
`server.py` knows how to find and start it.

    client = connect()
    model = base_model(client)
    client.completions.create(model=model, prompt="...")
"""

import os

import openai

from helpers.errors import ServerError
from helpers.server import api_key, health, start_server

HOSTED_BASE_MODEL = "babbage-002"  # takes prompt-completion rows, as the guide's notebooks do


def connect(*, engine: str | None = None, announce: bool = True) -> openai.OpenAI:
    """A client for the hosted provider if OPENAI_API_KEY or OPENAI_BASE_URL is set, else for the local API.

    The local API is started if it does not run, and goes on running after this process. `engine` ("lora", "mock" or
    "auto") is for the local API alone. `announce` prints one line that says what the client is connected to.
    """
    if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
        client = _hosted()
    else:
        status = start_server(engine=engine)
        client = _client(f"{status.url}/v1", api_key(status.data_dir))
    if announce:
        print(_description(client))
    return client


def is_local(client: openai.OpenAI) -> bool:
    """Whether a local API answers this client, on this machine or on a classroom's."""
    return _facts(client) is not None


def base_model(client: openai.OpenAI) -> str:
    """The model to fine-tune: COOKBOOK_BASE_MODEL if set, else the local API's first, else a hosted base model."""
    if chosen := os.environ.get("COOKBOOK_BASE_MODEL"):
        return chosen
    if not is_local(client):
        return HOSTED_BASE_MODEL
    for model in client.models.list():
        if not model.id.startswith("ft:") and ":ft-" not in model.id:  # today's names and the old API's
            return model.id
    raise ServerError(f"the local API at {client.base_url} lists no base model. Set COOKBOOK_BASE_MODEL to one.")


def _hosted() -> openai.OpenAI:
    address = os.environ.get("OPENAI_BASE_URL")
    key = os.environ.get("OPENAI_API_KEY") or (os.environ.get("LOCAL_API_KEY") if address else None)
    if not key:
        raise ServerError(f"OPENAI_BASE_URL is {address}, but there is no key for it: set OPENAI_API_KEY "
                          "(or unset OPENAI_BASE_URL to use the local API of this machine).")
    # A classroom's server on plain http is treated like our own: no proxy between.
    return _client(address, key) if address and address.startswith("http://") else openai.OpenAI(api_key=key)


def _client(url: str, key: str) -> openai.OpenAI:
    # Without the environment: a machine-wide proxy must not swallow what is meant for this machine or this room.
    return openai.OpenAI(base_url=url, api_key=key, http_client=openai.DefaultHttpxClient(trust_env=False))


def _origin(client: openai.OpenAI) -> str:
    url = client.base_url
    return f"{url.scheme}://{url.netloc.decode()}"


def _facts(client: openai.OpenAI) -> dict | None:
    # The local API speaks plain http; what speaks https is a hosted provider, which has no /health to be asked.
    return health(_origin(client)) if client.base_url.scheme == "http" else None


def _description(client: openai.OpenAI) -> str:
    facts = _facts(client)
    if facts is None:
        return f"Hosted API at {client.base_url.host}: requests leave this machine, use your key and may cost money."
    # Without the port, which changes with each start: saved notebooks should not.
    place = "this machine" if client.base_url.host in ("127.0.0.1", "localhost", "::1") else client.base_url.host
    if facts["engine"] == "mock":
        return (f"Local API on {place} (engine mock: nothing is really trained, answers come from a table of "
                "the training examples): no key, no cost.")
    return (f"Local API on {place} (engine {facts['engine']}, base model {facts['base_model']}): "
            "training and answers happen there, no key, no cost.")
