"""Turns as matrices, slow definitions of what turns do, and how far a layer is from turning along.

The definitions work on numpy arrays, one cell at a time, and share no formula with src: cells are
counted from the middle of the grid in half steps, and a turn is a matrix on such places.
"""

import functools
import itertools

import numpy as np
import torch

from foveal.layers.symmetry import Symmetry, closure, symmetry_of

NAMED = {
    "1 none": symmetry_of(1, "none"),
    "1 full": symmetry_of(1, "full"),
    "2 none": symmetry_of(2, "none"),
    "2 flips": symmetry_of(2, "flips"),
    "2 one flip": symmetry_of(2, "flips", fixed=(0,)),
    "2 rotations": symmetry_of(2, "rotations"),
    "2 full": symmetry_of(2, "full"),
    "3 plane rotations": symmetry_of(3, "rotations", fixed=(0,)),
    "3 plane full": symmetry_of(3, "full", fixed=(0,)),
    "3 flips": symmetry_of(3, "flips"),
    "3 slices": symmetry_of(3, "full", alike=((1, 2),)),
    "3 rotations": symmetry_of(3, "rotations"),
    "3 full": symmetry_of(3, "full"),
}
ORDERS = dict(zip(NAMED, [1, 2, 1, 4, 2, 4, 8, 4, 8, 8, 16, 24, 48], strict=True))
SIZES = {1: [(8,), (9,), (5,)], 2: [(8, 8), (7, 7), (6, 9)], 3: [(4, 4, 4), (3, 3, 3), (4, 3, 6)]}


@functools.cache
def every_subgroup(rank):
    """All symmetries of a grid of that rank, each found from at most three turns."""
    whole = symmetry_of(rank, "full")

    def closed(members):
        more = {whole.product[a][b] for a in members for b in members}
        return members if more <= members else closed(frozenset(members | more))

    found = {frozenset([0])}
    for _ in range(3):
        found |= {closed(group | {more}) for group in found for more in range(len(whole))}
    turns = [tuple(whole.turns[i] for i in sorted(group)) for group in found]
    return [Symmetry(rank, chosen) for chosen in sorted(turns, key=lambda t: (len(t), t))]


@functools.cache
def generators(symmetry):
    """Numbers of a few turns that lead to all others: who keeps the promise for them keeps it."""
    chosen, reached = [], 1
    for number, turn in enumerate(symmetry.turns):
        more = closure(symmetry.rank, [symmetry.turns[i] for i in chosen] + [turn])
        if len(more) > reached:
            chosen, reached = [*chosen, number], len(more)
    assert reached == len(symmetry)
    return chosen


def matrix(turn):
    """M with M e_j = sign[j] * e_to[j]."""
    rank = len(turn.to)
    made = np.zeros((rank, rank), dtype=int)
    for j in range(rank):
        made[turn.to[j], j] = turn.sign[j]
    return made


def signed_permutations(rank):
    """All matrices with one entry of 1 or -1 in each row and column."""
    return [
        np.diag(signs) @ np.eye(rank, dtype=int)[list(order)]
        for order in itertools.permutations(range(rank))
        for signs in itertools.product((1, -1), repeat=rank)
    ]


def moved(m, x):
    """``out(p) = x(m^-1 p)`` on the last axes, cell by cell."""
    rank = len(m)
    lead, size = x.shape[: x.ndim - rank], np.array(x.shape[x.ndim - rank :])
    target = abs(m) @ size
    out = np.empty((*lead, *target), x.dtype)
    for p in np.ndindex(*target):
        place = np.rint(np.linalg.inv(m)).astype(int) @ (2 * np.array(p) - (target - 1))
        out[(..., *p)] = x[(..., *((place + size - 1) // 2))]
    return out


def at(x, place):
    """Values at a place in half steps from the middle; between cells, the mean; outside, 0."""
    size = np.array(x.shape[2:])
    cells = [
        ((p + n - 1) // 2,) if (p + n - 1) % 2 == 0 else ((p + n - 2) // 2, (p + n) // 2)
        for p, n in zip(place, size, strict=True)
    ]
    found = [
        x[(..., *cell)] if all(0 <= c < n for c, n in zip(cell, size, strict=True)) else 0
        for cell in itertools.product(*cells)
    ]
    return sum(found) / len(found)


def convolved(x, psi, m, stride):
    """``out(p) = sum over taps t of x(p + m t) psi(t)``: one turn of one kernel.

    x ``(B, C, *S)``, psi ``(K, C, *k)``, with ``ceil(S / stride)`` places around the middle.
    """
    size, kernel = x.shape[2:], np.array(psi.shape[2:])
    count = [-(-n // s) for n, s in zip(size, stride, strict=True)]
    out = np.zeros((x.shape[0], psi.shape[0], *count))
    for p in np.ndindex(*count):
        middle = (2 * np.array(p) - (np.array(count) - 1)) * stride
        for tap in np.ndindex(*kernel):
            seen = at(x, middle + m @ (2 * np.array(tap) - (kernel - 1)))
            if np.ndim(seen):
                out[(..., *p)] += seen @ psi[(..., *tap)].T
    return out


def lifted(x, psi, matrices, stride):
    """Field k seen by turn g is the answer of kernel k turned by g. ``(B, n, K, *T)``."""
    return np.stack([convolved(x, psi, m, stride) for m in matrices], 1)


def grouped(x, psi, matrices, stride):
    """x ``(B, n, C, *S)``, psi ``(K, C, n, *k)`` -> ``(B, n, K, *T)``: the defining double sum."""
    keys = {m.tobytes(): i for i, m in enumerate(matrices)}
    out = []
    for g in matrices:
        back = np.rint(np.linalg.inv(g)).astype(int)
        between = [keys[(back @ h).tobytes()] for h in matrices]
        terms = [convolved(x[:, h], psi[:, :, r], g, stride) for h, r in enumerate(between)]
        out.append(sum(terms))
    return np.stack(out, 1)


def read(x, psi, matrices, acts):
    """x ``(B, n, C, *S)``, psi ``(m, K, C, *k)``; ``acts(h)`` is the matrix by which turn h moves
    the m numbers of an answer. ``(B, m, K, *S)``."""
    out = 0
    for h, m in enumerate(matrices):
        still = (1,) * len(m)
        parts = np.stack([convolved(x[:, h], p, m, still) for p in psi], 1)
        out = out + np.einsum("ij,bj...->bi...", acts(m), parts)
    return out


def error(found, expected):
    """Largest difference as a share of the largest expected value."""
    assert found.shape == expected.shape, f"{tuple(found.shape)} for {tuple(expected.shape)}"
    return ((found - expected).abs().max() / expected.abs().max()).item()


def turning_error(layer, symmetry, x, *, inside="fields", outside="fields", numbers=None):
    """How far ``layer(turned x)`` is from turned ``layer(x)``, at worst."""
    moves = {
        "fields": symmetry.move_fields,
        "plain": symmetry.move,
        "still": lambda number, y: y,
        "read": getattr(layer, "move", None),
    }
    answer = run(layer, x)
    return max(
        error(run(layer, moves[inside](number, x)), moves[outside](number, answer))
        for number in numbers or generators(symmetry) or [0]
    )


def run(layer, x):
    """The answer, with the same chance each time."""
    torch.manual_seed(0)
    return layer(x)


def fields(symmetry, count, size, *, batch=2, seed=0):
    """Random fields ``(batch, n * count, *size)`` in float64."""
    made = torch.Generator().manual_seed(seed)
    channels = count * len(symmetry)
    return torch.randn(batch, channels, *size, generator=made, dtype=torch.float64)


def randomised(module, seed=0):
    """``module`` in float64 with all weights and running means away from where they start."""
    made = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.named_parameters():
            drawn = torch.randn(value.shape, generator=made)
            near = 1.0 if value.ndim == 1 and name.endswith("weight") else 0.0
            value.copy_(near + 0.3 * drawn)
        for name, value in module.named_buffers():
            if name.endswith("running_mean"):
                value.copy_(0.3 * torch.randn(value.shape, generator=made))
            elif name.endswith("running_var"):
                value.copy_(0.5 + torch.rand(value.shape, generator=made))
    return module.double()
