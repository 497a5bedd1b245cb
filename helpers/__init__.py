"""What the notebooks import: the plumbing around the official client, so that the cells can show the lesson.

Knows nothing of how the local API works inside, and takes no PyTorch. Names are imported when they are first used, so
that `import helpers` costs nothing.

    from helpers import PromptFormat, connect, follow, results, training_curve, upload
"""

import importlib
from typing import Any

_HOMES = {
    "client": ["base_model", "connect", "is_local"],
    "server": ["server_status", "stop_server"],
    "errors": ["BatchFailed", "CookbookError", "FileError", "FormatError", "JobFailed", "ServerError"],
    "formatting": ["ChatFormat", "PromptFormat", "to_chat", "to_prompt_completion"],
    "tables": ["read_table"],
    "datasets": ["dataset"],
    "jsonl": ["read_jsonl", "write_jsonl"],
    "reviewing": ["review"],
    "splits": ["split"],
    "tokens": ["count_messages", "count_row", "count_tokens", "encoding_name", "estimate"],
    "jobs": ["cancel", "events", "follow", "upload", "wait"],
    "result_files": ["COLUMNS", "read_results", "results"],
    "batch": ["chat_many", "complete_many"],
    "widgets.board": ["job_monitor"],
    "widgets.playground": ["playground"],
    "metrics": ["bootstrap_interval", "calibration_table", "class_scores", "classification_scores",
                "expected_calibration_error"],
    "plots": ["calibration", "compare_runs", "confusion", "learning_curve", "plot_lengths", "precision_recall", "roc",
              "small_multiples", "training_curve"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'helpers' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"helpers.{_HOME[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return __all__
