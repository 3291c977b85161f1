"""Muon on kernels, Nesterov momentum on the rest, weight decay apart from both."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod, sqrt

import torch
from torch import Tensor, nn

from ..errors import RunError
from ..plan import FitPart

ITERATIONS = 5
LONG = 1.5  # columns per row from which the products of rows alone are iterated
TABLE_RATE = 0.03  # of 0.03 and 0.1 the better on 5 folds of MR (78.8, 78.4 %)
# Slope 3.4 at zero lifts small singular values fast; one is no exact fixed point: 0.7 to 1.2.
_QUINTIC = (3.4445, -4.7750, 2.0315)


@dataclass(slots=True)
class Group:
    """Parameters that share a rule and a rate, with one momentum tensor each."""

    names: list[str]
    parameters: list[nn.Parameter]
    lr: float
    decay: float
    muon: bool
    momenta: list[Tensor] = field(init=False)
    rows: bool = False  # tables of which a step sees a few rows; the momenta are sums of squares

    def __post_init__(self) -> None:
        wide = [p[:, :1] if self.rows else p for p in self.parameters]
        self.momenta = [torch.zeros_like(p, memory_format=torch.contiguous_format) for p in wide]


@dataclass(frozen=True, slots=True)
class Optimiser:
    """What `build_optimiser` makes: call `step` after backward, `clear` before the next.

    State is a flat table of tensors by parameter name, so that a checkpoint needs no pickle.
    """

    groups: tuple[Group, ...]
    momentum: float
    dtype: torch.dtype

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update at ``rate`` times the peak rates. Parameters without gradient stay."""
        for group in self.groups:
            with_gradient = [
                (p, p.grad, m)
                for p, m in zip(group.parameters, group.momenta, strict=True)
                if p.grad is not None
            ]
            if not with_gradient:
                continue
            if group.rows:
                for table, gradient, squares in with_gradient:
                    _step_rows(table, gradient, squares, group.lr * rate)
                continue
            parameters, gradients, momenta = map(list, zip(*with_gradient, strict=True))
            updates = _nesterov(gradients, momenta, self.momentum)
            if group.muon:
                _normalise(parameters)
                updates = orthogonal(updates, self.dtype)
            elif group.decay:
                torch._foreach_mul_(parameters, 1.0 - group.lr * rate * group.decay)
            torch._foreach_add_(parameters, updates, alpha=-group.lr * rate)

    def clear(self) -> None:
        """Forget the gradients."""
        for group in self.groups:
            for parameter in group.parameters:
                parameter.grad = None

    def parameters(self) -> list[nn.Parameter]:
        """Those of all groups."""
        return [p for g in self.groups for p in g.parameters]

    def gradients(self) -> list[Tensor]:
        """Those that are there, of all groups."""
        found = [p.grad for g in self.groups for p in g.parameters if p.grad is not None]
        return [g.coalesce().values() if g.is_sparse else g for g in found]

    def state(self) -> dict[str, Tensor]:
        """Momentum by parameter name; the tensors themselves, not copies."""
        return {n: m for g in self.groups for n, m in zip(g.names, g.momenta, strict=True)}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Take over ``state``. Raises: RunError when names or shapes differ from ours."""
        own = self.state()
        if {n: m.shape for n, m in own.items()} != {n: m.shape for n, m in state.items()}:
            differ = sorted(own.keys() ^ state.keys())
            raise RunError(
                f"optimiser state does not fit the network ({', '.join(differ[:3]) or 'shapes'})",
                where="checkpoint",
                mend="resume with the plan.json the run was started with",
            )
        for name, momentum in own.items():
            momentum.copy_(state[name])


def build_optimiser(network: nn.Module, fit: FitPart) -> Optimiser:
    """The optimiser of a plan for every parameter that asks for a gradient.

    With "muon", kernels outside the head go to Muon at ``lr`` and all others to Nesterov SGD at
    ``other_lr``; with "sgd", everything that is no vector learns at ``lr``. Vectors (norms,
    biases) learn at ``other_lr`` and never decay; nor do Muon's kernels, whose length is fixed.
    Tables (parameters called "table...") learn row by row, in both cases.

    Source: Jordan et al., "Muon" (2024, kellerjordan.github.io/posts/muon) and the airbench94
        variant with weights of fixed length; decoupled decay: Loshchilov and Hutter,
        arXiv:1711.05101. Gradients here are those of the mean loss, airbench's of the sum.
    """
    kernels, matrices, vectors, tables = _sorted_by_kind(network)
    muon = fit.optimiser == "muon"
    plain = matrices if muon else {**kernels, **matrices}
    decay = fit.weight_decay
    groups = [
        _group(kernels if muon else {}, fit.lr, 0.0, muon=True),
        _group(plain, fit.other_lr if muon else fit.lr, decay, muon=False),
        _group(vectors, fit.other_lr, 0.0, muon=False),
        Group(list(tables), list(tables.values()), TABLE_RATE, 0.0, False, rows=True),
    ]
    dtype = torch.bfloat16 if fit.precision == "bf16" else torch.float32
    return Optimiser(tuple(g for g in groups if g.names), fit.momentum, dtype)


def _step_rows(table: Tensor, gradient: Tensor, squares: Tensor, rate: float) -> None:
    """One update of the rows that a sparse ``gradient`` names; all others cost nothing.

    A row's step is divided by the root of all its squares so far, so that rare words, met a few
    times in all, learn as fast as common ones. On a table of 18,000 + 65,536 rows of 64 numbers a
    dense Adam took about 50 ms of a step of 57 (one core).
    Source: Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 12 (2011); one sum for
        each row instead of each number.
    """
    gradient = gradient.coalesce() if gradient.is_sparse else gradient.to_sparse(1).coalesce()
    rows, values = gradient.indices()[0], gradient.values()
    total = squares[rows] + values.square().mean(1, keepdim=True)
    squares[rows] = total
    table.index_add_(0, rows, values / (total.sqrt() + 1e-8), alpha=-rate)


def orthogonal(updates: list[Tensor], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Each update as a matrix with all singular values near one, in its own shape.

    A kernel ``(O, I, *K)`` is the matrix ``(O, I * prod(K))``. Tall ones are scaled by
    ``sqrt(rows / columns)``, so that a row has length one in every case. Equal shapes are
    iterated together: one batched product instead of many small ones.

    Source: Newton-Schulz iteration with the quintic of Jordan et al. 2024.
    """
    done: list[Tensor] = list(updates)
    for places in _same_shape(updates):
        first = updates[places[0]]
        rows, columns = first.shape[0], prod(first.shape[1:])
        stack = torch.stack([updates[i].reshape(rows, columns) for i in places]).to(dtype)
        turned = _newton_schulz(stack).to(first.dtype) * sqrt(max(1.0, rows / columns))
        for i, matrix in zip(places, turned, strict=True):
            done[i] = matrix.reshape(first.shape)
    return done


def _newton_schulz(x: Tensor) -> Tensor:
    """Shapes: ``(N, R, C) -> (N, R, C)``."""
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x  # the small side's products are cheaper
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)  # now no singular value is above 1
    wide = x.shape[2] >= LONG * x.shape[1] and x.dtype != torch.bfloat16
    x = _by_gram(x) if wide else _by_itself(x)
    return x.mT if tall else x


def _by_itself(x: Tensor) -> Tensor:
    a, b, c = _QUINTIC
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _by_gram(x: Tensor) -> Tensor:
    """The same iterations on ``x @ x.mT`` alone: every one is a polynomial of it, times x.

    Two products with the long side instead of ten. In bfloat16 small singular values would be
    lost in the rounding of the gram matrix, so there it is not done.
    """
    a, b, c = _QUINTIC
    gram, turned = x @ x.mT, None
    for left in reversed(range(ITERATIONS)):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        turned = factor if turned is None else factor @ turned
        gram = factor @ gram @ factor if left else gram
    assert turned is not None, "there is at least one iteration"
    return turned @ x


def _nesterov(gradients: list[Tensor], momenta: list[Tensor], momentum: float) -> list[Tensor]:
    torch._foreach_mul_(momenta, momentum)
    torch._foreach_add_(momenta, gradients)
    return list(torch._foreach_add(gradients, momenta, alpha=momentum))


def _normalise(kernels: list[Tensor]) -> None:
    """Length sqrt(O) for each kernel: a norm follows it, so only its direction matters.

    Then the rate is the angle of a step, the same in all layers and throughout the run.
    """
    lengths = torch._foreach_norm(kernels)
    torch._foreach_clamp_min_(lengths, 1e-7)
    torch._foreach_mul_(kernels, [sqrt(len(k)) / n for k, n in zip(kernels, lengths, strict=True)])


def _same_shape(tensors: list[Tensor]) -> list[list[int]]:
    places: dict[torch.Size, list[int]] = {}
    for i, tensor in enumerate(tensors):
        places.setdefault(tensor.shape, []).append(i)
    return list(places.values())


def _sorted_by_kind(network: nn.Module) -> tuple[dict[str, nn.Parameter], ...]:
    """Kernels (which a norm follows), matrices (dense layers, what ends a head), vectors, tables.

    What ends a head is the head itself, or what it calls "last": answers have no norm behind them.
    """
    tables: dict[str, nn.Parameter] = {}
    kernels: dict[str, nn.Parameter] = {}
    matrices: dict[str, nn.Parameter] = {}
    vectors: dict[str, nn.Parameter] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            if name.rpartition(".")[2].startswith("table"):
                tables[name] = parameter
            elif parameter.ndim < 2:
                vectors[name] = parameter
            elif parameter.ndim == 2 or _ends(name.split(".")):
                matrices[name] = parameter
            else:
                kernels[name] = parameter
    return kernels, matrices, vectors, tables


def _ends(path: list[str]) -> bool:
    """Whether a parameter belongs to the layer that answers."""
    inside = path[path.index("head") + 1 :] if "head" in path else []
    return bool(inside) and (len(inside) == 1 or inside[0].startswith("last"))


def _group(parameters: dict[str, nn.Parameter], lr: float, decay: float, *, muon: bool) -> Group:
    return Group(list(parameters), list(parameters.values()), lr, decay, muon)
