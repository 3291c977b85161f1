"""tiny_cnn: learns what neighbouring cells tell, in every rank, the same way every time."""

import numpy as np
import pytest
import torch

from foveal.baselines.tiny_cnn import BATCH, ENOUGH, LEAST, own

SIZES = {1: (48,), 2: (16, 12), 3: (8, 10, 8)}


def stripes(rank, count=680, channels=1, seed=0):
    """Noise whose neighbours along the last axis are alike in one class, opposite in the other."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    x = rng.normal(0, 1, (count, channels, *SIZES[rank]))
    turn = np.roll(x, 1, -1)
    x = x + np.where(labels[:, None], 1, -1).reshape(count, *[1] * (rank + 1)) * turn
    return torch.from_numpy(x.astype(np.float32)), labels


def asked(x, labels, seconds=3.0, seed=0):
    rows = np.arange(len(x))
    model = own(lambda r: x[torch.from_numpy(np.asarray(r))], rows[:-80], rows[-80:],
                seconds=seconds, seed=seed)  # fmt: skip
    return model, model.answer(2.0 * np.eye(2)[labels[:-80]] - 1)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_neighbours_tell_the_class(rank):
    x, labels = stripes(rank, channels=rank)
    _, said = asked(x, labels)
    assert said.shape == (80, 2)
    assert (said.argmax(1) == labels[-80:]).mean() > 0.85  # a sum of cells has nothing to go by


def test_it_is_the_same_each_time_and_leaves_chance_alone():
    x, labels = stripes(2)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = asked(x, labels, seconds=0.01)[1]
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(asked(x, labels, seconds=0.01)[1], first)
    assert not np.array_equal(asked(x, labels, seconds=0.01, seed=1)[1], first)


def test_numbers_come_out_in_their_own_units():
    x, _ = stripes(2, count=240)
    x[:, :, :8] += torch.linspace(-2, 2, 240)[torch.randperm(240)][:, None, None, None]
    wanted = 1000 + 50 * x[:, :, :8].mean((1, 2, 3)).double().numpy()[:, None]
    rows = np.arange(240)
    model = own(lambda r: x[torch.from_numpy(np.asarray(r))], rows[:160], rows[160:])
    error = np.abs(model.answer(wanted[:160])[:, 0] - wanted[160:, 0]).mean()
    assert error < 0.5 * np.abs(wanted[160:] - wanted[:160].mean()).mean()


def test_time_sizes_it_and_padding_and_large_samples_are_taken():
    x, labels = stripes(2)
    little, much = (asked(x, labels, seconds=s)[0].words for s in (1e-6, 60.0))
    assert f"saw {LEAST * BATCH:,} samples" in little
    assert f"saw {ENOUGH * BATCH:,} samples" in much
    large = torch.randn(12, 2, 300, 200)
    large[:, :, 250:] = float("nan")  # behind a shorter sample
    rows = np.arange(12)
    model = own(lambda r: large[torch.from_numpy(np.asarray(r))], rows[:8], rows[8:], seconds=0.01)
    assert np.isfinite(model.answer(np.eye(2)[np.arange(8) % 2])).all()


def test_under_inference_mode_it_learns_all_the_same():
    x, labels = stripes(1)
    with torch.inference_mode():
        said = asked(x, labels, seconds=0.3)[1]
    assert np.isfinite(said).all()
