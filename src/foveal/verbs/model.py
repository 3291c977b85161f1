"""A trained model: the network with its plan, its card and the report that says how good it is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..card import Card
from ..errors import RunError
from ..find import names
from ..grid import time_of
from ..plan import Plan, replace_part
from ..progress import SILENT, Progress
from ..record import read_json, write_json
from ..report import Report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..networks.build import Network
    from ..networks.ensemble import Ensemble
    from ..tasks import Task


MOST_CELLS = 200_000_000  # of one prepared sample, all channels together


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer.

    answer: what the task says of the input, as `foveal predict` prints it. error: why an input
    could not be read; ``answer`` is empty then. The properties read what tasks commonly say.
    """

    input: str
    answer: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def label(self) -> str:
        """The most probable class; "" where there is none."""
        return str(self.answer.get("label", ""))

    @property
    def probability(self) -> float:
        """Of ``label``."""
        return float(self.answer.get("probability", 0.0))

    @property
    def probabilities(self) -> dict[str, float]:
        """Calibrated, by class name."""
        return dict(self.answer.get("probabilities", {}))

    @property
    def labels(self) -> tuple[str, ...]:
        """Every class that was found, where there may be several."""
        return tuple(self.answer.get("labels", ()))

    @property
    def mask(self) -> NDArray[np.uint8] | None:
        """The class of each of the input's own cells, ``(*S)``, by position in ``plan.classes``;
        None where answers have no places."""
        return self.answer.get("mask")

    @property
    def numbers(self) -> dict[str, float]:
        """By name."""
        return dict(self.answer.get("numbers", {}))


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What `fit` gives and `load` reads: ask it with `predict`, judge it with `evaluate`."""

    network: Network | Ensemble
    plan: Plan
    card: Card
    report: Report
    run: Path

    @property
    def task(self) -> Task:
        """The task that the plan names."""
        from .prepare_run import task_of

        return task_of(self.plan)

    @property
    def temperature(self) -> float:
        """Divides a classifier's logits, so that probabilities mean what they say."""
        return float(self.report.calibration.get("temperature", 1.0))

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
            error, key = found.pop("error", ""), found.pop("input")
            yield Prediction(key, found, error)

    def embed(self, inputs: Any) -> NDArray[np.float32]:
        """Unit vectors ``(N, D)`` for inputs as `predict` takes them, of a run of ``embed``."""
        from .gallery import embedded

        return embedded(self, inputs)

    def evaluate(self, data: Any, y: Sequence[Any] | None = None) -> Report:
        """The report on other data: a path, or arrays with their labels."""
        from .evaluate import evaluate_model

        return evaluate_model(self, data, y)

    def save(self, folder: str | Path) -> Path:
        """Write the model to another folder, from which `foveal.load` reads it.

        Raises: RunError when the folder holds another run, or cannot be written.
        """
        from ..evaluation.page import write_page
        from ..networks.weights import save_weights

        target = Path(folder)
        if (target / "plan.json").exists():
            raise RunError(
                f"there is a run in {target} already", where="save", mend="give another folder"
            )
        try:
            target.mkdir(parents=True, exist_ok=True)
            # From memory: the run folder may be a temporary one that is gone by now.
            write_json(target / "card.json", self.card.to_dict())
            write_json(target / "report.json", self.report.to_dict())
            write_page(self.report, self.card, self.plan, self.task, target / "report.html")
            save_weights(self.network, target / "weights.safetensors")
            write_json(target / "plan.json", self.plan.to_dict())
        except OSError as error:
            raise RunError(
                f"cannot write to {target}: {error.strerror}",
                where="save",
                mend="give a folder that you may write to",
            ) from error
        return target


def load(run: str | Path) -> Model:
    """The model of a finished run. Raises: RunError when the folder holds none."""
    folder = Path(run)
    if not os.path.exists(folder / "weights.safetensors"):
        begun = os.path.exists(folder / "plan.json")
        raise RunError(
            "this run has not finished" if begun else f"{run} is no run",
            where=str(folder),
            mend=f"foveal train --resume {run}" if begun else "give the folder `train` has written",
        )
    from ..layers.memory import kernels_channels_last
    from ..networks.weights import load_weights  # after the check: a typo costs no seconds
    from .first_weights import empty_network

    plan = Plan.from_dict(read_json(folder / "plan.json"), str(folder / "plan.json"))
    _check(plan, folder)
    plan = here(plan)
    card = Card.from_dict(read_json(folder / "card.json"), str(folder / "card.json"))
    report = Report.from_dict(read_json(folder / "report.json"), str(folder / "report.json"))
    network = empty_network(plan, report.calibration)
    load_weights(network, folder / "weights.safetensors")
    if plan.fit.channels_last:  # as it was judged: another layout rounds differently
        kernels_channels_last(network)
    network.to(plan.fit.device).eval()
    return Model(network, plan, card, report, folder)


def here(plan: Plan) -> Plan:
    """The plan for this machine: the processor answers where the plan's GPU is not there."""
    import torch

    if not plan.fit.device.startswith("cuda") or torch.cuda.is_available():
        return plan
    return replace_part(plan, "fit", device="cpu", precision="fp32")


def _check(plan: Plan, folder: Path) -> None:
    """A run folder may come from anybody: it names no code to run, and takes no more memory than
    its weights need.

    Raises: RunError naming the file that does not fit.
    """
    from .. import tasks
    from .prepare_run import task_of

    if plan.task not in names(tasks):
        raise RunError(
            f"task {plan.task!r} is none of Foveal's",
            where=str(folder / "plan.json"),
            mend=f"known: {', '.join(names(tasks))}",
        )
    several = max(1, plan.folds) * plan.fit.members
    if plan.folds == 1 or several < 1 or (several > 1 and task_of(plan).joined is None):
        raise RunError(
            f"{several} networks of the task {plan.task!r} are no model",
            where=str(folder / "plan.json"),
            mend="restore the file, or train again",
        )
    if not plan.net.widths or len(plan.data.size) != plan.rank or min(plan.data.size) < 1:
        raise RunError(
            f"{len(plan.net.widths)} stages on samples of {list(plan.data.size)} cells are no "
            f"network for {plan.rank} axes",
            where=str(folder / "plan.json"),
            mend="restore the file, or train again",
        )
    size = (folder / "weights.safetensors").stat().st_size
    if 2 * max(1, plan.folds) * plan.fit.members * _least_weights(plan) > size:
        raise RunError(
            f"the plan asks for a larger network than the {size:,} bytes of weights hold",
            where=str(folder / "weights.safetensors"),
            mend="restore both files from one run, or train again",
        )
    if plan.data.channels * prod(plan.data.size) > MOST_CELLS:
        raise RunError(
            f"samples of {plan.data.channels} x {list(plan.data.size)} cells are too large",
            where=str(folder / "plan.json"),
            mend=f"restore the file, or train again with at most {MOST_CELLS:,} cells",
        )


def _least_weights(plan: Plan) -> int:
    """Numbers in the kernels and matrices of a plan's network, without building it."""
    net, text, time = plan.net, plan.data.text, time_of(plan.axes)
    if text is not None:  # the tables are nearly all of it
        rows = len(text.words) + (text.buckets if net.votes else 0)
        return rows * (plan.outputs if net.votes else net.stem_width)
    widths = (plan.data.channels, net.stem_width, *net.widths)
    kernels, depths = (net.stem_kernel, *net.kernels), (1, *net.depths)
    if net.block == "factored" and time is not None:  # the part over space is the larger one
        kernels = tuple(k[:time] + k[time + 1 :] for k in kernels)
    dense = pairwise((net.features * net.places, *net.hidden, plan.outputs))
    return sum(a * b for a, b in dense) + sum(
        (inputs + (depth - 1) * outputs) * outputs * prod(kernel)
        for (inputs, outputs), kernel, depth in zip(pairwise(widths), kernels, depths, strict=False)
    )
