"""Layers for grids of rank 1, 2 and 3, usable alone in any PyTorch code.

``rank`` is the first argument of whatever owns a kernel; the others never ask.
"""

from .activation import ACTIVATIONS, activation
from .blur import BlurDown, MaxBlurPool
from .convolution import (
    Convolution,
    SeparableConvolution,
    TransposedConvolution,
    depthwise,
    tiled,
)
from .dense import Dense
from .drop import DropPath
from .embed import Embed, Votes, forget
from .gate import SqueezeExcite
from .mask import hide, strided
from .memory import channels_last, kernels_channels_last
from .norm import BatchNorm, ChannelNorm, GroupNorm, norm
from .pooling import AdaptivePool, AveragePool, GlobalPool, GridPool, MaxPool, OpeningPool
from .resample import resize
from .shift import Shift
from .whiten import Whiten

__all__ = [
    "ACTIVATIONS",
    "AdaptivePool",
    "AveragePool",
    "BatchNorm",
    "BlurDown",
    "ChannelNorm",
    "Convolution",
    "Dense",
    "DropPath",
    "Embed",
    "GlobalPool",
    "GridPool",
    "GroupNorm",
    "MaxBlurPool",
    "MaxPool",
    "OpeningPool",
    "SeparableConvolution",
    "Shift",
    "SqueezeExcite",
    "TransposedConvolution",
    "Votes",
    "Whiten",
    "activation",
    "channels_last",
    "depthwise",
    "forget",
    "hide",
    "kernels_channels_last",
    "norm",
    "resize",
    "strided",
    "tiled",
]
