"""What is committed of an executed notebook: its cells and outputs, without what changes from run to run.

It does not execute, and judges nothing (`check_notebooks.py` does).

    nbformat.write(tidy(notebook), path)
"""

from copy import deepcopy
from typing import Any

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_METADATA = {"tags", "slideshow"}
WIDGET = "application/vnd.jupyter.widget-view+json"


def tidy(notebook: Any) -> Any:
    """A copy without timings, widget state, the standard error stream and the version of Python. `tidy(tidy(n)) == tidy(n)`."""
    result = deepcopy(notebook)
    result.metadata = type(notebook.metadata)(kernelspec=dict(KERNEL), language_info={"name": "python"})
    for cell in result.cells:
        cell.metadata = type(cell.metadata)({key: value for key, value in cell.metadata.items() if key in CELL_METADATA})
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(tidy_output, cell.outputs) if output is not None]
    return result


def tidy_output(output: Any) -> Any | None:
    """The output, or None where nothing of it can be shown on a static page."""
    if output.output_type == "stream":
        return None if output.name == "stderr" else output
    if output.output_type in {"display_data", "execute_result"}:
        if WIDGET in output.data:
            # The plain text beside a widget is only its repr; a picture or a table beside it stands for itself.
            for mime in (WIDGET, "text/plain"):
                output.data.pop(mime, None)
            if not output.data:
                return None
        output.metadata = type(output.metadata)()
    return output
