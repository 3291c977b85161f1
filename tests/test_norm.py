"""Norms: definitions with and without a mask, running means, layouts, messages."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import laws
import reference
from foveal.errors import PlanError
from foveal.layers import BatchNorm, ChannelNorm, GroupNorm, channels_last, norm
from strategies import few, grid, grids, masked_grids

RANKS = [1, 2, 3]
KINDS = ["batch", "group", "channel"]


def randomised(layer, seed=0):
    made = torch.Generator().manual_seed(seed)
    for value in layer.parameters():
        value.data = torch.randn(value.shape, generator=made)
    return layer.double()


def slow(layer, x, mask):
    """The definition that belongs to ``layer``."""
    x, mask = x.numpy(), mask.numpy()
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    if isinstance(layer, BatchNorm):
        return reference.batch_norm(x, mask, weight, bias, layer.eps)
    if isinstance(layer, GroupNorm):
        return reference.group_norm(x, mask, layer.groups, weight, bias, layer.eps)
    return reference.channel_norm(x, mask, weight, bias, layer.eps)


def layers(channels=4):
    return [BatchNorm(channels), GroupNorm(channels, 2), ChannelNorm(channels)]


@few
@given(grids(channels=4, least=2), st.integers(0, 9))
def test_equals_the_definition(x, seed):
    for layer in layers():
        out = randomised(layer, seed)(x).detach().numpy()
        expected = slow(layer, x, torch.ones_like(x[:, :1]))
        np.testing.assert_allclose(out, expected, atol=1e-10)


@few
@given(masked_grids(channels=4, batch=3), st.integers(0, 9))
def test_equals_the_definition_under_a_mask(case, seed):
    x, mask = case
    for layer in layers():
        out = randomised(layer, seed)(x.masked_fill(mask == 0, torch.nan), mask)
        np.testing.assert_allclose(out.detach().numpy(), slow(layer, x, mask), atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("training", [True, False])
def test_padding_never_changes_an_answer(kind, rank, training):
    x, pad = grid(rank, channels=4), [0, 2] * rank
    mask = F.pad(torch.ones(2, 1, *x.shape[2:]), pad)
    plain, padded = (randomised(norm(kind, 4)).train(training) for _ in range(2))
    expected = F.pad(plain(x), pad)
    torch.testing.assert_close(padded(F.pad(x, pad, value=1e3), mask), expected)
    torch.testing.assert_close(padded(F.pad(x, pad, value=1e3), mask.bool()), expected)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("masked", [True, False])
def test_batch_norm_remembers_means_and_unbiased_variances(rank, masked):
    ours = randomised(BatchNorm(4, momentum=0.3))
    found = np.zeros((2, 4))
    found[1] = 1
    for seed in range(3):
        x = grid(rank, channels=4, seed=seed)
        mask = (torch.rand(2, 1, *x.shape[2:]) < 0.8).double() if masked else None
        ours(x, mask)
        real = torch.ones_like(x[:, :1]) if mask is None else mask
        mean, _, unbiased = reference.batch_statistics(x.numpy(), real.numpy())
        found = 0.7 * found + 0.3 * np.stack([mean, unbiased])
    np.testing.assert_allclose(ours.running_mean, found[0], atol=1e-10)
    np.testing.assert_allclose(ours.running_var, found[1], atol=1e-10)


@pytest.mark.parametrize("rank", RANKS)
def test_batch_norm_without_a_mask_is_the_native_one(rank):
    x, ours = grid(rank, channels=4), BatchNorm(4).double()
    mean, var = torch.zeros(4).double(), torch.ones(4).double()
    theirs = F.batch_norm(x, mean, var, ours.weight, ours.bias, True, 0.1, 1e-5)
    torch.testing.assert_close(ours(x), theirs)
    torch.testing.assert_close((ours.running_mean, ours.running_var), (mean, var))


@pytest.mark.parametrize("rank", RANKS)
def test_batch_norm_in_evaluation_uses_what_it_remembers(rank):
    layer = randomised(BatchNorm(4))
    layer.running_mean, layer.running_var = torch.randn(4).double(), torch.rand(4).double() + 0.5
    x, wide = grid(rank, channels=4), (4, *[1] * rank)
    scale = layer.weight / (layer.running_var + layer.eps).sqrt()
    expected = (x - layer.running_mean.view(wide)) * scale.view(wide) + layer.bias.view(wide)
    out = layer.eval()(x)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(layer(x, torch.ones_like(x[:, :1])), expected)
    laws.keeps_samples_apart(layer, x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", RANKS)
def test_gradients_tracing_and_layouts(kind, rank):
    x = grid(rank, channels=4)
    layer = randomised(norm(kind, 4))
    laws.ignores_memory_layout(layer, x)
    laws.has_right_gradients(layer, x)
    laws.has_right_gradients(Masked(layer, (x[:, :1] > -1).double()), x)
    laws.traces(layer, x)
    laws.traces(layer, x, (x[:, :1] > 0).double())


class Masked(torch.nn.Module):
    def __init__(self, layer, mask):
        super().__init__()
        self.layer, self.mask = layer, mask

    def forward(self, x):
        return self.layer(x, self.mask)


@pytest.mark.parametrize("kind", ["group", "channel"])
@pytest.mark.parametrize("rank", RANKS)
def test_group_and_channel_norm_keep_samples_apart(kind, rank):
    laws.keeps_samples_apart(randomised(norm(kind, 4)), grid(rank, channels=4))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", RANKS)
def test_does_not_care_where_cells_lie(kind, rank):
    x, layer = grid(rank, channels=4), randomised(norm(kind, 4))
    axes = tuple(range(2, x.ndim))
    torch.testing.assert_close(layer(x.flip(axes)), layer(x).flip(axes))
    turn = (0, 1, *reversed(axes))
    torch.testing.assert_close(layer(x.permute(turn)), layer(x).permute(turn))


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_becomes_the_bias(kind):
    layer = randomised(norm(kind, 4))
    out = layer(torch.full((2, 4, 5), 3.0).double())
    torch.testing.assert_close(out, layer.bias.view(1, 4, 1).expand(2, 4, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", RANKS)
def test_half_precision_agrees_in_both_layouts(kind, rank):
    x, layer = grid(rank, channels=4).to(torch.bfloat16), norm(kind, 4)
    exact = layer(x.float())
    mask = torch.ones_like(x[:, :1])
    for out in (layer(x), layer(channels_last(x)), layer(x, mask)):
        assert out.dtype == torch.bfloat16
        torch.testing.assert_close(out.float(), exact, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_nothing_but_padding_stays_finite(kind):
    layer = norm(kind, 4)
    out = layer(torch.full((2, 4, 5), torch.inf), torch.zeros(2, 1, 5))
    assert (out == 0).all()
    assert all(value.isfinite().all() for value in layer.state_dict().values())


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 16), (24, 8), (7, 1)])
def test_groups_divide_the_channels_where_none_are_given(channels, groups):
    assert GroupNorm(channels).groups == groups


def test_says_how_to_mend():
    with pytest.raises(PlanError, match=r"no norm called 'bach'(.|\n)*did you mean 'batch'"):
        norm("bach", 4)
    with pytest.raises(PlanError, match=r"no norm called 'xyz'(.|\n)*one of batch, group, channel"):
        norm("xyz", 4)
    with pytest.raises(PlanError, match=r"3 groups do not divide 64 channels(.|\n)*such as 32"):
        GroupNorm(64, 3)
    with pytest.raises(PlanError, match=r"one value per channel(.|\n)*batch of at least 2"):
        BatchNorm(4)(torch.zeros(1, 4, 1))
    with pytest.raises(PlanError, match=r"channels is 0"):
        ChannelNorm(0)


def test_shows_what_it_is():
    shown = [repr(layer) for layer in layers(8)]
    assert shown == ["BatchNorm(8, momentum=0.1)", "GroupNorm(8, groups=2)", "ChannelNorm(8)"]
