"""The training loop: one for every rank, task and device, exact when resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor, nn

from ..datasets.augment import augment_both
from ..datasets.batches import Batches
from ..grid import Batch
from ..layers import Convolution, Whiten, channels_last, kernels_channels_last, tiled
from ..layers.resample import resize
from ..memory import ran_out
from ..networks.ensemble import each
from ..plan import Plan
from ..progress import SILENT, Progress
from ..tasks import Task
from .deadline import Deadline
from .history import History
from .journey import Journey
from .schedule import middle_rate, worked
from .stop import Stop, interrupted
from .together import ALONE, Together

Augment = Callable[..., Tensor]
Validate = Callable[[nn.Module], dict[str, float]]


def fit(
    network: nn.Module,
    task: Task,
    batches: Batches,
    augment: Augment,
    validate: Validate,
    plan: Plan,
    run: Path,
    *,
    deadline: Deadline | None = None,
    resume: bool = False,
    stop: Stop | None = None,
    progress: Progress = SILENT,
    together: Together = ALONE,
) -> History:
    """Fit ``network`` in place; it ends with the last weights (their mean when averaged).

    Every step's chance (order, augmentation, dropout) follows from the seed and the step's
    number alone. So a run that was killed and resumed ends with the same bytes, on the same
    machine with the same number of threads, when its length was given in steps. With a
    deadline the number of steps follows the clock, and the rate still reaches zero.

    Args:
        augment: called as `datasets.augment.augment`; targets on the grid move with their samples
            by `augment_both` instead.
        validate: network in evaluation mode -> scores, among them ``task.judging.best``.
        run: folder that takes ``history.jsonl`` and ``checkpoint/``.
        deadline: None to make exactly ``plan.fit.steps`` steps.
        resume: go on from the checkpoint in ``run``; without one, start anew.
        together: the processes that train this network; see training/together.py.

    Raises: Interrupted when ``stop`` was asked, after saving. RunError when the loss stays
        non-finite, when the checkpoint is damaged or does not fit, or the disk is full.
    """
    device = torch.device(plan.fit.device)
    network.to(device)
    if plan.fit.channels_last:
        kernels_channels_last(network)
    if plan.fit.winograd:
        tiled(network)
    together.synchronise(network)
    journey = Journey(network, task, validate, plan, run, batches, deadline, progress, together)
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        progress.bar("training", 1000) as tick,
    ):
        journey.begin(resume)
        shown, stems = 0, [m.convolution for m in network.modules() if isinstance(m, Whiten)]
        for epoch, batch in _walk(journey, batches):
            asked = stop is not None and stop.asked
            if stop is not None and (journey.stopping or (asked and together.alone)):
                _leave(journey, stop, run)
            _step(journey, batch, epoch, augment, stems)
            journey.border(asked)
            done = int(1000 * worked(journey.at.progress, plan.fit.coarse, journey.coarse_cost))
            tick(done - shown)
            shown = done
        return journey.end()


def _leave(journey: Journey, stop: Stop, run: Path) -> None:
    """Raises: Interrupted, after saving."""
    if journey.together.leads:
        journey.save()
    raise interrupted(stop.reason or "a signal", journey.at.step, journey.at.total, run)


def _walk(journey: Journey, batches: Batches) -> Iterator[tuple[int, Batch]]:
    """Batches from where the journey stands until its end, even when it is set back."""
    while journey.at.step < journey.at.total:
        epoch, start = divmod(journey.at.step, len(batches))
        for batch in batches.epoch(epoch, start):
            after = journey.at.step + 1
            yield epoch, batch
            if journey.at.step != after or journey.at.step >= journey.at.total:
                break


def _step(
    journey: Journey, batch: Batch, epoch: int, augment: Augment, stems: Sequence[Convolution]
) -> None:
    """One optimiser step, or a skipped one when loss or gradient is not finite."""
    at, plan, optimiser = journey.at, journey.plan, journey.optimiser
    generator = _chance(plan.seed, at.step, journey)
    assert batch.y is not None, "training batches carry targets"
    x, y = (part.to(journey.device, non_blocking=True) for part in (batch.x, batch.y))
    mask = None if batch.mask is None else batch.mask.to(journey.device, non_blocking=True)
    if journey.truth is None:
        x = augment(x, plan.augment, generator=generator, epoch=epoch, index=batch.index)
    else:
        x, y = augment_both(
            *(x, y, journey.truth, plan.augment),
            generator=generator,
            epoch=epoch,
            index=batch.index,
        )
    if journey.coarse:
        if journey.truth is not None:
            y = journey.truth.resize(y, tuple(x.shape[2:]), plan.fit.coarse_size)
        x = _coarse(x, plan.fit.coarse_size)
        mask = None if mask is None else (_coarse(mask, plan.fit.coarse_size) > 0.5).to(mask.dtype)
    if plan.fit.channels_last:
        x = channels_last(x)
    _settle(journey, stems)
    loss = _loss(journey, x, y, mask, batch.index)
    value, *lengths = _lengths(loss, optimiser.gradients())
    rate = middle_rate(at.progress, at.total - at.step, plan.fit.warmup)
    if isfinite(value) and all(map(isfinite, lengths)):
        optimiser.step(rate * at.brake)
        optimiser.clear()
        journey.recall.keep()
        journey.moved(value, len(x), rate * at.brake)
    else:
        optimiser.clear()
        journey.fault(batch)


def _settle(journey: Journey, stems: Sequence[Convolution]) -> None:
    """Biases of a whitened stem learn on the coarse grid alone, where there is one.

    A step on 32 x 32 cells takes 5 % less time without the gradient of the layer behind them.
    Source: Jordan, arXiv:2404.00498, who stops them after three passes.
    """
    learns = journey.coarse or journey.coarse_cost == 1 or not journey.plan.fit.coarse
    for stem in stems:
        if stem.bias is not None:
            stem.bias.requires_grad_(learns)


def _loss(journey: Journey, x: Tensor, y: Tensor, mask: Tensor | None, index: Tensor) -> Tensor:
    """The loss of the batch, with its gradients; in parts where memory does not hold it whole."""
    while True:
        try:
            return _in_parts(journey, x, y, mask, index)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error) or not journey.together.alone:
                raise
        # Out of the handler: the error holds on to all that was computed.
        journey.optimiser.clear()
        journey.squeeze(len(x))
        if journey.device.type == "cuda":
            torch.cuda.empty_cache()
        _chance(journey.plan.seed, journey.at.step, journey)


def _in_parts(journey: Journey, x: Tensor, y: Tensor, mask: Tensor | None, index: Tensor) -> Tensor:
    """Each part weighs by its samples, so gradients are those of a mean over the batch."""
    together, plan, count = journey.together, journey.plan, journey.at.parts
    half = plan.fit.precision == "bf16"
    pieces = x.tensor_split(count), y.tensor_split(count), index.tensor_split(count)
    masks = [None] * count if mask is None else mask.tensor_split(count)
    total = torch.zeros((), device=journey.device)
    journey.recall.drop()  # what a step said that was not made, or not to its end
    for some, target, rows, hidden in zip(*pieces, masks, strict=True):
        own = together.share(len(some))
        with torch.autocast(journey.device.type, torch.bfloat16, enabled=half):
            raws = each(journey.network, some[own], None if hidden is None else hidden[own])
        whole = [together.whole(raw.float(), len(some)) for raw in raws]
        # A sum, not a mean: each of several networks learns as it would alone.
        loss = torch.stack([journey.task.loss(raw, target, hidden, plan) for raw in whole]).sum()
        loss = journey.recall.mixed(loss, whole, rows, journey.at.progress)
        if count > 1:
            loss = loss * (len(some) / len(x))
        loss.backward()  # type: ignore[no-untyped-call]
        total = total + loss.detach() / len(raws)
    together.add_up(journey.optimiser.parameters())
    return total


def _chance(seed: int, step: int, journey: Journey) -> torch.Generator:
    """A generator for the step, and torch's own (for dropout) set alike, in each process anew."""
    mixed = _mix(seed, step)
    own = _mix(mixed, journey.together.rank) if journey.together.rank else mixed
    # torch.manual_seed asks every kind of accelerator first: 270 us against 3 (Zen 3, 2026).
    torch.default_generator.manual_seed(own)
    if journey.device.type == "cuda":
        torch.cuda.manual_seed(own)
    return torch.Generator().manual_seed(mixed ^ 0x5DEECE66D)


def _mix(seed: int, step: int) -> int:
    """63 bits in which neighbouring seeds and steps have nothing in common (splitmix64)."""
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return (z ^ z >> 31) >> 1


def _coarse(x: Tensor, size: tuple[int, ...]) -> Tensor:
    return resize(x, size)


def _lengths(loss: Tensor, gradients: list[Tensor]) -> list[float]:
    """The loss and the length of each gradient, in one wait for the device."""
    found: list[float] = torch.stack([loss.detach(), *torch._foreach_norm(gradients)]).tolist()
    return found
