"""Training rows to review."""

import json

TOOL = {"type": "function", "function": {"name": "find_order", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "find_order", "arguments": '{"id": 7}'}}
CHAT = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?\nPlease."},
                     {"role": "assistant", "content": "One moment.", "weight": 0},
                     {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "call_1", "content": "van"},
                     {"role": "assistant", "content": "In the van.", "weight": 1}], "tools": [TOOL]}
PREFERENCE = {"input": {"messages": [{"role": "user", "content": "Hello?"}]},
              "preferred_output": [{"role": "assistant", "content": "Good morning."}],
              "non_preferred_output": [{"role": "assistant", "content": "What."}]}


def pair(number, **fields):
    """A prompt-completion row with its markers."""
    return {"prompt": f"Where is parcel {number}?\n\n###\n\n", "completion": f" team {number} END", **fields}


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def decided(sheet):
    """The decisions that count."""
    return list(sheet.decisions[["line", "decision", "why"]].itertuples(index=False, name=None))
