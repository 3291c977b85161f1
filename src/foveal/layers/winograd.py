"""Convolutions in fewer multiplications: tiles of the grid, looked at in points instead of taps.

A kernel of r taps over a tile of m cells costs ``m * r`` multiplications. Both are polynomials;
their product is known from its values at ``m + r - 1`` points, each one multiplication. Over
channels these are ``m + r - 1`` products of matrices, which a processor does at its full rate: a
3 x 3 kernel on tiles of 4 x 4 needs 36 where the plain way needs 144. What it costs is moving
numbers to points and back, so narrow layers gain nothing; `tile_for` weighs both.

The samples go through in groups small enough for the processor's cache. Results differ from the
plain way by rounding alone (about 1e-5 of the largest value; the plain way's is 2e-6).

Source: Toom 1963 and Cook 1966 for the points; Winograd, "Arithmetic Complexity of Computations",
SIAM 1980; Lavin and Gray, arXiv:1509.09308, for layers and their gradients. Rows are scaled by
powers of two, which is exact (our choice; Barabasz et al., arXiv:1803.10986, weigh others).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import product
from math import prod

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)  # and infinity; more lose digits in float32
TILES = (2, 3, 4, 6)  # cells of a tile along an axis
MOST = 150  # points of a tile in all: more lose digits, too
MOVED = 60.0  # operations in whose time one number is moved (measured, two Xeon cores)
PLAIN = 1.15  # of the plain way against products of matrices, for the same operations
WORTH = 0.75  # share of the plain way's time from which tiles are taken
CACHED = 8 << 20  # bytes of a group of samples in all its forms

Shape = tuple[int, ...]


@functools.cache
def transforms(tile: int, taps: int) -> tuple[Tensor, Tensor, Tensor]:
    """A ``(m, n)``, B ``(n, n)`` and G ``(n, r)`` of one axis, n = m + r - 1, in float64.

    For cells d ``(n,)`` and a kernel g ``(r,)``, ``A @ ((B @ d) * (G @ g))`` is the correlation
    ``(m,)`` of both.
    """
    n = tile + taps - 1
    if n == 1:
        one = torch.ones(1, 1, dtype=torch.float64)
        return one, one, one
    a, g, all_of = (_powers(POINTS[: n - 1], columns) for columns in (tile, taps, n))
    b = torch.linalg.inv(all_of).T
    scale = 2.0 ** b.abs().amax(1, keepdim=True).log2().round()
    return a.T, b / scale, g * scale


@functools.cache
def matrices(tile: Shape, kernel: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """A, B, G of all axes at once, float32."""
    out = [torch.ones(1, 1, dtype=torch.float64)] * 3
    for m, r in zip(tile, kernel, strict=True):
        out = [torch.kron(x, y) for x, y in zip(out, transforms(m, r), strict=True)]
    a, b, g = (x.float().contiguous() for x in out)
    return a, b, g


def _powers(points: tuple[float, ...], columns: int) -> Tensor:
    """``p ** i`` in row p and column i; the last row is infinity, where only the highest counts."""
    rows = [[p**i for i in range(columns)] for p in points]
    return torch.tensor([*rows, [0.0] * (columns - 1) + [1.0]], dtype=torch.float64)


@dataclass(frozen=True)
class Tiling:
    """A grid of ``size`` cells cut into tiles for a kernel: the last ones may reach over its end.

    size, kernel, tile: one number per axis.
    """

    size: Shape
    kernel: Shape
    tile: Shape

    @functools.cached_property
    def count(self) -> Shape:
        """Tiles along each axis."""
        return tuple(-(-s // m) for s, m in zip(self.size, self.tile, strict=True))

    @functools.cached_property
    def points(self) -> Shape:
        """Points of a tile along each axis, as many as cells that it looks at."""
        return tuple(m + r - 1 for m, r in zip(self.tile, self.kernel, strict=True))

    @functools.cached_property
    def whole(self) -> Shape:
        """Cells of all tiles along each axis."""
        return tuple(c * m for c, m in zip(self.count, self.tile, strict=True))

    def work(self, inputs: int, outputs: int) -> float:
        """Operations of one sample, those included in whose time numbers move."""
        points, cells = prod(self.points), prod(self.tile)
        multiplied = 2 * points * (points * inputs + cells * outputs + inputs * outputs)
        moved = (4 * points + cells) * inputs + (2 * points + 3 * cells) * outputs
        return prod(self.count) * (multiplied + MOVED * moved)

    def group(self, inputs: int, outputs: int) -> int:
        """Samples that go through at once."""
        points, cells = prod(self.points), prod(self.tile)
        each = prod(self.count) * (2 * points * inputs + (points + cells) * outputs)
        return max(1, CACHED // (4 * each))


@functools.cache
def tile_for(size: Shape, kernel: Shape, inputs: int, outputs: int) -> Shape | None:
    """The tile that takes least time, or None where the plain way is faster.

    Kernels are odd; an axis of one tap is not tiled.
    """
    if max(kernel) == 1 or any(r % 2 == 0 for r in kernel):
        return None
    choices = [
        [m for m in TILES if r - 1 <= m <= len(POINTS) + 2 - r] if r > 1 else [1] for r in kernel
    ]
    tilings = [Tiling(size, kernel, tile) for tile in product(*choices)]
    tilings = [t for t in tilings if prod(t.points) <= MOST]
    best = min(tilings, key=lambda t: t.work(inputs, outputs), default=None)
    plain = prod(size) * (PLAIN * 2 * prod(kernel) * inputs * outputs + MOVED * (inputs + outputs))
    return None if best is None or best.work(inputs, outputs) > WORTH * plain else best.tile


def convolve(x: Tensor, weight: Tensor, tile: Shape) -> Tensor:
    """A convolution of "same" size and stride 1 with zeros around the grid, with gradients.

    Shapes: x ``(B, C, *S)``, weight ``(K, C, *kernel)``, both float32 on the CPU -> ``(B, K, *S)``
        in channels-last memory. tile: as `tile_for` gives it.
    """
    out: Tensor = _Tiled.apply(x, weight, tile)  # type: ignore[no-untyped-call]
    return out


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, tile: Shape) -> Tensor:
        ctx.save_for_backward(x, weight)
        tiling = Tiling(tuple(x.shape[2:]), tuple(weight.shape[2:]), tile)
        ctx.tiling = tiling  # type: ignore[attr-defined]
        a, b, g = matrices(tiling.tile, tiling.kernel)
        kernels = _at_points(weight.transpose(0, 1), g)
        cells = x.movedim(1, -1)
        out = x.new_empty(*cells.shape[:-1], len(weight))
        window = None
        for start, seen in _groups(cells, tiling.group(x.shape[1], len(weight))):
            window = _window(window, tiling, seen)
            points = torch.mm(b, window.look(seen)).view(len(b), -1, x.shape[1])
            found = torch.mm(a, torch.bmm(points, kernels).view(len(b), -1))
            _put(out[start : start + len(seen)], found, tiling)
        return out.movedim(-1, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        want_x, want_weight = ctx.needs_input_grad[:2]  # type: ignore[attr-defined]
        tiling: Tiling = ctx.tiling  # type: ignore[attr-defined]
        a, b, g = matrices(tiling.tile, tiling.kernel)
        inputs, outputs = x.shape[1], len(weight)
        cells, slopes = x.movedim(1, -1), gradient.movedim(1, -1)
        kernels = _at_points(weight, g)
        of_x = torch.empty_like(cells, memory_format=torch.contiguous_format) if want_x else None
        of_kernels = x.new_zeros(len(b), inputs, outputs)
        window = None
        for start, part in _groups(slopes, tiling.group(inputs, outputs)):
            back = torch.mm(a.T, _cut(part, tiling)).view(len(b), -1, outputs)
            if of_x is not None:
                spread = torch.mm(b.T, torch.bmm(back, kernels).view(len(b), -1))
                _overlap(of_x[start : start + len(part)], spread, tiling)
            if want_weight:
                seen = cells[start : start + len(part)]
                window = _window(window, tiling, seen)
                points = torch.mm(b, window.look(seen)).view(len(b), -1, inputs)
                of_kernels.baddbmm_(points.transpose(1, 2), back)
        of_weight = None
        if want_weight:
            taps = torch.mm(g.T, of_kernels.view(len(b), -1))
            of_weight = taps.view(*tiling.kernel, inputs, outputs).movedim((-1, -2), (0, 1))
        return None if of_x is None else of_x.movedim(-1, 1), of_weight, None


def _groups(cells: Tensor, samples: int) -> list[tuple[int, Tensor]]:
    """Where each group of samples starts, and the group."""
    return [(i, cells[i : i + samples]) for i in range(0, len(cells), samples)]


def _at_points(weight: Tensor, g: Tensor) -> Tensor:
    """Kernels ``(I, O, *kernel)`` at all points: ``(points, I, O)``."""
    taps = weight.flatten(2).permute(2, 0, 1).reshape(g.shape[1], -1)
    return torch.mm(g, taps).view(len(g), *weight.shape[:2])


class _Window:
    """Tiles with what lies around them, for groups of one number of samples."""

    def __init__(self, tiling: Tiling, like: Tensor) -> None:
        self.samples, channels = len(like), like.shape[-1]
        around = [w + r - 1 for w, r in zip(tiling.whole, tiling.kernel, strict=True)]
        room = like.new_zeros(len(like), *around, channels)
        self.inner = room
        for axis, (n, r) in enumerate(zip(tiling.size, tiling.kernel, strict=True), start=1):
            self.inner = self.inner.narrow(axis, r // 2, n)
        own, *steps, _ = room.stride()
        jumps = [m * s for m, s in zip(tiling.tile, steps, strict=True)]
        shape = (*tiling.points, len(like), *tiling.count, channels)
        self.tiles = room.as_strided(shape, (*steps, own, *jumps, 1))
        self.out = like.new_empty(shape)

    def look(self, seen: Tensor) -> Tensor:
        """Cells of every tile: ``(n, *size, C)`` -> ``(points, n * tiles * C)``."""
        self.inner.copy_(seen)
        return self.out.copy_(self.tiles).view(prod(self.out.shape[: seen.ndim - 2]), -1)


def _window(window: _Window | None, tiling: Tiling, seen: Tensor) -> _Window:
    """``window`` where it fits, else a new one (at the start, and for fewer samples at the end)."""
    fits = window is not None and window.samples == len(seen)
    return window if fits and window is not None else _Window(tiling, seen)


def _split(cells: Tensor, tile: Shape) -> Tensor:
    """A view ``(*tile, n, *count, C)`` of ``(n, *(count * tile), C)``."""
    rank = len(tile)
    parts = [n for s, m in zip(cells.shape[1:-1], tile, strict=True) for n in (s // m, m)]
    inside, outside = range(2, 2 * rank + 1, 2), range(1, 2 * rank, 2)
    return cells.view(len(cells), *parts, cells.shape[-1]).permute(
        *inside, 0, *outside, 2 * rank + 1
    )


def _cropped(cells: Tensor, start: Shape, size: Shape) -> Tensor:
    for axis, (first, n) in enumerate(zip(start, size, strict=True), start=1):
        cells = cells.narrow(axis, first, n)
    return cells


def _put(out: Tensor, found: Tensor, tiling: Tiling) -> None:
    """Write tiles ``(cells, n * tiles * K)`` into ``out`` ``(n, *size, K)``."""
    fits = tiling.whole == tiling.size
    room = out if fits else out.new_empty(len(out), *tiling.whole, out.shape[-1])
    target = _split(room, tiling.tile)
    target.copy_(found.view(target.shape))
    if not fits:
        out.copy_(_cropped(room, (0,) * len(tiling.size), tiling.size))


def _cut(cells: Tensor, tiling: Tiling) -> Tensor:
    """Tiles ``(cells, n * tiles * K)`` of ``(n, *size, K)``, zeros behind the grid's end."""
    if tiling.whole != tiling.size:
        room = cells.new_zeros(len(cells), *tiling.whole, cells.shape[-1])
        _cropped(room, (0,) * len(tiling.size), tiling.size).copy_(cells)
        cells = room
    return _split(cells.contiguous(), tiling.tile).reshape(prod(tiling.tile), -1)


def _overlap(out: Tensor, spread: Tensor, tiling: Tiling) -> None:
    """Sum tiles with what lies around them, ``(points, n * tiles * C)``, into ``(n, *size, C)``."""
    rank = len(tiling.tile)
    more = [m * (c + 1) for m, c in zip(tiling.tile, tiling.count, strict=True)]
    room = out.new_zeros(len(out), *more, out.shape[-1])
    target = _split(room, tiling.tile)
    tiles = spread.view(*tiling.points, len(out), *tiling.count, out.shape[-1])
    over = [(0,) if r == 1 else (0, 1) for r in tiling.kernel]
    for corner in product(*over):
        source, there = tiles, target
        for axis, behind in enumerate(corner):
            m, many = tiling.tile[axis], tiling.count[axis]
            cells = tiling.points[axis] - m if behind else m
            source = source.narrow(axis, m * behind, cells)
            there = there.narrow(axis, 0, cells).narrow(rank + 1 + axis, behind, many)
        there.add_(source)
    out.copy_(_cropped(room, tuple(r // 2 for r in tiling.kernel), tiling.size))
