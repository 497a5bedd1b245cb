"""What can go wrong in the helpers: one tree, whose members are also the standard library's types.

Knows nothing of the modules that raise. Catch `CookbookError` for all of them, or the built-in type.

    try: rows = PromptFormat().rows(frame, text="text", answer="department")
    except ValueError as error: print(error)  # row 7: the answer contains the stop sequence '\\n': ...
"""

from pathlib import Path


class CookbookError(Exception):
    """The message names the field, line or file, what was met, and what to do."""


class FormatError(CookbookError, ValueError):
    """Data that cannot become a training file. `line` counts in the file, `row` in the table; both from 1."""

    def __init__(self, message: str, *, path: Path | None = None, line: int | None = None, row: int | None = None,
                 field: str | None = None) -> None:
        self.path, self.line, self.row, self.field = path, line, row, field
        place = str(path) if path else ""
        if line is not None:
            place += f", line {line}" if place else f"line {line}"
        elif row is not None:
            place += f", row {row}" if place else f"row {row}"
        super().__init__(f"{place}: {message}" if place else message)


class FileError(CookbookError, OSError):
    """A file that cannot be read or written."""


class ServerError(CookbookError, ConnectionError):
    """The local API could not be reached, started or stopped."""


class JobFailed(CookbookError, RuntimeError):
    """A fine-tuning job ended in failure. `code`, `message` and `param` are the API's own."""

    def __init__(self, job_id: str, code: str | None, message: str, param: str | None) -> None:
        self.job_id, self.code, self.message, self.param = job_id, code, message, param
        where = f" ({param})" if param else ""
        super().__init__(f"{job_id} failed: {code or 'no code'}{where}: {message}")


class BatchFailed(CookbookError, RuntimeError):
    """Some requests failed after all retries: `errors` by the prompts' indices, `answers` with None in their places."""

    def __init__(self, errors: dict[int, Exception], answers: list[object], kept: str) -> None:
        self.errors, self.answers = errors, answers
        index, first = next(iter(errors.items()))
        super().__init__(f"{len(errors)} of {len(answers)} requests failed, the first of them prompt {index} "
                         f"({type(first).__name__}: {first}). {kept}")
