"""Random convolutions and the ridge behind them, each against a slow reference."""

import itertools

import numpy as np
import pytest
import torch

from foveal.baselines.ridge import fit_ridge
from foveal.baselines.rocket import TRIPLES, fit_rocket, own, rocket_features

NAN = np.nan


def series(count=6, channels=1, length=40, seed=0):
    return np.random.default_rng(seed).normal(size=(count, channels, length)).astype(np.float32)


def slow_features(rocket, x):
    """One kernel, one place, one tap at a time."""
    out = []
    for number, dilation in enumerate(rocket.dilations):
        for kernel, triple in enumerate(itertools.combinations(range(9), 3)):
            weights = [2 if tap in triple else -1 for tap in range(9)]
            shares = []
            for item in x:
                real = int((~np.isnan(item[0])).sum())
                summed = item[rocket.channels[number][kernel], :real].sum(0)
                answer = [
                    sum(
                        w * summed[t + (tap - 4) * dilation]
                        for tap, w in enumerate(weights)
                        if 0 <= t + (tap - 4) * dilation < real
                    )
                    for t in range(real)
                ]
                edge = 4 * dilation if (number + kernel) % 2 and real > 8 * dilation else 0
                inner = np.array(answer[edge : real - edge])
                shares.append([(inner > b).mean() for b in rocket.biases[number][kernel]])
            out.append(np.array(shares))
    return np.concatenate(out, axis=1)


@pytest.mark.parametrize(("channels", "length"), [(1, 40), (3, 25), (1, 5)])
def test_features_are_shares_of_positive_answers(channels, length):
    x = series(4, channels, length)
    rocket = fit_rocket(x, features=84 * 4)
    found = rocket_features(rocket, x)
    assert found.shape == (4, rocket.features) == (4, 84 * 4)
    assert np.abs(found - slow_features(rocket, x)).max() < 0.5 / length + 1e-6
    assert np.isclose(found, slow_features(rocket, x), atol=1e-6).mean() > 0.999


def test_padding_behind_a_short_series_never_counts():
    x = series(5, 2, 40)
    rocket = fit_rocket(x, features=84 * 3)
    short = x.copy()
    short[1, :, 30:] = NAN
    wider = np.concatenate([short, np.full((5, 2, 20), NAN, np.float32)], 2)
    alone = rocket_features(rocket, short)
    assert np.allclose(alone, rocket_features(rocket, wider), atol=1e-6)
    assert np.allclose(alone[1], rocket_features(rocket, x[1:2, :, :30])[0], atol=1e-6)
    assert np.isclose(alone, slow_features(rocket, short), atol=1e-6).mean() > 0.999


def test_kernels_are_the_published_ones():
    rocket = fit_rocket(series(length=200))
    assert len(TRIPLES) == 84
    assert rocket.features == 9996
    assert rocket.dilations[0] == 1
    assert max(rocket.dilations) <= (200 - 1) / 8
    assert sum(b.shape[1] for b in rocket.biases) == 119


def test_the_same_seed_gives_the_same_kernels():
    x = series()
    first, again, other = (fit_rocket(x, features=840, seed=s) for s in (1, 1, 2))
    assert np.array_equal(np.hstack(first.biases), np.hstack(again.biases))
    assert not np.array_equal(np.hstack(first.biases), np.hstack(other.biases))


@pytest.mark.parametrize(("rows", "columns"), [(12, 30), (30, 7), (9, 9)])
def test_left_out_rows_are_answered_as_if_they_had_been_left_out(rows, columns):
    chance = np.random.default_rng(0)
    x, y = chance.normal(size=(rows, columns)), chance.normal(size=(rows, 2))
    alpha = 0.7
    found = fit_ridge(x, y, (alpha,))
    for i in range(rows):
        a, b = np.delete(x, i, 0), np.delete(y, i, 0)
        mean, base = a.mean(0), b.mean(0)
        inner = (a - mean).T @ (a - mean) + alpha * np.eye(columns)
        weights = np.linalg.solve(inner, (a - mean).T @ (b - base))
        assert np.allclose(found.left_out[i], (x[i] - mean) @ weights + base, atol=1e-8)
    whole = np.linalg.solve(
        (x - x.mean(0)).T @ (x - x.mean(0)) + alpha * np.eye(columns),
        (x - x.mean(0)).T @ (y - y.mean(0)),
    )
    assert np.allclose(found(x), (x - x.mean(0)) @ whole + y.mean(0))


def test_the_strength_with_the_least_error_is_taken():
    chance = np.random.default_rng(0)
    x = chance.normal(size=(40, 20))
    clear, noise = x[:, :1] * 3, chance.normal(size=(40, 1))
    assert fit_ridge(x, clear).alpha < fit_ridge(x, noise).alpha
    assert np.isfinite(fit_ridge(np.ones((5, 3)), noise[:5]).weights).all()  # nothing differs


def waves(count, seed):
    chance = np.random.default_rng(seed)
    y = np.arange(count) % 2
    t = np.arange(60)
    x = np.sin(t / np.where(y, 2, 4)[:, None] + chance.uniform(0, 6, (count, 1)))
    return (x[:, None] + chance.normal(0, 0.1, (count, 1, 60))).astype(np.float32), y


@pytest.mark.parametrize("shape", [(1, 60), (1, 2, 30)])
def test_as_a_baseline_it_tells_waves_apart(shape):
    x, y = waves(60, 0)
    x = x.reshape(60, *shape)
    model = own(lambda rows: torch.from_numpy(x[rows]), np.arange(40), np.arange(40, 60))
    said = model.answer(2.0 * np.eye(2)[y[:40]] - 1)
    assert said.shape == (20, 2)
    assert (said.argmax(1) == y[40:]).mean() == 1
    assert model.name == "random_convolutions"


def test_less_time_makes_the_model_smaller_and_says_so():
    x, y = waves(600, 0)

    def gather(rows):
        return torch.from_numpy(x[rows])

    model = own(gather, np.arange(590), np.arange(590, 600), seconds=0.01)
    assert "1,008 fixed random convolutions" in model.words
    assert "from 200 training series" in model.words
    assert (model.answer(2.0 * np.eye(2)[y[:590]] - 1).argmax(1) == y[590:]).all()
