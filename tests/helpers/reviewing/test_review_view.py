"""The review in JupyterLab, driven by its Python side: buttons are clicked, texts typed."""

import json
import re

import pytest

from helpers import review
from helpers.reviewing import sheet as sheet_module

from .made import CHAT, PREFERENCE, decided, pair, rows_of, write

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def sheet(tickets):
    return review(tickets, n=3, order="file")


@pytest.fixture
def view(sheet):
    return sheet.view


def typed(view, **values):
    """Open the editor and type into its areas."""
    view.edit.click()
    for name, value in values.items():
        view.areas[name].value = value


def test_where_somebody_looks_the_sheet_is_a_widget_with_its_text_elsewhere_text_alone(sheet, monkeypatch):
    assert sheet._repr_mimebundle_() == {"text/plain": repr(sheet)} and "view" not in vars(sheet)
    monkeypatch.setattr(sheet_module, "has_front_end", lambda: True)
    shown = sheet._repr_mimebundle_()
    assert shown["text/plain"] == repr(sheet) and shown[WIDGET]["model_id"] == sheet.view.box.model_id
    assert sheet._repr_mimebundle_()[WIDGET] == shown[WIDGET], "shown twice, it is one widget"


def test_one_row_is_shown_with_its_position_line_tokens_and_markers(view):
    assert view.heading.value == "<b>1 of 3</b>: line 1, about 11 tokens (1 % of 2,048), not decided"
    assert "Where is parcel 1?<span" in view.row.value and ">↵↵###↵↵</span>" in view.row.value and ">·END</span>" in view.row.value
    assert view.tally.value == "Decided so far: nothing."


def test_every_button_has_a_word_on_it(view):
    names = [button.description for button in (view.previous, view.next, view.keep, view.drop, view.flag, view.edit, view.undo,
                                               view.save, view.cancel)]
    assert names == ["Previous", "Next", "Keep", "Drop", "Flag", "Edit", "Undo", "Save", "Cancel"]


def test_previous_and_next_go_from_the_first_row_to_the_last(view):
    assert view.previous.disabled and not view.next.disabled
    view.next.click(), view.next.click()
    assert "<b>3 of 3</b>: line 3," in view.heading.value and view.next.disabled and not view.previous.disabled
    view.next.click()
    assert "<b>3 of 3</b>" in view.heading.value
    view.previous.click()
    assert "<b>2 of 3</b>: line 2," in view.heading.value


def test_keep_drop_and_flag_decide_and_show_the_next_row(sheet, view):
    view.keep.click()
    assert "<b>2 of 3</b>" in view.heading.value and view.note.value == "Line 1 kept."
    view.why.value = " rude "
    view.drop.click()
    assert view.why.value == "", "a reason is of one row"
    view.why.value = "ask Ann"
    view.flag.click()
    assert decided(sheet) == [(1, "keep", ""), (2, "drop", "rude"), (3, "flag", "ask Ann")]
    assert "<b>3 of 3</b>" in view.heading.value and "flagged: ask Ann" in view.heading.value
    assert view.tally.value == "Decided so far: 1 kept, 1 dropped, 1 flagged."


def test_undo_takes_back_the_last_decision_and_shows_its_row(sheet, view):
    assert view.undo.disabled
    view.keep.click(), view.drop.click()
    view.undo.click()
    assert decided(sheet) == [(1, "keep", "")] and "<b>2 of 3</b>: line 2," in view.heading.value
    assert view.note.value == "Taken back: line 2 dropped. It is not decided now."
    view.undo.click()
    assert "<b>1 of 3</b>" in view.heading.value and view.undo.disabled


def test_undo_of_a_row_that_is_not_in_the_sample_stays_where_it_is(sheet, view):
    sheet.drop(17)
    view.next.click()
    view.undo.click()
    assert decided(sheet) == [] and "<b>2 of 3</b>" in view.heading.value and "line 17 dropped" in view.note.value


def test_what_is_decided_in_a_cell_is_seen_in_the_widget(sheet, view):
    sheet.drop(1, why="rude")
    assert "dropped: rude" in view.heading.value and "1 dropped" in view.tally.value and not view.undo.disabled


def test_an_edit_has_an_area_for_each_field_and_is_saved(sheet, view, log):
    typed(view, completion=" refund END")
    assert list(view.areas) == [area.description for area in view.areas.values()] == ["prompt", "completion"]
    assert view.editor.children[-1].children == (view.save, view.cancel)
    view.save.click()
    assert view.note.value == "Line 1 edited (completion)." and view.editor.children == ()
    assert "·refund<span" in view.row.value and "edited" in view.heading.value
    assert rows_of(log)[0]["changes"] == {"completion": {"before": " team 1 END", "after": " refund END"}}


def test_a_cancelled_or_unchanged_edit_leaves_no_trace(view, log):
    typed(view, completion="x")
    view.cancel.click()
    assert view.editor.children == () and "·team 1<span" in view.row.value
    typed(view)
    view.save.click()
    assert view.note.value == "Line 1: nothing was changed." and not log.exists()


@pytest.mark.parametrize("button", ["previous", "next", "keep", "drop", "flag", "undo", "edit"])
def test_what_is_being_typed_is_not_lost_by_another_button(sheet, view, button):
    view.next.click()
    sheet.keep(17)
    typed(view, prompt="Something else")
    getattr(view, button).click()
    assert "save or cancel that first" in view.note.value and view.areas["prompt"].value == "Something else"
    assert "<b>2 of 3</b>" in view.heading.value and decided(sheet) == [(17, "keep", "")]


def test_an_open_edit_without_a_change_goes_away_with_the_row(sheet, view):
    typed(view)
    view.keep.click()
    assert view.editor.children == () and decided(sheet) == [(1, "keep", "")]


def test_an_edit_that_met_another_one_is_not_saved_over_it(sheet, view):
    typed(view, completion=" mine END")
    sheet.edit(1, completion=" theirs END")
    assert view.areas["completion"].value == " mine END"
    view.save.click()
    assert "edited elsewhere meanwhile" in view.note.value and "·theirs" in sheet.show(1)
    view.cancel.click()
    typed(view, completion=" mine END")
    view.save.click()
    assert "·mine" in sheet.show(1)


def test_errors_are_shown_and_what_was_typed_stays(sheet, view):
    typed(view, completion="")
    view.save.click()
    assert "completion is empty" in view.note.value and view.areas["completion"].value == ""
    view.cancel.click()
    sheet.drop(1)
    typed(view, completion="x")
    view.save.click()
    assert "bring it back first" in view.note.value


def test_a_file_that_changed_is_told_in_the_note(tickets, view):
    write(tickets, [pair(99)])
    view.keep.click()
    assert "open it again" in view.note.value and "<b>1 of 3</b>" in view.heading.value


def test_the_messages_of_a_chat_are_edited_one_by_one(path):
    sheet = review(write(path, [CHAT]))
    typed(sheet.view, **{"messages 6, assistant": "At your door."})
    sheet.view.save.click()
    assert sheet.decisions["field"].tolist() == ["messages"] and "At your door." in sheet.view.row.value
    assert sheet.standing().row(1)["messages"][5] == {"role": "assistant", "content": "At your door.", "weight": 1}
    typed(sheet.view, **{"messages 4, assistant": "no JSON"})
    sheet.view.save.click()
    assert "messages 4, assistant is no JSON" in sheet.view.note.value


def test_the_answers_of_a_preference_are_edited(path):
    sheet = review(write(path, [PREFERENCE]))
    typed(sheet.view, **{"preferred_output 1, assistant": "Hello."})
    sheet.view.save.click()
    assert sheet.standing().row(1) == PREFERENCE | {"preferred_output": [{"role": "assistant", "content": "Hello."}]}


NASTY = "<script>alert(1)</script>&amp;<b onclick='x'>"


def test_html_in_rows_reasons_names_and_errors_is_text(path):
    rows = [pair(1, prompt=NASTY, **{"<i>": NASTY}), {"messages": [{"role": "<i>", "content": NASTY}]},
            {"messages": [{"role": "user", "content": NASTY, "name": "<i>"}, {"role": "assistant", "content": NASTY}]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sheet = review(path, order="file")
    sheet.flag(1, why=NASTY)
    view, seen = sheet.view, ""
    for _ in rows:
        seen += view.heading.value + view.row.value + view.tally.value
        view.why.value = NASTY
        view.flag.click()
        seen += view.note.value
    assert set(re.findall(r"<(\w+)", seen)) == {"div", "b", "span"} and "onclick=&#x27;" in seen
    assert set(re.findall(r"<b[^>]*>", seen)) == {"<b>"}


def test_no_colour_is_fixed_so_that_both_themes_can_be_read(view):
    shown = view.heading.value + view.row.value + view.tally.value
    colours = re.findall(r"(?:color|background|border(?:-left)?): ([^;\"]+)", shown)
    assert colours and all("var(--jp-" in colour for colour in colours)
    assert not re.search(r"#[0-9a-fA-F]{3,6}\b|rgb", re.sub(r">[^<]*<", "><", shown))
