"""Two paths from a text to its answers: votes of its tokens, and convolutions; and their shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..layers import Votes, forget
from ..plan import Plan

Convolved = Callable[[Tensor], Tensor]
SHARES = (1.0, 0.5)  # of votes and convolutions, until held-back texts have told better
STEADY = 4.0  # held-back texts that say what SHARES say, so that few others change little


class PathsOfText(nn.Module):
    """The sum of what tokens vote for and what convolutions find.

    In training a text goes one of the two ways by chance (``net.drop_path`` 0.5; less lets some
    texts go both), so that each learns to answer alone; else the convolutions would only learn
    what votes leave over. A way that is not gone costs nothing. Votes see texts with some tokens
    forgotten; convolutions see them whole (TREC, held-back questions, three seeds: 85.1 % whole,
    82.6 % with a fifth forgotten).

    How much each counts is told by held-back texts (`balance`): reviews are judged best by
    votes, short questions by convolutions.

    Shapes: ids ``(B, R, T)``; ``convolved`` makes them ``(B, K)`` -> ``(B, K)``.
    """

    shares: Tensor  # (2,)

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        net, text = plan.net, plan.data.text
        assert text is not None, "only text has such paths"
        self.forget, self.drop = net.forget, net.drop_path
        self.votes = Votes(len(text.words) + 2, text.buckets, plan.outputs) if net.votes else None
        if net.votes:
            self.register_buffer("shares", torch.tensor(SHARES))

    def forward(self, ids: Tensor, convolved: Convolved) -> Tensor:
        if self.votes is None:
            return convolved(ids)
        if not self.training:
            both: Tensor = self.shares[0] * self.votes(ids) + self.shares[1] * convolved(ids)
            return both
        own: Tensor = self.votes(forget(ids, self.forget) if self.forget else ids)
        coin = torch.rand(len(ids), device=ids.device)
        out = own * (coin >= self.drop)[:, None]
        rows = (coin <= 1 - self.drop).nonzero()[:, 0]
        # In half precision convolutions answer in 16 bits, and only equal types can be added up.
        return out.index_add(0, rows, convolved(ids[rows]).to(out.dtype)) if len(rows) else out

    def balance(
        self,
        batches: Iterable[tuple[Tensor, Tensor]],
        convolved: Convolved,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        """Set the shares that make the loss of held-back texts least.

        They stay above zero, and near `SHARES` where few texts speak. Without votes, or without
        texts, nothing happens.

        Args:
            batches: ids ``(B, R, T)`` and targets. loss: raw ``(N, K)``, targets -> scalar.
        """
        if self.votes is None:
            return
        with torch.no_grad():
            found = [(self.votes(ids), convolved(ids), target) for ids, target in batches]
        if found:
            own, raw, target = (torch.cat(part) for part in zip(*found, strict=True))
            self.shares.copy_(fitted(own, raw, lambda both: loss(both, target)))


def fitted(own: Tensor, raw: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """The shares ``(2,)`` of ``own`` and ``raw`` ``(N, K)`` for which ``loss`` of the sum is least.

    Two numbers on a logarithmic scale by L-BFGS: SciPy's, since the first optimiser of torch in a
    process imports its compiler, 2.4 s that a short deadline does not have.
    """
    from scipy.optimize import minimize

    start = torch.tensor(SHARES, dtype=torch.float64).log()
    own, raw, texts = own.double(), raw.double(), len(own)

    def value(tried: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logs = torch.from_numpy(tried).requires_grad_()
        with torch.enable_grad():
            shares = logs.exp()
            kept = STEADY / 2 * (logs - start).square().sum() / texts
            total = loss(shares[0] * own + shares[1] * raw) + kept
            (slope,) = torch.autograd.grad(total, logs)
        return float(total.detach()), slope.numpy()

    found = minimize(value, start.numpy(), jac=True, method="L-BFGS-B", tol=1e-9)
    return torch.from_numpy(found.x).exp().float()
