"""Grids and settings of rank 1 to 3 for Hypothesis, small enough to loop over in Python."""

import torch
from hypothesis import settings
from hypothesis import strategies as st

few = settings(max_examples=25, deadline=None)

ranks = st.integers(1, 3)
LARGEST = {1: 9, 2: 6, 3: 4}  # cells along an axis


def per_axis(rank, low, high):
    """One number for each axis."""
    return st.tuples(*[st.integers(low, high)] * rank)


def sizes(rank, least=1):
    return per_axis(rank, least, LARGEST[rank])


@st.composite
def grids(draw, *, rank=ranks, channels=3, batch=2, least=1):
    """A float64 tensor ``(B, C, *S)`` of normal values."""
    size = draw(sizes(draw(rank), least))
    return tensor(draw, (batch, channels, *size))


@st.composite
def masked_grids(draw, *, channels=3, batch=2, least=1):
    """``(x, mask)``: each sample is real in its front corner, and has at least one cell."""
    x = draw(grids(channels=channels, batch=batch, least=least))
    mask = torch.zeros(batch, 1, *x.shape[2:], dtype=torch.float64)
    for sample in mask:
        ends = [draw(st.integers(1, n)) for n in x.shape[2:]]
        sample[(0, *[slice(end) for end in ends])] = 1
    return x, mask


def tensor(draw, shape):
    seed = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    return torch.randn(shape, generator=seed, dtype=torch.float64)


def grid(rank, *, channels=3, batch=2, cells=None, seed=0):
    """A plain example ``(B, C, *S)`` with another size along each axis."""
    size = [cells] * rank if cells else [7, 6, 5][:rank]
    made = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, *size, generator=made, dtype=torch.float64)
