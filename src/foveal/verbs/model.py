"""A trained model: the network with its plan, its card and the report that says how good it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..card import Card
from ..errors import RunError
from ..plan import Plan
from ..progress import SILENT, Progress
from ..record import read_json, write_json
from ..report import Report

if TYPE_CHECKING:
    from ..networks.build import Network

FILES = ("card.json", "plan.json", "report.json", "report.html", "weights.safetensors")


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer. probabilities: calibrated, by class name; they sum to 1.

    error: why an input could not be read; the other fields are then empty.
    """

    input: str
    label: str = ""
    probability: float = 0.0
    probabilities: dict[str, float] | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What `fit` gives and `load` reads: ask it with `predict`, judge it with `evaluate`."""

    network: Network
    plan: Plan
    card: Card
    report: Report
    run: Path

    @property
    def temperature(self) -> float:
        """Divides the logits, so that probabilities mean what they say."""
        return self.report.calibration.get("temperature", 1.0)

    def predict(self, inputs: Any, *, progress: Progress = SILENT) -> list[Prediction]:
        """Answers for a file, a folder, a zip, a list of them, or an array of samples.

        inputs: paths, or an array ``(N, *S)`` or ``(N, *S, C)`` as `fit` takes it.
        """
        return list(self.stream(inputs, progress=progress))

    def stream(self, inputs: Any, *, progress: Progress = SILENT) -> Iterator[Prediction]:
        """The same one by one, in constant memory."""
        from .predict import answers

        if isinstance(inputs, str | Path):
            inputs = [inputs]
        for found in answers(self, inputs, progress):
            yield Prediction(**found)

    def evaluate(self, data: Any, y: Sequence[Any] | None = None) -> Report:
        """The report on other data: a path, or arrays with their labels."""
        from .evaluate import evaluate_model

        return evaluate_model(self, data, y)

    def save(self, folder: str | Path) -> Path:
        """Write the model to another folder, from which `foveal.load` reads it."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if (self.run / name).exists():
                shutil.copyfile(self.run / name, target / name)
        write_json(target / "plan.json", self.plan.to_dict())
        return target


def load(run: str | Path) -> Model:
    """The model of a finished run. Raises: RunError when the folder holds none."""
    from ..networks.build import build
    from ..networks.weights import load_weights
    from .prepare_run import task_of

    folder = Path(run)
    if not (folder / "weights.safetensors").exists():
        begun = (folder / "plan.json").exists()
        raise RunError(
            "this run has not finished" if begun else f"{run} is no run",
            where=str(folder),
            mend=f"foveal train --resume {run}" if begun else "give the folder `train` has written",
        )
    plan = Plan.from_dict(read_json(folder / "plan.json"), str(folder / "plan.json"))
    card = Card.from_dict(read_json(folder / "card.json"), str(folder / "card.json"))
    report = Report.from_dict(read_json(folder / "report.json"), str(folder / "report.json"))
    network = build(plan, task_of(plan).head(plan, plan.net.widths[-1], None))
    load_weights(network, folder / "weights.safetensors")
    network.eval()
    return Model(network, plan, card, report, folder)
