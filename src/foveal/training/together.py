"""Several processes that train one network: who takes which samples, and how they keep in step.

Every process holds the whole network and makes the same whole batch, augmented alike, but sends
only its share of the samples through the network. The answers are put together before the loss,
so that a loss sees the batch it would see alone, whatever it is a mean of; the gradients of all
shares add up to that of the whole batch. Batch statistics are those of all shares. So a step is
the step of one process at the same batch but for the order of sums; what is drawn inside the
network (dropout) is drawn anew by each.

Process 0 leads: it alone reads the clock, validates, writes and speaks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function

from ..errors import PlanError, RunError
from ..layers.norm import BatchNorm

PATIENCE = 30.0  # seconds that one step of all others is waited for
AWHILE = 86_400.0  # and what process 0 does alone: reading data, validating, judging


class Parted(RunError):  # noqa: N818 - says what became of the others
    """Another process of this training has ended or hangs."""


@dataclass(frozen=True, slots=True)
class Together:
    """This process among all of one training; alone unless `together` says otherwise.

    rank: its number, 0 for the one that leads. count: of processes. here: of these on this
    machine. steps: the group in which the parts of a step are exchanged; words: that in which
    process 0 tells the others how to go on.
    """

    rank: int = 0
    count: int = 1
    here: int = 1
    steps: Any = None
    words: Any = None

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.count == 1

    def threads(self, planned: int) -> int:
        """Of this process, where those of one machine share its cores."""
        return max(1, planned // self.here)

    def share(self, samples: int) -> slice:
        """Which of so many samples are this process's own. Raises: PlanError for too few."""
        if samples < self.count:
            raise PlanError(
                f"a batch of {samples} samples is too small for {self.count} processes",
                where="plan.json: fit.batch",
                mend=f"start {samples} processes or fewer, or give --set fit.batch={self.count}",
            )
        return slice(*(self._border(rank, samples) for rank in (self.rank, self.rank + 1)))

    def whole(self, raw: Tensor, samples: int) -> Tensor:
        """Answers for all samples of the batch ``(B, ...)`` from those of this share.

        Gradients flow through the own ones alone.
        """
        if self.alone:
            return raw
        sizes = [self._border(r + 1, samples) - self._border(r, samples) for r in range(self.count)]
        padded = raw.detach().new_zeros((max(sizes), *raw.shape[1:]))
        padded[: len(raw)] = raw.detach()
        found = [torch.empty_like(padded) for _ in sizes]
        with _all_there(self):
            dist.all_gather(found, padded, group=self.steps)
        parts = [each[:size] for each, size in zip(found, sizes, strict=True)]
        parts[self.rank] = raw
        return torch.cat(parts)

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes; gradients are summed, too."""
        total: Tensor = _Summed.apply(values, self)  # type: ignore[no-untyped-call]
        return total

    @torch.no_grad()
    def add_up(self, parameters: Iterable[nn.Parameter]) -> None:
        """Every gradient becomes the sum over all processes, in one exchange."""
        if self.alone:
            return
        owners = [(p, p.grad) for p in parameters if p.grad is not None]
        found = [g.to_dense() if g.is_sparse else g for _, g in owners]
        flat = torch.cat([gradient.reshape(-1) for gradient in found])
        with _all_there(self):
            dist.all_reduce(flat, group=self.steps)
        at = 0
        for (owner, _), gradient in zip(owners, found, strict=True):
            part = flat[at : at + gradient.numel()]
            gradient.copy_(part.view(gradient.shape))
            owner.grad, at = gradient, at + gradient.numel()

    def told(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of process 0, in all of them; plain JSON."""
        if self.alone:
            return dict(facts)
        content = torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8)
        size = torch.tensor([len(content)])
        with _all_there(self):
            dist.broadcast(size, 0, group=self.words)
            content = content if self.leads else torch.empty(int(size), dtype=torch.uint8)
            dist.broadcast(content, 0, group=self.words)
        found: dict[str, Any] = json.loads(content.numpy().tobytes())
        return found

    @torch.no_grad()
    def alike(self, tensors: Iterable[Tensor]) -> None:
        """Every tensor becomes that of process 0, in place."""
        for tensor in () if self.alone else tensors:
            sent = tensor.detach().cpu().contiguous()
            with _all_there(self):
                dist.broadcast(sent, 0, group=self.words)
            tensor.copy_(sent)

    def synchronise(self, network: nn.Module) -> None:
        """Batch statistics of ``network`` are those of all shares from now on."""
        for module in network.modules() if not self.alone else ():
            if isinstance(module, BatchNorm):
                module.sums = self.summed

    def _border(self, rank: int, samples: int) -> int:
        return rank * samples // self.count


ALONE = Together()


@contextmanager
def together(environment: Mapping[str, str] = os.environ) -> Iterator[Together]:
    """The group that `torchrun` started this process in; alone where it did not.

    Raises: RunError when the others do not come.
    """
    count = int(environment.get("WORLD_SIZE", "1") or 1)
    if count < 2 or not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        yield ALONE
        return
    rank, graphics = int(environment["RANK"]), torch.cuda.is_available()
    if graphics:
        torch.cuda.set_device(int(environment.get("LOCAL_RANK", "0")))
    none = Together(rank, count, int(environment.get("LOCAL_WORLD_SIZE", count)))
    with _all_there(none):
        dist.init_process_group("gloo", timeout=timedelta(seconds=AWHILE))
        kind = "nccl" if graphics else "gloo"
        steps = dist.new_group(backend=kind, timeout=timedelta(seconds=PATIENCE))
    try:
        yield Together(rank, count, none.here, steps, dist.group.WORLD)
    finally:
        dist.destroy_process_group()


class _Summed(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, group: Together) -> Tensor:
        ctx.group = group
        return _reduced(values, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _reduced(gradient, ctx.group), None


def _reduced(values: Tensor, group: Together) -> Tensor:
    total = values.detach().clone(memory_format=torch.contiguous_format)
    with _all_there(group):
        dist.all_reduce(total, group=group.steps)
    return total


@contextmanager
def _all_there(group: Together) -> Iterator[None]:
    """Around every exchange. Raises: Parted when another process has ended or hangs."""
    try:
        yield
    except RuntimeError as error:
        raise Parted(
            f"another process of this training has ended or did not answer in {PATIENCE:.0f} s "
            f"({str(error).strip().splitlines()[-1][:80]})",
            where=f"process {group.rank} of {group.count}",
            mend="go on from the last checkpoint with `torchrun ... -m foveal train --resume RUN`, "
            "with as many processes as you like",
        ) from error
