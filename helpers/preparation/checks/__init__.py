"""The checks, in the order in which they are made and their fixes applied: rows that go come first, statistics last.

Each looks at a table and gives one finding or none.
"""

from collections.abc import Callable

from helpers.preparation.checks import form, labels, lengths, repeats, rows, text, turns
from helpers.preparation.findings import Finding
from helpers.preparation.look import Look

Check = Callable[[Look], Finding | None]

# Those of the old tool, in tokens and lines of today.
CHECKS: tuple[Check, ...] = (
    rows.unreadable, rows.repairs, rows.left_out, rows.extra_fields, rows.message_errors, rows.missing_values, rows.values,
    text.control_characters, rows.no_answer, lengths.overlong, form.beginning("prompt"), form.beginning("completion"),
    repeats.duplicates, turns.same_answers, rows.no_question, form.capitals("prompt"), form.capitals("completion"),
    labels.label_spelling, form.separator, form.completion_start, form.stop_sequence, labels.conflicts, turns.turn_order,
    labels.class_balance, labels.example_count)
# Those that read every word.
THOROUGH: tuple[Check, ...] = (
    lengths.nearly_overlong, repeats.near_duplicates, text.damaged_text, text.special_tokens, text.private_data)
