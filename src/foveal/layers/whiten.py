"""A first layer that needs no training: patches of the training pixels, decorrelated."""

from math import prod

import torch
from torch import Tensor, nn

from ..errors import PlanError
from . import axes
from .axes import Ints
from .convolution import Convolution, Padding


class Whiten(nn.Module):
    """A frozen convolution onto the principal directions of patches, and their negatives.

    With both signs, a ReLU behind it loses nothing. Before `fit` the directions are the single
    pixels of a patch. Only the bias is trained.

    Args:
        rank: number of grid axes. inputs: C. kernel, stride: cells, one per axis or one for
            all. eps: added to the variances, so that directions that hardly occur are not
            blown up without bound. outputs: K, twice the directions kept, those of largest
            variance first; all ``2 * C * prod(kernel)`` when None. padding: as `Convolution`.

    Shapes: ``(B, C, *S) -> (B, K, *T)`` with ``T[i] = ceil(S[i] / stride[i])``.
    Raises: PlanError if numbers do not fit ``rank``, or ``outputs`` is odd or too many.
    Source: Page, "How to train your ResNet", part 8 (2019); Jordan, arXiv:2404.00498,
        section 3.1. Ours: any rank, centred covariance, variances in falling order.
    """

    def __init__(
        self,
        rank: int,
        inputs: int,
        kernel: Ints,
        stride: Ints = 1,
        eps: float = 5e-4,
        outputs: int | None = None,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        self.rank, self.inputs, self.eps = rank, inputs, eps
        self.kernel = axes.per_axis(kernel, rank, name="kernel", where="Whiten")
        count = axes.count(inputs, name="inputs", where="Whiten") * prod(self.kernel)
        self.outputs = 2 * count if outputs is None else outputs
        if self.outputs % 2 or not 2 <= self.outputs <= 2 * count:
            raise PlanError(
                f"{self.outputs} outputs are not two for each of 1 to {count} directions",
                where="Whiten",
                mend=f"give an even number from 2 to {2 * count}",
            )
        self.convolution = Convolution(
            rank, inputs, self.outputs, self.kernel, stride=stride, padding=padding
        )
        self.convolution.weight.requires_grad_(False)
        self._set(torch.eye(count))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.convolution(x)
        return out

    @torch.no_grad()
    def fit(self, x: Tensor, *, limit: int = 200_000, seed: int = 0) -> None:
        """Takes the directions from normalised pixels.

        Args:
            x: ``(B, C, *S)``, as the layer will see them.
            limit: patches looked at; where there are more, that many are drawn.

        Raises: PlanError if ``x`` does not fit, is smaller than the kernel or is not finite.
        """
        axes.check_input(x, self.rank, self.inputs, where="Whiten.fit")
        if x.shape[0] == 0 or any(n < k for n, k in zip(x.shape[2:], self.kernel, strict=True)):
            raise PlanError(
                f"input of shape {tuple(x.shape)} holds no patch of {self.kernel}",
                where="Whiten.fit",
                mend="give larger samples or a smaller kernel",
            )
        patches = _patches(x, self.kernel, limit, seed).to(torch.float64)
        if not bool(torch.isfinite(patches).all()):
            raise PlanError(
                "the patches hold NaN or infinity",
                where="Whiten.fit",
                mend="give normalised pixels without them",
            )
        patches = patches - patches.mean(0)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        vectors = vectors.T.flip(0)  # rows, the largest variance first
        largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
        scale = (values.flip(0).clamp_min(0) + self.eps).rsqrt()
        self._set(vectors * largest.sign() * scale[:, None])

    @torch.no_grad()
    def _set(self, rows: Tensor) -> None:
        weight, rows = self.convolution.weight, rows[: self.outputs // 2]
        weight.copy_(torch.cat([rows, -rows]).reshape(weight.shape))


def _patches(x: Tensor, kernel: tuple[int, ...], limit: int, seed: int) -> Tensor:
    """Up to ``limit`` patches of ``x``. Shape ``(N, C * prod(kernel))``."""
    for axis, k in enumerate(kernel, start=2):
        x = x.unfold(axis, k, 1)
    x = x.movedim(1, 1 + len(kernel))  # (B, *T, C, *K): still a view
    places = x.shape[: 1 + len(kernel)]
    total = prod(places)
    chosen = torch.arange(total)
    if total > limit:
        chosen = torch.randint(total, (limit,), generator=torch.Generator().manual_seed(seed))
    # torch.unravel_index would do, but its first call loads sympy: 0.75 s.
    at: list[Tensor] = []
    for size in reversed(places):
        at.insert(0, chosen.to(x.device) % size)
        chosen = chosen // size
    return x[tuple(at)].flatten(1)
