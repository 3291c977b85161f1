"""Models that Foveal did not make, as functions from batches to probabilities: PyTorch, ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 2**31  # bytes of an ONNX file: more it cannot be, with its weights inside
KINDS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
}
Answer = Callable[["NDArray[Any]"], Any]


def of_outside(model: Any, progress: Progress) -> Answer:
    """A function from batches ``(B, C, *S)`` to probabilities ``(B, K)``.

    model: a path to an ONNX file, a PyTorch module, or already such a function. Answers of the
    first two that are no probabilities go through a softmax, and that is said.
    Raises: DataError for a file that cannot be used, or a missing onnxruntime.
    """
    from torch import nn

    if isinstance(model, str | Path):
        return _likely(of_onnx(Path(model)), progress)
    if isinstance(model, nn.Module):
        return _likely(of_module(model), progress)
    answer: Answer = model
    return answer


def of_module(network: Any) -> Answer:
    """What a PyTorch module says in eval mode, without gradients, in the type of its weights."""
    import torch

    kind = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    place = next((p.device for p in network.parameters()), torch.device("cpu"))

    def answer(batch: NDArray[Any]) -> Any:
        was = network.training
        network.eval()
        try:
            with torch.inference_mode():
                return network(torch.from_numpy(batch).to(place, kind)).double().cpu().numpy()
        finally:
            network.train(was)

    return answer


def of_onnx(path: Path) -> Answer:
    """What an ONNX file with one input answers first; the batch may be of a fixed size.

    Raises: DataError. The file is read whole, so none beside it is ever opened.
    """
    session = _session(path)
    first, *others = session.get_inputs()
    if others or first.type not in KINDS or len(first.shape) < 3:
        what = f"{1 + len(others)} inputs, the first {first.type} of shape {first.shape}"
        raise _unfit(f"the model has {what}", path, "give a model with one input (B, C, *S)")
    fixed = first.shape[0] if isinstance(first.shape[0], int) else None

    def answer(batch: NDArray[Any]) -> Any:
        batch = np.ascontiguousarray(batch.astype(KINDS[first.type], copy=False))
        step = fixed or max(len(batch), 1)
        said = []
        for start in range(0, len(batch), step):
            part = batch[start : start + step]
            rows = np.resize(np.arange(len(part)), step)  # a fixed batch is filled up with copies
            said.append(_run(session, first.name, part[rows], path)[: len(part)])
        return np.concatenate(said)

    return answer


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DataError(
            "ONNX files need onnxruntime, which is not installed",
            where=str(path),
            mend='pip install "foveal[deploy]"',
        ) from error
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise _unfit("there is no such file, or it is over 2 GB", path, "give an .onnx file")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options)
    except Exception as error:  # of many kinds, none of them public
        what = f"the file is no model that runs: {_short(error)}"
        raise _unfit(what, path, "export it again") from error


def _run(session: Any, name: str, batch: NDArray[Any], path: Path) -> NDArray[Any]:
    try:
        return np.asarray(session.run(None, {name: batch})[0], np.float64)
    except Exception as error:
        shown = f"samples of shape {list(batch.shape)} were refused: {_short(error)}"
        raise _unfit(shown, path, "give samples as the model takes them, (N, C, *S)") from error


def _likely(answer: Answer, progress: Progress) -> Answer:
    """The same as probabilities; whether a softmax is needed is told from the first answers."""
    logits: list[bool] = []

    def likely(batch: NDArray[Any]) -> Any:
        said = np.asarray(answer(batch), np.float64)
        if said.ndim != 2:
            return said  # refused by who asks, in words
        if not logits:
            sums = said.sum(1)
            logits.append(bool((said < 0).any() or (abs(sums - 1) > 1e-2).any()))
            if logits[0]:
                progress.say("the answers are no probabilities: a softmax is taken")
        if not logits[0]:
            return said
        away = np.exp(said - said.max(1, keepdims=True))
        return away / away.sum(1, keepdims=True)

    return likely


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _unfit(what: str, path: Path, mend: str) -> DataError:
    return DataError(what, where=str(path), mend=mend)
