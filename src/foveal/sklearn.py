"""A convolutional network as a scikit-learn estimator: pipelines, grid search, cross-validation."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .card import Card
from .datasets.augment import augment
from .datasets.batches import Batches
from .datasets.cache import Store
from .duration import seconds
from .errors import PlanError
from .grid import Axis
from .networks.build import Network, build
from .plan import Plan
from .planner.machine import Machine, cores, measure
from .planner.make import make_plan
from .tasks.classify import TASK
from .training.deadline import Deadline
from .training.loop import fit as train

Numbers = NDArray[np.float64]
ASSUMED_GFLOPS = 20.0  # plans without a clock must not depend on the machine
ROWS_AT_ONCE = 4096
LEAST_BATCH = 8


class ConvClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify the rows of X, each of which holds a grid of values.

    Args:
        shape: the grid a row holds, channels last: ``(8, 8)`` or ``(28, 28, 3)`` with
            ``channels=3``. None takes a row as it is: a grid of one axis whose columns have
            units of their own, so that each is standardised by itself and none is shifted.
        channels: values per cell; above 1 they are the last entry of ``shape``.
        width: channels of the first stage; they double where the grid is halved.
        epochs: passes over the rows. The same rows, width, seed and epochs give the same model.
        budget: seconds, or "2m", instead of epochs.
        seed: fixes the first weights, the order of rows and every random shift.

    Attributes: ``classes_`` names in sorted order; ``plan_`` every decision with its reason;
    ``weights_`` arrays by name; ``mean_`` and ``scale_`` of each column.
    Raises: PlanError (a ValueError) when ``shape`` does not fit the columns of X.
    """

    def __init__(
        self,
        shape: tuple[int, ...] | None = None,
        *,
        channels: int = 1,
        width: int = 32,
        epochs: float = 20.0,
        budget: float | str | None = None,
        seed: int = 0,
    ) -> None:
        self.shape = shape
        self.channels = channels
        self.width = width
        self.epochs = epochs
        self.budget = budget
        self.seed = seed

    def fit(self, X: Any, y: Any) -> ConvClassifier:
        """Plan and train. X ``(N, F)``, y ``(N,)`` labels of any kind; returns itself."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, target = np.unique(y, return_inverse=True)
        size = self._size()
        self.mean_, self.scale_ = _moments(X, None if self.shape is None else self.channels)
        x = self._grids(X, size)
        self.plan_: Plan | None = None
        self.weights_: dict[str, NDArray[Any]] = {}
        if len(self.classes_) > 1:  # else there is nothing to tell apart
            self.plan_ = self._plan(x, target, size)
            network = self._train(Store.from_array(x), torch.from_numpy(target))
            self.weights_ = {n: t.numpy().copy() for n, t in network.state_dict().items()}
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, ``(N,)``."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(1)])

    def predict_proba(self, X: Any) -> Numbers:
        """Probabilities ``(N, K)`` in the order of ``classes_``."""
        check_is_fitted(self, "weights_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        if self.plan_ is None:
            return np.ones((len(X), 1))
        network = build(self.plan_)
        network.load_state_dict({n: torch.from_numpy(a) for n, a in self.weights_.items()})
        # In 64 bits a row's answer does not depend on the rows beside it.
        network.double().eval()
        x = torch.from_numpy(self._grids(X, self.plan_.data.size)).double().movedim(-1, 1)
        with torch.inference_mode():
            raw = [network(part) for part in torch.split(x, ROWS_AT_ONCE)]
            done: Numbers = torch.cat(raw).softmax(-1).numpy()
        return done

    def _size(self) -> tuple[int, ...]:
        """Cells along each axis. Raises: PlanError when they are not what the columns hold."""
        features = int(self.n_features_in_)
        if self.shape is None:
            size: tuple[int, ...] = (features // self.channels,)
        elif self.channels == 1:
            size = tuple(self.shape)
        else:
            size = tuple(self.shape[:-1]) if self.shape[-1] == self.channels else ()
        if not size or math.prod(size) * self.channels != features:
            raise PlanError(
                f"shape {self.shape}, channels {self.channels} do not hold {features} columns",
                where="ConvClassifier",
                mend="give the grid of one row, channels last if there are any, as in (28, 28, 3)",
            )
        return size

    def _grids(self, X: Numbers, size: tuple[int, ...]) -> NDArray[np.float32]:
        """Standardised rows as ``(N, *S, C)``."""
        x = ((X - self.mean_) / self.scale_).astype(np.float32)
        return x.reshape(len(X), *size, self.channels)

    def _plan(self, x: NDArray[np.float32], target: NDArray[Any], size: tuple[int, ...]) -> Plan:
        budget = None if self.budget is None else seconds(self.budget)
        machine = _assumed() if budget is None else measure("cpu")
        changes = {"fit.device": '"cpu"'}
        if self.shape is None:
            changes["augment.translate"] = "0"
        plan = make_plan(
            _card(x, target, [str(c) for c in self.classes_], size),
            machine,
            budget=budget,
            epochs=float(self.epochs) if budget is None else None,
            seed=self.seed,
            symmetry="none",
            changes=changes,
        )
        return plan.edited(self._sizes(plan, len(x)))

    def _sizes(self, plan: Plan, rows: int) -> dict[str, str]:
        """Width and steps. The planner tunes for thousands of pictures; tables are smaller.

        With its rates for batches of 16 iris reaches 0.84 in 80 steps, with these 0.99.
        """
        widths = [int(self.width) * 2**i for i in range(len(plan.net.widths))]
        batch = min(max(rows // 8, LEAST_BATCH), 500)
        changes = {"net.widths": str(widths), "fit.batch": str(batch)}
        if batch < 500:
            changes |= {"fit.lr": "0.08", "fit.other_lr": "0.1"}
        if self.budget is None:
            changes["fit.steps"] = str(max(1, round(float(self.epochs) * max(1, rows // batch))))
        return changes

    def _train(self, store: Store, target: torch.Tensor) -> Network:
        plan = self.plan_
        assert plan is not None, "planned before training"
        counts = torch.bincount(target).double()
        network = build(plan, prior=(counts / counts.sum()).float())
        rows = np.arange(len(store))
        network.fit_stem(store.gather(rows[:ROWS_AT_ONCE]))
        batches = Batches(store, rows, target, batch=plan.fit.batch, seed=plan.seed)
        deadline = None if plan.budget is None else Deadline(plan.budget)
        with tempfile.TemporaryDirectory(prefix="foveal-") as run:
            train(
                network,
                TASK,
                batches,
                augment,
                lambda network: {TASK.judging.best: 0.0},  # no rows are held back to validate on
                plan,
                Path(run),
                deadline=deadline,
            )
        return network


def _moments(X: Numbers, channels: int | None) -> tuple[Numbers, Numbers]:
    """Mean and spread ``(F,)`` of each column, or of each channel over all cells of a grid."""
    cells = X if channels is None else X.reshape(-1, channels)
    mean, scale = cells.mean(0), cells.std(0)
    scale = np.where(scale > 1e-12 * np.abs(cells).max(0), scale, 1.0)  # a constant stays one
    repeat = X.shape[1] // len(mean)
    return np.tile(mean, repeat), np.tile(scale, repeat)


def _assumed() -> Machine:
    rate = {"assumed": ASSUMED_GFLOPS}
    return Machine("cpu", "any machine", cores(), "fp32", False, ASSUMED_GFLOPS, rate, 4096)


def _card(
    x: NDArray[np.float32], target: NDArray[Any], classes: list[str], size: tuple[int, ...]
) -> Card:
    """What the planner needs to know of standardised grids ``(N, *S, C)``."""
    channels = x.shape[-1]
    counts = np.bincount(target, minlength=len(classes))
    nothing, one = (0.0,) * channels, (1.0,) * channels
    return Card(
        path="X",
        layout="rows of X",
        target="label",
        channels=channels,
        dtype="float32",
        parts={"train": len(x), "validation": 0, "test": 0},
        smallest=size,
        median=size,
        largest=size,
        low=nothing,
        high=one,
        mean=nothing,
        std=one,
        classes=tuple(classes),
        counts={"train": tuple(counts.tolist())},
        digest="",
        axes=tuple(Axis(f"axis {i + 1}", mirrors=False) for i in range(len(size))),
        size=size,
    )
