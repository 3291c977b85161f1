"""A matrix along each axis: the definition, whatever the memory, and gradients."""

import pytest
import torch

from foveal.layers.along import along
from foveal.layers.memory import channels_last

LETTERS = "xyz"


def _both(rank, new=(3, 7, 2)):
    torch.manual_seed(rank)
    size = (5, 4, 6)[:rank]
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    pairs = zip(new[:rank], size, strict=True)
    return x, [torch.randn(t, s, dtype=torch.float64) for t, s in pairs]


@pytest.mark.parametrize("new", [(3, 7, 2), (10, 9, 11), (2, 3, 4)], ids=["both", "more", "less"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_equals_the_sum_over_each_axis(rank, last, new):
    x, matrices = _both(rank, new)
    inside, outside = LETTERS[:rank], LETTERS[:rank].upper()
    terms = ",".join(o + i for o, i in zip(outside, inside, strict=True))
    want = torch.einsum(f"bc{inside},{terms}->bc{outside}", x, *matrices)
    found = along(channels_last(x) if last else x, matrices)
    torch.testing.assert_close(found, want)
    assert (found.stride(1) == 1) == last


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_has_the_right_gradient(rank, last):
    x, matrices = _both(rank)
    x = (channels_last(x) if last else x).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: along(v, matrices), x)


@pytest.mark.parametrize("last", [False, True])
def test_an_axis_without_a_matrix_stays(last):
    x, (one, _, three) = _both(3)
    want = along(x, (one, torch.eye(4, dtype=torch.float64), three))
    found = along(channels_last(x) if last else x, (one, None, three))
    torch.testing.assert_close(found, want)
    assert torch.equal(along(x, (None, None, None)), x)


def test_one_channel_is_no_matter_of_memory():
    x, matrices = _both(2)
    torch.testing.assert_close(along(x[:, :1], matrices), along(x, matrices)[:, :1])


def test_an_empty_batch_stays_empty():
    x, matrices = _both(2)
    assert along(x[:0], matrices).shape == (0, 3, 3, 7)
