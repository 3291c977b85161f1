"""Random changes that keep the label, made on whole batches of any rank at once.

Nothing here looks at one sample at a time: shifts are windows into one padded batch, mirrors a
choice between two batches. Rates are printed by `benchmarks/data.py`.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import PlanError
from ..plan import AugmentPart
from .moved import louder, spun, warped, zoomed

if TYPE_CHECKING:
    from .truths import Truth

_CACHED = 2**17  # values worked on at a time
_MEASURED = 2**18  # values from which a batch is told to be bright or dark


def augment(
    x: Tensor,
    part: AugmentPart,
    *,
    generator: torch.Generator,
    epoch: int = 0,
    index: Tensor | None = None,
) -> Tensor:
    """A changed copy of ``x`` with its shape and dtype; ``x`` itself when nothing is asked for.

    Of targets that move with the grid: `augment_both`.

    All chance comes from ``generator``, so a step can be repeated exactly. Memory stays
    channels-last, as `Store.gather` gives it.

    Args:
        x: raw cache values, uint8 or float.
        epoch: number of this pass; with ``part.alternate`` every pass mirrors what the last left.
        index: ``(B,)`` position of each sample in its part, needed by ``part.alternate``.

    Shapes: ``(B, C, *S) -> (B, C, *S)``.
    Source: mirror, shift and reflected border after He et al., arXiv:1512.03385, section 4.2;
        alternating mirror after Jordan, arXiv:2404.00498, section 3.5; cut-out after DeVries and
        Taylor, arXiv:1708.04552, filled with the mean of the batch.
    """
    x, _ = _moved(x, None, None, part, generator, epoch, index)
    return _changed(x, part, generator)


def augment_both(
    x: Tensor,
    y: Tensor,
    truth: Truth,
    part: AugmentPart,
    *,
    generator: torch.Generator,
    epoch: int = 0,
    index: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`augment` of samples and of their targets ``y``, which move as ``truth`` says.

    The samples come out as without targets, to the last bit. ``part.warp`` must be none.
    """
    assert not any(part.warp), "targets on the grid are not warped"
    if part.turn:
        raise PlanError(
            f"targets that lie on the grid are not turned by {part.turn:g} degrees",
            where="plan.json: augment.turn",
            mend="set augment.turn to 0; net.symmetry keeps flips and quarter turns exactly",
        )
    x, moved = _moved(x, y, truth, part, generator, epoch, index)
    assert moved is not None, "targets went in"
    return _changed(x, part, generator), moved


def _moved(
    x: Tensor,
    y: Tensor | None,
    truth: Truth | None,
    part: AugmentPart,
    generator: torch.Generator,
    epoch: int,
    index: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Mirrors and shifts of ``x``, and of ``y`` where it lies on the same grid."""
    if x.shape[0] == 0:
        return x, y
    size = tuple(x.shape[2:])
    for axis, may in enumerate(part.flip):
        if may and x.shape[2 + axis] > 1:
            coins = _coins(x, axis, part.alternate, generator, epoch, index)
            x = mirror(x, axis, coins)
            if y is not None and truth is not None:
                y = truth.mirror(y, axis, coins, size)
    shifts = [min(n, s - 1) for n, s in zip(part.translate, x.shape[2:], strict=True)]
    if part.turn:
        x, shifts = _turned(x, part, shifts, generator)
    if any(shifts):
        starts = [torch.randint(2 * n + 1, x.shape[:1], generator=generator) for n in shifts]
        chosen = torch.stack(starts, 1).to(x.device)
        x = translate(x, shifts, chosen)
        if y is not None and truth is not None:
            y = truth.translate(y, shifts, chosen, size)
    still = truth is not None and truth.zoom is None  # targets that would be left behind
    if part.zoom and not still:
        scale, offset = _frames(x, part.zoom, generator)
        x = zoomed(x, scale, offset)
        if y is not None and truth is not None and truth.zoom is not None:
            y = truth.zoom(y, scale, offset, size)
    return x, y


def _turned(
    x: Tensor, part: AugmentPart, shifts: list[int], generator: torch.Generator
) -> tuple[Tensor, list[int]]:
    """``x`` turned and moved in a plane, in one pass, and the shifts that are left to be made."""
    planes = list(itertools.combinations(part.plane, 2))
    if not planes or max(part.plane) >= len(shifts):
        raise PlanError(
            f"no plane to turn in: {list(part.plane)} on a grid of {len(shifts)} axes",
            where="plan.json: augment.plane",
            mend="name two axes of equal cells, as in [0, 1], or set augment.turn to 0",
        )
    number = int(torch.randint(len(planes), (), generator=generator)) if len(planes) > 1 else 0
    one, other = planes[number]
    x = spun(x, (one, other), part.turn, (shifts[one], shifts[other]), generator)
    return x, [0 if axis in (one, other) else n for axis, n in enumerate(shifts)]


def _frames(x: Tensor, reach: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Scale and offset ``(B, rank)`` of a frame for each sample: as much larger as smaller, and
    anywhere in it."""
    size = torch.tensor(x.shape[2:], dtype=torch.float32)
    draw = torch.rand(x.shape[0], 1 + len(size), generator=generator)
    scale = torch.exp((2 * draw[:, :1] - 1) * math.log1p(reach)).expand(-1, len(size))
    return scale.to(x.device), (draw[:, 1:] * size * (1 - scale)).to(x.device)


def _changed(x: Tensor, part: AugmentPart, generator: torch.Generator) -> Tensor:
    """What changes values and leaves places."""
    if x.shape[0] == 0:
        return x
    if any(part.warp):
        x = warped(x if x.is_floating_point() else x.float(), part.warp, generator)
    if part.gain:
        x = louder(x, part.gain, generator)
    if part.brightness or part.contrast:
        draw = torch.rand(2, x.shape[0], generator=generator).to(x.device) * 2 - 1
        x = recolour(x, part.brightness * draw[0], 1 + part.contrast * draw[1])
    if part.cutout:
        x = cut_out(x, part.cutout, generator)
    return x


def mirror(x: Tensor, axis: int, coins: Tensor) -> Tensor:
    """``x`` with the samples whose coin is 1 mirrored along grid axis ``axis``."""
    # One flip of the whole batch and one choice of rows: three times as fast as mirroring the
    # chosen rows alone, since only whole channels-last batches take torch's vector path.
    both = torch.cat([_cells_first(x), _cells_first(x.flip(2 + axis))])
    rows = torch.arange(x.shape[0], device=x.device) + x.shape[0] * coins.to(x.device).long()
    return both.index_select(0, rows).movedim(-1, 1)


def translate(x: Tensor, reach: list[int], starts: Tensor) -> Tensor:
    """A window of ``x``'s size cut from ``x`` with ``reach[i]`` reflected cells on each side.

    Args:
        starts: ``(B, rank)``, each between 0 and ``2 * reach[i]``; ``reach[i]`` leaves the axis be.
    """
    padded = _reflected(_cells_first(x), reach)
    stride, window = padded.stride(), _cells_first(x).shape[1:]
    last = sum((n - 1) * s for n, s in zip(window, stride[1:], strict=True))
    # Every window of the batch's memory, without a copy: the first axis is where it starts.
    every = padded.as_strided((padded.numel() - last, *window), (1, *stride[1:]))
    steps = torch.tensor(stride[1:-1], device=x.device)
    rows = torch.arange(x.shape[0], device=x.device) * stride[0] + (starts * steps).sum(1)
    return every.index_select(0, rows).movedim(-1, 1)


def recolour(x: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Each sample stretched by ``contrast`` about the mean, moved by ``brightness`` stds.

    Both are ``(B,)``; mean and std are per channel, of 8 to 64 samples of the batch. Whole
    numbers are rounded and held within their dtype.
    """
    cells = _cells_first(x)
    # One row for each line of cells: a last axis of 3 would cost ten times as much.
    rows = cells.view(x.shape[0], -1, cells.shape[-2] * cells.shape[-1])
    some = max(8, min(64, _MEASURED // max(rows[0].numel(), 1)))
    mean, std = _moments(rows[:: -(-len(rows) // some)], x.shape[1])
    factor = contrast.to(mean.dtype)[:, None]
    offset = (1 - factor) * mean + brightness.to(mean.dtype)[:, None] * std
    offset = offset.repeat(1, cells.shape[-2])[:, None]
    out = torch.empty_like(rows)
    step = max(1, _CACHED // max(rows[0].numel(), 1))
    for at in range(0, len(rows), step):  # parts that stay in the processor's cache: twice as fast
        part = slice(at, at + step)
        values = rows[part].to(mean.dtype)
        out[part] = _as(torch.addcmul(offset[part], values, factor[part, :, None]), x.dtype)
    return out.view(cells.shape).movedim(-1, 1)


def cut_out(x: Tensor, edge: int, generator: torch.Generator) -> Tensor:
    """``x`` with one box of ``edge`` cells along each axis filled with the batch's channel means.

    The box lies wholly inside; along an axis shorter than ``edge`` it takes the whole axis.
    """
    cells = _cells_first(x)
    at = torch.zeros((x.shape[0], 1), dtype=torch.int64)
    for size in x.shape[2:]:  # flat positions of the cells in every box, one axis after another
        width = min(edge, size)
        start = torch.randint(size - width + 1, (x.shape[0], 1), generator=generator)
        span = start + torch.arange(width)
        at = (at[:, :, None] * size + span[:, None, :]).flatten(1)
    each = math.prod(x.shape[2:])
    at = (at + each * torch.arange(x.shape[0])[:, None]).flatten().to(x.device)
    rows = cells.view(x.shape[0], -1, cells.shape[-2] * cells.shape[-1])
    fill = _as(_channel_means(rows, x.shape[1]), x.dtype)
    out = cells.clone().view(-1, x.shape[1])
    out.index_copy_(0, at, fill.expand(len(at), -1).contiguous())
    return out.view(cells.shape).movedim(-1, 1)


def _coins(
    x: Tensor,
    axis: int,
    alternate: bool,
    generator: torch.Generator,
    epoch: int,
    index: Tensor | None,
) -> Tensor:
    """0 or 1 per sample: drawn, or each sample's own fixed coin turned over every epoch."""
    if not alternate:
        return torch.randint(2, x.shape[:1], generator=generator)
    assert index is not None, "alternating mirrors need the position of each sample"
    # A mixed index, not its lowest bit: neighbours in a file are often alike.
    mixed = (index + 1) * 0x5851F42D4C957F2D + (axis + 1) * 0x14057B7EF767814F
    mixed = (mixed ^ (mixed >> 29)) * 0x2545F4914F6CDD1D
    return ((mixed >> 40) & 1) ^ (epoch & 1)


def _cells_first(x: Tensor) -> Tensor:
    """``(B, *S, C)``, contiguous; no copy when ``x`` already lies in memory channels-last."""
    return x.movedim(1, -1).contiguous()


def _moments(rows: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and std ``(C,)`` of ``(B, lines, cells * C)``, where the channel runs fastest."""
    values = rows if rows.is_floating_point() else rows.float()
    mean = _channel_means(values, channels)
    spread = values - mean.repeat(values.shape[-1] // channels)
    return mean, _channel_means(spread.square_(), channels).sqrt()


def _channel_means(rows: Tensor, channels: int) -> Tensor:
    """Means ``(C,)`` of ``(B, lines, cells * C)``, where the channel runs fastest."""
    wide = rows.mean((0, 1), dtype=None if rows.is_floating_point() else torch.float32)
    return wide.view(-1, channels).mean(0)


def _reflected(cells: Tensor, reach: list[int]) -> Tensor:
    """``(B, *S, C)`` with ``reach[i]`` mirrored cells on both sides of axis i, edge not repeated.

    Written as copies of one slab each: 5 times as fast as gathering through an index, and torch
    has no reflecting pad for uint8.
    """
    batch, *size, channels = cells.shape
    wide = [s + 2 * n for s, n in zip(size, reach, strict=True)]
    out = cells.new_empty((batch, *wide, channels))
    middle = out
    for axis, (s, n) in enumerate(zip(size, reach, strict=True)):
        middle = middle.narrow(1 + axis, n, s)
    middle.copy_(cells)
    for axis in reversed(range(len(size))):
        s, n = size[axis], reach[axis]
        part = out  # later axes are already wide; earlier ones still only hold their middle
        for before in range(axis):
            part = part.narrow(1 + before, reach[before], size[before])
        for j in range(n):
            part.select(1 + axis, j).copy_(part.select(1 + axis, 2 * n - j))
            part.select(1 + axis, n + s + j).copy_(part.select(1 + axis, n + s - 2 - j))
    return out


def _as(values: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype.is_floating_point:
        return values.to(dtype)
    limits = torch.iinfo(dtype)
    return values.round_().clamp_(limits.min, limits.max).to(dtype)
