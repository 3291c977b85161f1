"""The part of the plan that is the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PARTS = 4  # along each axis, of a pooled grid
OPENING = 5  # first cells of a grid that are pooled apart


@dataclass(frozen=True, slots=True)
class NetPart:
    """The network: a stem, then stages of blocks, then a pooled head.

    stem: "convolution", "whiten" (frozen patch whitening, computed from training pixels) or
    "embed" (rows of a learned table, for text). stem_width, stem_kernel, stem_stride: the stem's
    convolution; of "embed" the width alone.
    block: "plain", "residual", "parallel" (the stages lie side by side on the stem and their
    outputs are joined: kernels of several widths over text), "factored" (each convolution over
    time and space is one over space and one over time) or "shifted" (a part of the channels moves
    one step along time before each convolution over space). down: how a stage halves: the
    "max" of a window, its "energy" (root of the mean square of what is positive), its "average",
    a "blur", or a "stride" of the convolution.
    widths, depths: channels and convolutions of each stage. strides, kernels: one tuple per stage,
    one number per axis. pool: "average" or "max" of what is left of the grid, "grid": of each of
    its parts, four along each axis, or "opening": the largest of all and of the first cells.
    hidden: widths of fully connected layers before the last.
    scale: factor on the logits. votes: tokens also vote for the answers directly, beside the
    convolutions (text). forget: share of tokens that become unknown ones in training. looks:
    positions in ``levels`` that a head of boxes looks at, the finest first; tower: its channels.
    vector: numbers that stand for a sample (embed); 0 where the head answers itself.
    symmetry: which moves of a sample leave its answer as it is, or move it along, by construction:
    "none", "flips" of axes, "rotations" (never mirrored) or "full" (both). Each field of n moves
    takes n channels; ``widths`` stay channels. turned: axes that it moves, by position, in sets:
    those of one set are exchanged with each other, others are not ([[1, 2]]: within slices;
    [[0], [1, 2]]: their order reversed, too).
    shift: what a shift by cells does to an answer: "plain" strides jump, "blur" smooths before
    each stride, "exact" rolls each sample that is asked about until its ends lie at the
    border, so that a circular shift changes nothing.
    """

    stem: Literal["convolution", "whiten", "embed"]
    stem_width: int
    stem_kernel: tuple[int, ...]
    stem_stride: tuple[int, ...]
    block: Literal["plain", "residual", "parallel", "factored", "shifted"]
    down: Literal["max", "energy", "average", "stride", "blur"]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    norm: Literal["batch", "group", "channel"]
    activation: Literal["relu", "gelu", "silu", "hardswish", "leaky_relu", "elu", "tanh"]
    gate: bool
    pool: Literal["average", "max", "grid", "opening"]
    hidden: tuple[int, ...]
    dropout: float
    drop_path: float
    scale: float
    votes: bool = False
    forget: float = 0.0
    looks: tuple[int, ...] = ()
    tower: int = 0
    vector: int = 0
    symmetry: Literal["none", "flips", "rotations", "full"] = "none"
    turned: tuple[tuple[int, ...], ...] = ()
    shift: Literal["plain", "blur", "exact"] = "plain"

    @property
    def features(self) -> int:
        """Channels that the stages give to the head."""
        return sum(self.widths) if self.block == "parallel" else self.widths[-1]

    @property
    def levels(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Channels and stride behind the stem and behind each stage, the finest first."""
        stride, found = self.stem_stride, [(self.stem_width, self.stem_stride)]
        for width, step in zip(self.widths, self.strides, strict=True):
            stride = tuple(a * b for a, b in zip(stride, step, strict=True))
            found.append((width, stride))
        return tuple(found)

    @property
    def places(self) -> int:
        """Numbers of each channel that come to the head."""
        return {"grid": int(PARTS ** len(self.stem_kernel)), "opening": 2}.get(self.pool, 1)
