"""Layers that turn with their input, for any set of flips, turns and exchanges of grid axes.

A *field* is a feature together with its answers for all n turns of a `Symmetry`: n channels.
Channel ``g * fields + k`` is field k seen by turn g. From the first convolution to the last:

    lift = LiftingConvolution(turns, channels, fields, 3)    # plain values in
    more = GroupConvolution(turns, fields, fields, 3)        # fields in, fields out
    pool = FieldPool(turns)                                  # numbers that no turn changes
    read = ReadOut(turns, fields, classes)                   # or a map that turns along

What else keeps the promise: activations and sums of features (cell by cell), `FieldNorm`,
`FieldDropout`, `FieldGate`, `join`, `CentredPool`, `resize`, and dense layers behind a
`FieldPool`. What breaks it: `MaxPool`, `BlurDown` and strides of a `Convolution` on sizes they do
not fit, flattening, positions, and norms or gates of single channels.
"""

from .convolution import (
    DepthwiseGroupConvolution,
    GroupConvolution,
    LiftingConvolution,
    SeparableGroupConvolution,
)
from .fields import FieldDropout, FieldGate, join
from .fold import fold
from .group import KINDS, Symmetry, Turn, closure, still, symmetry_of
from .norm import FieldNorm
from .readout import FieldPool, ReadOut

__all__ = [
    "KINDS",
    "DepthwiseGroupConvolution",
    "FieldDropout",
    "FieldGate",
    "FieldNorm",
    "FieldPool",
    "GroupConvolution",
    "LiftingConvolution",
    "ReadOut",
    "SeparableGroupConvolution",
    "Symmetry",
    "Turn",
    "closure",
    "fold",
    "join",
    "still",
    "symmetry_of",
]
