"""An error as a sentence for a person: the API's own words where it sent some, and what to do.

Knows the client's errors and ours. Knows nothing of the screen.

    except openai.APIError as error: note = in_words(error)
"""

import openai

from helpers.errors import CookbookError


def in_words(error: Exception) -> str:
    """One sentence or two, never a traceback."""
    if isinstance(error, CookbookError):
        said = str(error)[:1].upper() + str(error)[1:]
    elif isinstance(error, openai.APITimeoutError):
        said = "The API took too long to answer. It may be busy: try again, or give the client a longer timeout"
    elif isinstance(error, openai.APIConnectionError):
        said = (f"The API at {error.request.url.host} does not answer. If the local API was stopped, client = connect() starts "
                "it again; then run this cell once more")
    elif isinstance(error, openai.APIError):
        body = error.body if isinstance(error.body, dict) else {}
        said = body.get("message") or error.message
    else:
        said = f"The answer broke off ({type(error).__name__}: {error}): try again"
    return said if said.rstrip().endswith((".", "!", "?")) else f"{said}."
