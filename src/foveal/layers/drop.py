"""Drop path: in training, a residual branch is left out for some samples."""

from torch import Tensor, nn

from . import axes


class DropPath(nn.Module):
    """All of a sample or nothing of it; what stays is scaled up to keep the mean.

    Args:
        rate: probability that a sample loses the branch, in [0, 1). Nothing happens outside
            training.

    Shapes: ``(B, ...) -> (B, ...)``.
    Raises: PlanError for another rate.
    Source: Huang et al., arXiv:1603.09382, scaled in training instead of afterwards.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = axes.share(rate, name="rate", where="DropPath")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        coin = x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(keep)
        return x * coin.div_(keep)

    def extra_repr(self) -> str:
        return str(self.rate)
