"""Foveal: convolutional neural networks for anything on a grid.

    model = foveal.fit("photos/", budget="5m")
    model.predict("new.jpg")

The verbs `look`, `plan`, `train`, `evaluate`, `compare`, `audit`, `predict`, `enroll`, `identify`,
`labels`
and `demo` are those of the command line.
Nothing heavy is imported until a verb is used; layers live in `foveal.layers` and work in any
PyTorch code; `foveal.sklearn` holds the scikit-learn estimator.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .card import Card
from .errors import DataError, FovealError, PlanError, RunError
from .grid import Axis, Grid, Sample
from .plan import Plan
from .report import Report, Score

if TYPE_CHECKING:
    from .verbs.audit import audit
    from .verbs.compare import compare
    from .verbs.demo import demo
    from .verbs.evaluate import evaluate
    from .verbs.fit import fit
    from .verbs.gallery import enroll, identify
    from .verbs.labels import labels
    from .verbs.look import look
    from .verbs.model import Model, load
    from .verbs.plan import plan
    from .verbs.predict import predict
    from .verbs.train import resume, train
else:
    # The noun's file `plan.py` and the verb share a name. Importing the file set the attribute
    # `foveal.plan`; once removed it stays free for the verb, since files are imported only once.
    globals().pop("plan")

__version__ = "0.1.0"

__all__ = [
    "Axis",
    "Card",
    "DataError",
    "FovealError",
    "Grid",
    "Model",
    "Plan",
    "PlanError",
    "Report",
    "RunError",
    "Sample",
    "Score",
    "audit",
    "compare",
    "demo",
    "enroll",
    "evaluate",
    "fit",
    "identify",
    "labels",
    "load",
    "look",
    "plan",
    "predict",
    "resume",
    "train",
]

# Where each verb lives; the file is imported when the name is first asked for.
_LATE = {
    "Model": "model",
    "audit": "audit",
    "compare": "compare",
    "demo": "demo",
    "enroll": "gallery",
    "evaluate": "evaluate",
    "fit": "fit",
    "identify": "gallery",
    "labels": "labels",
    "load": "model",
    "look": "look",
    "plan": "plan",
    "predict": "predict",
    "resume": "train",
    "train": "train",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'foveal' has no attribute {name!r}")
    found = getattr(importlib.import_module(f".verbs.{_LATE[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
