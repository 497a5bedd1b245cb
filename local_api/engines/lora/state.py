"""What a training run keeps on disk so that it can go on after a crash, and nothing of how it trains.

Two files in the run's folder: `state.safetensors` (trained weights and optimizer, replaced atomically) and
`reports.jsonl` (a line for each step, appended). A file that is torn, or of another run, is as good as none.

    kept = RunState(work_dir, fingerprint)
    kept.save(step, tensors)
    step, tensors = kept.load()
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from local_api.engines.protocols import StepReport

if TYPE_CHECKING:
    import torch


class RunState:
    """`fingerprint` tells this run from any other: equal only where all that decides the numbers is equal."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._state = folder / "state.safetensors"
        self._reports = folder / "reports.jsonl"
        self._fingerprint = fingerprint
        folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> "tuple[int, dict[str, torch.Tensor]]":
        """The last step that was kept, and its tensors; (0, {}) where there is nothing to go on from."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._state, "pt") as file:
                about = file.metadata() or {}
                if about.get("fingerprint") != self._fingerprint:
                    return 0, {}
                return int(about["step"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except (OSError, SafetensorError, ValueError, KeyError):
            return 0, {}

    def save(self, step: int, tensors: "Mapping[str, torch.Tensor]") -> None:
        """On disk when this returns; killed at any moment, it leaves this state or the one before."""
        from safetensors.torch import save_file

        draft = self._state.with_suffix(".draft")
        save_file(dict(tensors), draft, metadata={"fingerprint": self._fingerprint, "step": str(step)})
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(self._state)

    def told(self, last_step: int) -> list[StepReport]:
        """The reports up to a step, to be told again: whoever heard them may have been killed too. Later ones are dropped."""
        reports: list[StepReport] = []
        if last_step and self._reports.exists():
            for line in self._reports.read_text(encoding="utf-8").splitlines()[:last_step]:
                reports.append(StepReport(**json.loads(line)))
        text = "".join(_line(report) for report in reports)
        self._reports.write_text(text, encoding="utf-8")
        return reports

    def tell(self, report: StepReport) -> None:
        """Keep the report of a step; called once for each, in order."""
        with self._reports.open("a", encoding="utf-8") as file:
            file.write(_line(report))


def _line(report: StepReport) -> str:
    return json.dumps(asdict(report)) + "\n"
