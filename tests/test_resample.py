"""resize: one definition for every rank and dtype; nothing is blurred that need not be."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import laws
import reference
from foveal.errors import PlanError
from foveal.layers import channels_last, resize
from strategies import few, grid, grids, per_axis

RANKS = [1, 2, 3]


@few
@given(grids(), st.data())
def test_equals_the_definition(x, data):
    size = data.draw(per_axis(x.ndim - 2, 1, 7))
    np.testing.assert_allclose(
        resize(x, size).numpy(), reference.resize(x.numpy(), size), atol=1e-10
    )


@few
@given(st.data(), st.integers(1, 5), st.booleans())
def test_bytes_are_rounded_from_the_definition(data, channels, last):
    x = data.draw(grids(channels=channels))
    size = data.draw(per_axis(x.ndim - 2, 1, 7))
    pixels = (x * 80 + 128).round().clamp(0, 255).to(torch.uint8)
    out = resize(channels_last(pixels) if last else pixels, size)
    expected = reference.resize(pixels.numpy().astype(float), size)
    assert out.dtype == torch.uint8
    # The picture kernel rounds after each axis, the others once at the end.
    np.testing.assert_allclose(out.numpy(), expected, atol=1.01 if x.ndim == 4 else 0.501)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (4, 1), (1, 4)])
def test_bytes_come_out_right_where_a_picture_becomes_one_cell_wide(channels, size):
    # torch 2.13: an internal error for 3 channels and (1, 1), wrong values for 5 and (n, 1).
    pixels = torch.randint(0, 256, (2, channels, 40, 7), dtype=torch.uint8)
    expected = reference.resize(pixels.numpy().astype(float), size)
    np.testing.assert_allclose(resize(pixels, size).numpy(), expected, atol=0.501)


@few
@given(grids(), st.integers(0, 255), st.data())
def test_keeps_a_constant(x, value, data):
    size = data.draw(per_axis(x.ndim - 2, 1, 9))
    for dtype in (torch.float64, torch.uint8):
        out = resize(torch.full(x.shape, value, dtype=dtype), size)
        torch.testing.assert_close(out, torch.full_like(out, value))


@few
@given(grids(), st.data())
def test_does_not_care_how_axes_are_ordered_or_mirrored(x, data):
    size = data.draw(per_axis(x.ndim - 2, 1, 7))
    order = data.draw(st.permutations(range(len(size))))
    turn = (0, 1, *[2 + i for i in order])
    turned = resize(x.permute(turn), [size[i] for i in order])
    torch.testing.assert_close(turned, resize(x, size).permute(turn))
    axes = tuple(range(2, x.ndim))
    torch.testing.assert_close(resize(x.flip(axes), size), resize(x, size).flip(axes))


@pytest.mark.parametrize("rank", RANKS)
def test_leaves_a_grid_of_that_size_alone(rank):
    x = grid(rank)
    assert resize(x, x.shape[2:]) is x


@pytest.mark.parametrize("rank", [2, 3])
def test_leaves_an_axis_of_that_size_alone(rank):
    x = grid(rank).float()
    out = resize(x, (3, *x.shape[3:]))
    alone = resize(x.movedim(2, -1).flatten(0, -2)[:, None], (3,))
    torch.testing.assert_close(out, alone.view(*x.shape[:2], *x.shape[3:], 3).movedim(-1, 2))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_fine_pattern_fades_instead_of_folding(rank, dtype):
    """Stripes of one cell, shrunk 4 times, turn grey: without antialiasing they stay stripes."""
    cells = torch.arange(64) % 2 * 255
    x = cells.to(dtype).expand(1, 1, *[64] * rank).contiguous()
    inside = resize(x, [16] * rank)[(..., *[slice(1, -1)] * rank)].float()
    assert (inside - 127.5).abs().max() < 9


@pytest.mark.parametrize("rank", RANKS)
def test_growing_is_linear(rank):
    """A ramp stays a ramp between the first and the last cell's centres."""
    ramp = torch.arange(8.0).expand(1, 1, *[8] * rank).contiguous()
    out = resize(ramp, [16] * rank)[..., 1:-1]
    expected = (torch.arange(1, 15) + 0.5) / 2 - 0.5
    torch.testing.assert_close(out, expected.expand(out.shape))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(
    ("dtype", "back"),
    [
        (torch.float16, torch.float16),
        (torch.bfloat16, torch.bfloat16),
        (torch.int16, torch.float32),
        (torch.uint16, torch.float32),
        (torch.bool, torch.float32),
    ],
)
def test_takes_any_dtype(rank, dtype, back):
    x = (torch.arange(2**rank) % 2).view(1, 1, *[2] * rank).to(dtype)
    out = resize(x, [1] * rank)
    assert out.dtype == back
    assert out.item() == 0.5


@pytest.mark.parametrize("rank", RANKS)
def test_keeps_the_laws_of_every_layer(rank):
    class Resize(nn.Module):
        def forward(self, x):
            return resize(x, [4] * rank)

    laws.all_of_them(Resize(), grid(rank))


@pytest.mark.parametrize("rank", RANKS)
def test_cells_stay_together_in_memory(rank):
    x = torch.randn(2, 6, *[5] * rank)
    for size in ([8] * rank, [3] * rank, [8, *[5] * (rank - 1)]):
        found = resize(channels_last(x), size)
        torch.testing.assert_close(found, resize(x, size))
        assert found.stride(1) == 1


@pytest.mark.parametrize("rank", RANKS)
def test_halves_agree_with_the_definition_with_and_without_autocast(rank):
    x = torch.randn(2, 4, *[6] * rank).bfloat16()
    want = reference.resize(x.double().numpy(), (9,) * rank)
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            found = resize(x, [9] * rank)
        assert found.dtype == torch.bfloat16
        np.testing.assert_allclose(found.double().numpy(), want, atol=0.04)


def test_says_how_to_mend():
    with pytest.raises(PlanError, match=r"size \(4,\) does not fit an input of shape \(1, 3, 8, 8"):
        resize(torch.zeros(1, 3, 8, 8), [4])
    with pytest.raises(PlanError, match=r"size \(4, 0\)(.|\n)*whole number >= 1 for each axis"):
        resize(torch.zeros(1, 3, 8, 8), (4, 0))
    with pytest.raises(PlanError, match=r"\(1, 3, 0, 8\) has no cells(.|\n)*leave empty grids out"):
        resize(torch.zeros(1, 3, 0, 8), (4, 4))
