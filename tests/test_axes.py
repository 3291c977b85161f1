"""Windows: where they start, and what must be added so that ceil(S / stride) of them fit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from foveal.errors import PlanError
from foveal.layers import axes
from strategies import few, per_axis, ranks, sizes


@pytest.mark.parametrize(
    ("kernel", "stride", "start"),
    [
        (3, 1, 1),  # VGG
        (7, 2, 3),  # ResNet's stem
        (3, 2, 1),
        (1, 2, 0),
        (2, 2, 0),  # patches tile
        (4, 4, 0),
        (4, 2, 1),
        (2, 1, 0),  # as padding="same" of PyTorch: the odd cell goes behind
        (4, 1, 1),
        (7, 4, 2),
    ],
)
def test_windows_start_where_the_field_expects(kernel, stride, start):
    assert axes.before((kernel,), (stride,)) == (start,)
    assert reference.start(kernel, stride) == start


@few
@given(st.data())
def test_enough_is_added_and_never_too_much(data):
    rank = data.draw(ranks)
    size, width = data.draw(sizes(rank)), data.draw(per_axis(rank, 1, 7))
    stride = data.draw(per_axis(rank, 1, 5))
    start = axes.before(width, stride)
    extra = axes.missing(size, width, stride, start)
    for n, w, s, b, e in zip(size, width, stride, start, extra, strict=True):
        assert (n + 2 * b + e - w) // s + 1 == -(-n // s)
        assert e == 0 or (n + 2 * b + e - 1 - w) // s + 1 < -(-n // s)
        assert w % 2 == 0 or s > 2 or e == 0  # odd windows of stride 1 and 2 cost no copy


def test_adds_behind_each_axis():
    x = torch.ones(1, 1, 2, 3)
    assert axes.pad_behind(x, (0, 0)) is x
    out = axes.pad_behind(x, (1, 2), value=5)
    assert out.shape == (1, 1, 3, 5)
    assert (out[..., :2, :3] == 1).all()
    assert out.sum() == 6 + 9 * 5


def test_one_number_serves_every_axis():
    assert axes.per_axis(3, 2, name="kernel", where="here") == (3, 3)
    assert axes.per_axis([1, 2, 3], 3, name="kernel", where="here") == (1, 2, 3)


@pytest.mark.parametrize("value", [0, (1, 2, 3), (1, -1), (1.5, 2), ()])
def test_says_which_number_does_not_fit(value):
    with pytest.raises(PlanError) as caught:
        axes.per_axis(value, 2, name="kernel", where="Convolution")
    assert caught.value.what == f"kernel {value} does not fit a grid of rank 2"
    assert caught.value.where == "Convolution"
    assert caught.value.mend == "give one whole number >= 1, or 2 of them"


def test_says_that_a_rank_is_unknown():
    with pytest.raises(PlanError, match=r"rank is 4(.|\n)*give 1 \(signal\), 2 \(picture\)"):
        axes.per_axis(1, 4, name="kernel", where="Convolution")


def test_says_what_an_input_should_look_like():
    with pytest.raises(PlanError, match=r"input of shape \(2, 3, 8\) does not fit 4") as caught:
        axes.check_input(torch.zeros(2, 3, 8), 2, 4, where="Convolution")
    assert caught.value.mend == "give (B, 4, S, S)"


def test_says_what_counts_and_shares_are():
    with pytest.raises(PlanError, match=r"groups is 0(.|\n)*whole number >= 1"):
        axes.count(0, name="groups", where="here")
    with pytest.raises(PlanError, match=r"rate is 1\.0(.|\n)*\[0, 1\)"):
        axes.share(1.0, name="rate", where="here")
