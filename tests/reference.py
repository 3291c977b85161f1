"""What each layer means, as slow loops over numpy arrays of shape ``(B, C, *S)``.

Written for reading: one output cell at a time, in float64, any rank, nothing shared with src.
"""

import itertools
import math

import numpy as np


def start(width, stride):
    """Cells by which window 0 starts before the grid: windows sit in the middle of their
    share of the grid, odd windows of stride 1 and 2 on a cell, and patches tile."""
    if stride >= width:
        return 0
    return min(math.ceil((width - stride) / 2), math.floor((width - 1) / 2))


def outputs(size, stride):
    return tuple(math.ceil(n / s) for n, s in zip(size, stride, strict=True))


def _inside(place, size):
    return all(0 <= p < n for p, n in zip(place, size, strict=True))


def _place(place, size, padding):
    """The cell that stands for one outside the grid, or None for zero."""
    if padding == "replicate":
        return tuple(min(max(p, 0), n - 1) for p, n in zip(place, size, strict=True))
    if padding == "circular":
        return tuple(p % n for p, n in zip(place, size, strict=True))
    return place if _inside(place, size) else None


def convolution(x, weight, bias, stride, dilation, groups=1, padding="zeros"):
    """out[o, t] = bias[o] + sum over i, k of weight[o, i, k] * x[i, t * stride - start + k * d]."""
    size, kernel = x.shape[2:], weight.shape[2:]
    starts = [start(d * (k - 1) + 1, s) for k, d, s in zip(kernel, dilation, stride, strict=True)]
    per_in, per_out = x.shape[1] // groups, weight.shape[0] // groups
    out = np.zeros((x.shape[0], weight.shape[0], *outputs(size, stride)))
    for t in np.ndindex(*out.shape[2:]):
        for k in np.ndindex(*kernel):
            terms = zip(t, stride, starts, k, dilation, strict=True)
            at = _place(tuple(i * s - b + j * d for i, s, b, j, d in terms), size, padding)
            if at is None:
                continue
            for o in range(weight.shape[0]):
                g = o // per_out
                seen = x[(slice(None), slice(g * per_in, (g + 1) * per_in), *at)]
                out[(slice(None), o, *t)] += seen @ weight[(o, slice(None), *k)]
    return out if bias is None else out + bias.reshape(-1, *[1] * len(size))


def transposed(x, weight, bias, stride):
    """Every input cell t lays ``x[t] * weight`` on the output from cell t * stride - start."""
    size, kernel = x.shape[2:], weight.shape[2:]
    out = np.zeros(
        (x.shape[0], weight.shape[1], *[n * s for n, s in zip(size, stride, strict=True)])
    )
    for t in np.ndindex(*size):
        for k in np.ndindex(*kernel):
            at = tuple(
                i * s - start(w, s) + j for i, s, j, w in zip(t, stride, k, kernel, strict=True)
            )
            if _inside(at, out.shape[2:]):
                values = x[(slice(None), slice(None), *t)] @ weight[(..., *k)]
                out[(slice(None), slice(None), *at)] += values
    return out if bias is None else out + bias.reshape(-1, *[1] * len(size))


def pool(x, kernel, stride, reduce, mask=None):
    """reduce over the real cells of each window; 0 where the output cell itself is padding."""
    size = x.shape[2:]
    mask = np.ones((x.shape[0], 1, *size)) if mask is None else mask
    out = np.zeros((*x.shape[:2], *outputs(size, stride)))
    for b in range(x.shape[0]):
        for t in np.ndindex(*out.shape[2:]):
            if not mask[(b, 0, *[i * s for i, s in zip(t, stride, strict=True)])]:
                continue
            firsts = [i * s - start(k, s) for i, s, k in zip(t, stride, kernel, strict=True)]
            spans = [range(first, first + k) for first, k in zip(firsts, kernel, strict=True)]
            cells = [
                x[(b, slice(None), *at)]
                for at in itertools.product(*spans)
                if _inside(at, size) and mask[(b, 0, *at)]
            ]
            out[(b, slice(None), *t)] = reduce(np.stack(cells), axis=0)
    return out


def adaptive(x, size, reduce):
    """Cell t of T reduces the cells from floor(t S / T) to ceil((t + 1) S / T)."""
    out = np.zeros((*x.shape[:2], *size))
    for t in np.ndindex(*size):
        spans = [
            slice(math.floor(i * n / m), math.ceil((i + 1) * n / m))
            for i, n, m in zip(t, x.shape[2:], size, strict=True)
        ]
        box = x[(slice(None), slice(None), *spans)]
        out[(slice(None), slice(None), *t)] = reduce(box.reshape(*x.shape[:2], -1), axis=-1)
    return out


def blur(x, stride):
    """out[t] = sum over k of binomial(k) * x[clamp(s * t + k - (s - 1))]."""
    rows = [[math.comb(2 * s - 2, k) / 4 ** (s - 1) for k in range(2 * s - 1)] for s in stride]
    size = x.shape[2:]
    out = np.zeros((*x.shape[:2], *outputs(size, stride)))
    for t in np.ndindex(*out.shape[2:]):
        for k in itertools.product(*[range(2 * s - 1) for s in stride]):
            at = [i * s + j - (s - 1) for i, s, j in zip(t, stride, k, strict=True)]
            weight = np.prod([row[j] for row, j in zip(rows, k, strict=True)])
            out[(..., *t)] += weight * x[(..., *_place(at, size, "replicate"))]
    return out


def resize(x, size):
    """One axis after another: the mean of the old cells under a triangle around the new one."""
    for axis, new in enumerate(size, start=2):
        old = x.shape[axis]
        x = np.moveaxis(x, axis, -1)
        out = np.zeros((*x.shape[:-1], new))
        for t in range(new):
            centre, reach = (t + 0.5) * old / new, max(1, old / new)
            weights = [max(0.0, 1 - abs(j + 0.5 - centre) / reach) for j in range(old)]
            out[..., t] = sum(w * x[..., j] for j, w in enumerate(weights)) / sum(weights)
        x = np.moveaxis(out, -1, axis)
    return x


def shift(x, axis, each):
    """Channel c of cell t comes from t - 1 (the first ``each``), t + 1 (the next), or t."""
    out = np.zeros_like(x)
    for c in range(x.shape[1]):
        step = -1 if c < each else 1 if c < 2 * each else 0
        for t in np.ndindex(*x.shape[2:]):
            at = tuple(i + step * (a == axis) for a, i in enumerate(t))
            if _inside(at, x.shape[2:]):
                out[(slice(None), c, *t)] = x[(slice(None), c, *at)]
    return out


def _real(x, mask, sample, channels):
    """The real values of some channels of one sample, in one row."""
    rows = x[sample][channels]
    return np.concatenate([row[mask[sample, 0] != 0] for row in rows])


def batch_statistics(x, mask):
    """Mean, biased and unbiased variance of each channel's real cells."""
    found = []
    for c in range(x.shape[1]):
        cells = np.concatenate([_real(x, mask, b, [c]) for b in range(x.shape[0])])
        found.append((cells.mean(), cells.var(), cells.var(ddof=1)))
    return np.array(found).T


def batch_norm(x, mask, weight, bias, eps):
    mean, var, _ = batch_statistics(x, mask)
    wide = (slice(None), *[None] * (x.ndim - 2))
    out = (x - mean[wide]) / np.sqrt(var[wide] + eps) * weight[wide] + bias[wide]
    return np.where(mask != 0, out, 0)


def group_norm(x, mask, groups, weight, bias, eps):
    out, per = np.zeros_like(x), x.shape[1] // groups
    for b in range(x.shape[0]):
        for g in range(groups):
            channels = list(range(g * per, (g + 1) * per))
            cells = _real(x, mask, b, channels)
            if not len(cells):
                continue
            for c in channels:
                done = (x[b, c] - cells.mean()) / math.sqrt(cells.var() + eps)
                out[b, c] = np.where(mask[b, 0] != 0, done * weight[c] + bias[c], 0)
    return out


def channel_norm(x, mask, weight, bias, eps):
    out = np.zeros_like(x)
    for b in range(x.shape[0]):
        for at in np.ndindex(*x.shape[2:]):
            if mask[(b, 0, *at)]:
                cell = x[(b, slice(None), *at)]
                done = (cell - cell.mean()) / math.sqrt(cell.var() + eps)
                out[(b, slice(None), *at)] = done * weight + bias
    return out


def squeeze_excite(x, mask, squeeze, excite):
    """squeeze and excite: pairs of weight and bias."""
    out = np.zeros_like(x)
    for b in range(x.shape[0]):
        means = np.array([_real(x, mask, b, [c]).mean() for c in range(x.shape[1])])
        hidden = np.maximum(0, squeeze[0] @ means + squeeze[1])
        gate = 1 / (1 + np.exp(-(excite[0] @ hidden + excite[1])))
        for c in range(x.shape[1]):
            out[b, c] = x[b, c] * gate[c]
    return out


def patches(x, kernel):
    """Every patch that lies inside the grid, as rows of ``C * prod(kernel)`` numbers."""
    places = [range(n - k + 1) for n, k in zip(x.shape[2:], kernel, strict=True)]
    rows = []
    for b, *at in itertools.product(range(x.shape[0]), *places):
        box = [slice(i, i + k) for i, k in zip(at, kernel, strict=True)]
        rows.append(x[(b, slice(None), *box)].ravel())
    return np.array(rows)
