"""The review in JupyterLab: one row at a time, with buttons.

Knows the screen and a sheet. Decides nothing, and keeps nothing but the place and what is being typed.

    ReviewWidget(sheet).box
"""

import html
from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets

from helpers.errors import FormatError
from helpers.reviewing.editing import texts, with_texts
from helpers.reviewing.looks import marked_up, parts
from helpers.reviewing.rows import Row

if TYPE_CHECKING:
    from helpers.reviewing.sheet import Sheet

LEGEND = "↵ is a line break, · a space at an edge; the separator and the stop sequence are framed."
# The keyboard can scroll a long row only where it can be reached: tabindex.
ROW = '<div tabindex="0" style="max-height: 50vh; overflow-y: auto">{}</div>'
LONGEST_AREA, CHARACTERS_A_LINE = 12, 80  # lines of a text area; what about fits on one


class ReviewWidget:
    """The box and what is in it. A decision shows the next row; whoever decides elsewhere is seen here, too."""

    def __init__(self, sheet: "Sheet") -> None:
        self.sheet, self.place = sheet, 0
        self.areas: dict[str, ipywidgets.Textarea] = {}  # open while a row is being edited
        self.edited: Row = {}  # the row as it was when they were opened
        self.heading, self.row, self.tally, self.note = (ipywidgets.HTML() for _ in range(4))
        self.why = ipywidgets.Text(description="Why", placeholder="of a drop or a flag; may stay empty",
                                   layout={"width": "420px"}, style={"description_width": "initial"})
        self.previous = self._button("Previous", lambda: self._go(-1))
        self.next = self._button("Next", lambda: self._go(1))
        self.keep = self._button("Keep", lambda: self._decided(self.sheet.keep(self.line)))
        self.drop = self._button("Drop", lambda: self._decided(self.sheet.drop(self.line, why=self.why.value.strip())))
        self.flag = self._button("Flag", lambda: self._decided(self.sheet.flag(self.line, why=self.why.value.strip())))
        self.edit = self._button("Edit", self._open)
        self.undo = self._button("Undo", self._undo)
        self.save = self._button("Save", self._save, while_editing=True)
        self.cancel = self._button("Cancel", self._close, while_editing=True)
        self.editor = ipywidgets.VBox()
        self.box = ipywidgets.VBox([
            self.heading, self.row, ipywidgets.HBox([self.previous, self.next]),
            ipywidgets.HBox([self.keep, self.drop, self.flag, self.edit, self.undo], layout={"flex_flow": "row wrap"}),
            self.why, self.editor, self.note, self.tally, ipywidgets.HTML(f"<small>{html.escape(LEGEND)}</small>")])
        sheet.on_change.append(self.show)
        self.show()

    @property
    def line(self) -> int:
        """The line of the row that is shown."""
        return self.sheet.lines[self.place]

    def show(self) -> None:
        """Draw the row and what was decided anew. What is being typed stays."""
        sheet, standing = self.sheet, self.sheet.standing()
        position = f"{self.place + 1:,} of {len(sheet.lines):,}"
        self.heading.value = f"<b>{position}</b>: {html.escape(sheet.heading(self.line, standing))}"
        self.row.value = ROW.format(marked_up(parts(standing.row(self.line), sheet.file.style)))
        said = [f"Decided so far: {standing.tally()}.", *standing.warnings()]
        self.tally.value = "<br>".join(map(html.escape, said))
        self.previous.disabled, self.next.disabled = self.place == 0, self.place == len(sheet.lines) - 1
        self.undo.disabled = not standing.valid

    def _button(self, name: str, act: Callable[[], None], *, while_editing: bool = False) -> ipywidgets.Button:
        button = ipywidgets.Button(description=name, layout={"width": "auto"})
        button.on_click(lambda _: self._act(act, while_editing))
        return button

    def _act(self, act: Callable[[], None], while_editing: bool) -> None:
        """Do what a button says. A widget's exceptions go to a log that nobody reads: errors are shown in the note."""
        try:
            if not while_editing:
                self._refuse_to_lose_an_edit()
            self._say("")
            act()
        except Exception as error:
            self._say(str(error))

    def _say(self, text: str) -> None:
        self.note.value = html.escape(text)

    def _refuse_to_lose_an_edit(self) -> None:
        typed = {name: area.value for name, area in self.areas.items()}
        if typed != {name: text for name, text in texts(self.edited).items() if name in typed}:
            raise FormatError(f"line {self.line} is being edited: save or cancel that first")
        self._close()

    def _go(self, steps: int) -> None:
        self.place = min(max(self.place + steps, 0), len(self.sheet.lines) - 1)
        self.why.value = ""
        self.show()

    def _decided(self, said: str) -> None:
        self._go(1)
        self._say(said)

    def _undo(self) -> None:
        valid = self.sheet.standing().valid
        said = self.sheet.undo()
        if valid and valid[-1].line in self.sheet.lines:
            self.place = self.sheet.lines.index(valid[-1].line)
        self._go(0)
        self._say(said)

    def _open(self) -> None:
        self.edited = self.sheet.standing().row(self.line)
        # The name is the area's own description, so that a screen reader says it.
        options = {"layout": {"width": "98%"}, "style": {"description_width": "initial"}}
        for name, text in texts(self.edited).items():
            lines = sum(1 + len(line) // CHARACTERS_A_LINE for line in text.split("\n"))
            self.areas[name] = ipywidgets.Textarea(text, description=name, rows=min(lines + 1, LONGEST_AREA), **options)
        self.editor.children = (*self.areas.values(), ipywidgets.HBox([self.save, self.cancel]))

    def _save(self) -> None:
        if not self.areas:
            return
        if self.sheet.standing().row(self.line) != self.edited:
            raise FormatError(f"line {self.line} was edited elsewhere meanwhile: copy your text, cancel, and edit again")
        fields = with_texts(self.edited, {name: area.value for name, area in self.areas.items()})
        said = self.sheet.edit(self.line, **fields) if fields else f"Line {self.line}: nothing was changed."
        self._close()
        self._say(said)

    def _close(self) -> None:
        old, self.areas, self.edited = self.editor.children, {}, {}
        self.editor.children = ()
        for widget in old[:-1]:  # the last one holds the buttons, which are used again
            widget.close()
