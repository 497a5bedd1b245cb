"""What the tests of the widgets share: a page to show them on, and what was shown there."""

import pytest

from helpers.widgets import board, playground


@pytest.fixture
def displayed(monkeypatch):
    """What IPython was asked to display, and to put in its place later."""
    calls = []

    class Handle:
        def update(self, data, **options):
            calls.append(("update", data))

    def display(data, **options):
        calls.append(("display", data))
        return Handle() if options.get("display_id") else None

    monkeypatch.setattr("IPython.display.display", display)
    return calls


@pytest.fixture
def page(displayed, monkeypatch):
    """Somebody looks: widgets are shown."""
    for module in (board, playground):
        monkeypatch.setattr(module, "has_front_end", lambda: True)
    return displayed
