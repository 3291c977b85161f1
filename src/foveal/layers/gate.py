"""Gates: what the whole grid shows decides how much each channel counts."""

from torch import Tensor, nn

from . import axes
from .dense import Dense
from .pooling import GlobalPool


class SqueezeExcite(nn.Module):
    """Scales each channel by a number in (0, 1) read off the means of all channels.

    Args:
        channels: C. reduction: how many times narrower the hidden layer is.

    Shapes: ``(B, C, *S) -> (B, C, *S)``, mask ``(B, 1, *S)``; padding does not count.
    Raises: PlanError if a number is below 1.
    Source: Hu et al., arXiv:1709.01507, section 3.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        axes.count(channels, name="channels", where="SqueezeExcite")
        axes.count(reduction, name="reduction", where="SqueezeExcite")
        hidden = max(1, channels // reduction)
        self.pool = GlobalPool("average")
        self.squeeze = Dense(channels, hidden)
        self.excite = Dense(hidden, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        gate: Tensor = self.excite(self.squeeze(self.pool(x, mask)).relu()).sigmoid()
        return x * gate.view(*gate.shape, *[1] * (x.ndim - 2))
