"""Where we run: in a kernel, in front of somebody's eyes, or neither.

Knows IPython and the environment of a kernel. Knows nothing of what is to be shown.

    if has_front_end(): ...   # widgets; else text
"""

import os
import sys


def has_kernel() -> bool:
    """Whether this runs in a Jupyter kernel, where outputs can be pictures."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


def has_front_end() -> bool:
    """Whether somebody looks at this kernel through a Jupyter server's page, which can show widgets.

    A kernel cannot ask: widget messages to nobody look like messages to a page that is slow to answer. But a Jupyter server names
    the notebook's session in the environment of each kernel that it starts for a page, and nbclient (nbmake,
    nbconvert, `jupyter execute`) starts its kernels without one. Editors with kernels of their own get the text.
    """
    return has_kernel() and bool(os.environ.get("JPY_SESSION_NAME"))
