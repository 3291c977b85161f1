"""From a plan to the network: raw cache values in, raw answers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ..errors import PlanError
from ..grid import time_of
from ..layers import Convolution, hide
from ..layers.seam import Seam, rolled
from ..layers.symmetry import DepthwiseGroupConvolution, GroupConvolution
from ..plan import DataPart, Plan
from .backbone import Backbone, WhitenStem
from .head import planned_head
from .parts import turns_of
from .ragged import masked
from .text_paths import PathsOfText


class Normalise(nn.Module):
    """Raw values to about zero mean and unit spread: one multiply-add per cell.

    ``((x - low) / (high - low) - mean) / std`` per channel, with both factors worked out ahead.

    Shapes: x ``(B, C, *S)``, integer or float -> the same, in the network's own float type.
    Raises: PlanError when a channel has no range or no spread, or x has other channels.
    """

    factor: Tensor  # (C,)
    offset: Tensor  # (C,)

    def __init__(self, data: DataPart) -> None:
        super().__init__()
        parts = (data.low, data.high, data.mean, data.std)
        low, high, mean, std = (torch.tensor(part, dtype=torch.float64) for part in parts)
        spread = (high - low) * std
        if {len(part) for part in parts} != {data.channels} or not bool((spread > 0).all()):
            raise PlanError(
                f"low {data.low}, high {data.high}, std {data.std} cannot normalise "
                f"{data.channels} channels",
                where="plan.json: data",
                mend="give each channel one low below its high, one mean and one std above 0",
            )
        self.register_buffer("factor", (1 / spread).float())
        self.register_buffer("offset", (-low / spread - mean / std).float())

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != len(self.factor):
            raise PlanError(
                f"the network was built for {len(self.factor)} channels, this has {x.shape[1]}",
                where="network input",
                mend="prepare the sample with the plan of this network",
            )
        factor, offset = _beside(self.factor, x), _beside(self.offset, x)
        return torch.addcmul(offset, x.to(self.factor.dtype), factor)


def _beside(per_channel: Tensor, x: Tensor) -> Tensor:
    """``(C,)`` in a shape that meets ``(B, C, *S)``, laid out for the fastest way through it."""
    if x.is_contiguous():
        return per_channel.view(-1, *[1] * (x.ndim - 2))
    # Where channels lie innermost, a loop over three of them is short; one over a whole row of
    # constants takes less than half the time (Zen 3, one core: 120 -> 260 Mpx/s and more).
    width = x.shape[-1]
    row = per_channel.repeat(width).view(*[1] * (x.ndim - 2), width, len(per_channel))
    return row.movedim(-1, 1)


class Network(nn.Module):
    """The whole way: normalise, backbone, head. Built by `build`, never configured.

    Shapes: x ``(B, C, *S)`` raw cache values (uint8 or float), mask ``(B, 1, *S)`` with 1 on real
        cells and 0 on padding behind them; None to tell it from the values of ragged samples
        -> raw, ``(B, K)`` for a pooled head. A head whose ``every_stage`` is true is called with
        the lists that `Backbone.levels` gives, features and masks, instead of the last ones.
        Without batch statistics (``eval()``) padding never changes an answer.
    """

    def __init__(
        self,
        data: DataPart,
        normalise: nn.Module,
        backbone: Backbone,
        head: nn.Module,
        votes: PathsOfText | None = None,
        seam: Seam | None = None,
    ) -> None:
        super().__init__()
        self.data, self.votes, self.seam = data, votes, seam
        self.normalise = normalise
        self.backbone = backbone
        self.head = head
        self.every_stage = bool(getattr(head, "every_stage", False))

    def forward(self, x: Tensor, mask: Tensor | None = None, *, placed: bool = False) -> Tensor:
        """placed: whether ``x`` comes from `place` and stays as it lies."""
        if self.seam is None or self.training or (placed and not self.every_stage):
            return self._said(x, mask)
        start = self._start(x, mask)
        raw = self._said(rolled(x, start), mask)
        if not self.every_stage:
            return raw
        for axis, n in enumerate(x.shape[2:], start=2):
            raw = raw.narrow(axis, 0, n)
        return rolled(raw, start, back=True)  # every cell's answer goes back to where the cell was

    def place(self, x: Tensor) -> Tensor:
        """Raw samples rolled as they are before the backbone sees them: alike for all circular
        shifts of a sample where the plan says so, else untouched. Answers for every cell go back
        to where it was, so samples that are asked for those stay for the network to roll."""
        if self.seam is None or self.every_stage:
            return x
        return rolled(x, self._start(x, None))

    def features(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """What the backbone gives: ``(B, net.features, *T)``."""
        if self.seam is not None and not self.training:
            x = rolled(x, self._start(x, mask))
        return self._look(x, mask)[0]

    def fit_stem(self, x: Tensor) -> None:
        """Work out a whitening stem's kernels from raw training samples ``(B, C, *S)``, and,
        where shifts are to be exact, how their ends are told.

        A trained stem, or one that is an ordinary convolution, is left alone.
        """
        stem = self.backbone.stem
        if self.seam is None and not isinstance(stem, WhitenStem):
            return
        with torch.no_grad():
            values = self.normalise(x)
        if self.seam is not None:
            self.seam.fit(values)
        if isinstance(stem, WhitenStem):
            stem.whiten.fit(values)

    def start_votes(self, x: Tensor, member: Tensor) -> None:
        """Let the votes of a text's tokens begin with counts of training texts ``(N, R, T)``.

        member: ``(N, K)``, 1 where a text belongs to a class. Networks without votes are left
        alone.
        """
        if self.votes is not None and self.votes.votes is not None:
            self.votes.votes.start(x, member)

    def balance(
        self,
        batches: Iterable[tuple[Tensor, Tensor]],
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        """Weigh a text's votes and convolutions by what each said of held-back samples.

        batches: inputs and targets. loss: raw and targets -> scalar. Other networks are left alone.
        """
        if self.votes is not None:
            self.votes.balance(batches, self._answer, loss)

    def _said(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if self.votes is None:
            return self._answer(x, mask)
        raw: Tensor = self.votes(x, self._answer)
        return raw

    def _answer(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.every_stage:
            levels = self.backbone.levels(*self._values(x, mask))
            raw: Tensor = self.head([f for f, _ in levels], [m for _, m in levels])
        else:
            raw = self.head(*self._look(x, mask))
        return raw

    def _start(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """The cell of each axis that is to come first: ``(B, rank)``."""
        assert self.seam is not None, "asked only where shifts are exact"
        return self.seam.choose(self._values(x, mask)[0])

    def _values(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Normalised values and the mask of real cells."""
        if mask is None:
            x, mask = masked(x, self.data)
        if mask is not None and self.seam is not None:
            raise _unkept("samples with padding")
        x = self.normalise(x)
        # What stands on padding is nothing: not the raw value of some fill, and no NaN either.
        return hide(x, mask), mask

    def _look(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        features: tuple[Tensor, Tensor | None] = self.backbone(*self._values(x, mask))
        return features


def build(plan: Plan, head: nn.Module | None = None, prior: Tensor | None = None) -> Network:
    """The network of a plan, with the weights that ``plan.seed`` gives.

    Args:
        plan: its data, net, classes and seed are read.
        head: another head than a pooled one with an output per class; takes (features, mask), or
            lists of both, of every level, where its ``every_stage`` is true.
        prior: frequency of each class, ``(K,)``, for the pooled head's bias.

    Raises: PlanError when the plan asks for something impossible.
    """
    net = plan.net
    # The seed is used up inside: building a network changes nobody else's random numbers.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        time = time_of(plan.axes)
        backbone = Backbone(plan.rank, plan.data.channels, net, plan.data.text, time)
        _check(plan)
        if net.block in ("plain", "factored", "shifted"):
            _begin_as_identity(backbone)
        if head is None:
            head = planned_head(net, net.features, plan.outputs, prior)
    if plan.data.text is not None:
        return Network(plan.data, nn.Identity(), backbone, head, PathsOfText(plan))
    seam = Seam(plan.rank, symmetry=turns_of(net)) if net.shift == "exact" else None
    return Network(plan.data, Normalise(plan.data), backbone, head, seam=seam)


def _check(plan: Plan) -> None:
    """Raises: PlanError where samples have padding, which moves would carry to their front."""
    promised = turns_of(plan.net) is not None or plan.net.shift == "exact"
    if promised and plan.data.fit == "ragged":
        raise _unkept("samples of several lengths")


def _unkept(samples: str) -> PlanError:
    return PlanError(
        f"{samples} cannot keep a symmetry or exact shifts",
        where="plan.json: net.symmetry, net.shift",
        mend='set net.symmetry to "none" and net.shift to "plain" or "blur"',
    )


@torch.no_grad()
def _begin_as_identity(backbone: Backbone) -> None:
    """Let the first min(in, out) channels of every stage's kernel pass unchanged at first.

    A plain stack has no way around its kernels; this gives it one to begin with. The other
    outputs keep the He weights that `Convolution` starts from.
    Source: Jordan, arXiv:2404.00498, section 3.3.
    """
    for module in backbone.stages.modules():
        if isinstance(module, Convolution):
            same = min(module.weight.shape[:2])
            module.weight[:same] = 0
            for channel in range(same):
                module.weight[(channel, channel, *module.before)] = 1
        elif isinstance(module, DepthwiseGroupConvolution):
            module.weight.zero_()
            for field in range(len(module.weight)):
                module.weight[(field, *_middle(module.kernel))] = 1
        elif isinstance(module, GroupConvolution):
            same = min(module.weight.shape[:2])
            module.weight[:same] = 0
            for field in range(same):  # seen by the same turn: the first is the one that is still
                module.weight[(field, field, 0, *_middle(module.kernel))] = 1


def _middle(kernel: tuple[int, ...]) -> tuple[int, ...]:
    return tuple((k - 1) // 2 for k in kernel)
