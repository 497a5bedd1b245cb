"""What a learner sees: a job while it trains, several jobs side by side, a playground for what came of them.

Each has a room of its own here, and each is text where nobody looks through a page that could show a widget. `job_monitor`
(`board.py`) and `playground` (`playground.py`) are imported from `helpers`; what other modules of the helpers need is here.

    from helpers.widgets import has_front_end, monitor
"""

from helpers.widgets.following import JobText, JobWidget, Screen, monitor
from helpers.widgets.progress import Progress, clock, show_curve
from helpers.widgets.where import has_front_end, has_kernel

__all__ = ["JobText", "JobWidget", "Progress", "Screen", "clock", "has_front_end", "has_kernel", "monitor", "show_curve"]
