"""Samples of several lengths: padding is told from the values, and never changes an answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.datasets.prepare import prepare, standardised, stored_as
from foveal.datasets.size import of_lengths
from foveal.datasets.survey import survey
from foveal.forms import TextPart
from foveal.grid import Axis, time_axis
from foveal.networks.build import build
from foveal.networks.ragged import masked
from made import listing_of
from plans import lived, plan_for


def ragged_plan(rank, **changes):
    plan = plan_for(rank, stem="convolution", stem_width=6, **changes)
    data = replace(plan.data, fit="ragged", dtype="float32")
    return replace(plan, data=data)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("down", ["max", "energy", "average", "stride", "blur"])
@pytest.mark.parametrize("block", ["plain", "residual"])
def test_padding_never_changes_an_answer(rank, down, block):
    plan = ragged_plan(rank, down=down, block=block, gate=True)
    network = lived(build(plan))
    size = tuple(n - 3 for n in plan.data.size)
    x = np.random.default_rng(0).normal(100, 50, (2, *size)).astype(np.float32)
    alone = replace(plan.data, size=size)
    padded = prepare(x, plan.data)
    assert np.isnan(padded).any()
    with torch.inference_mode():
        short = network(torch.from_numpy(prepare(x, alone))[None])
        long = network(torch.from_numpy(padded)[None])
    torch.testing.assert_close(short, long, atol=1e-5, rtol=1e-5)


def test_a_long_sample_is_cut_and_a_short_one_filled_with_nan():
    data = ragged_plan(1).data
    long = prepare(np.arange(60, dtype=np.float32).reshape(2, 30), data)
    np.testing.assert_array_equal(long[0], np.arange(21))
    short = prepare(np.ones((2, 5), np.float32), data)
    assert np.isnan(short[:, 5:]).all()
    assert (short[:, :5] == 1).all()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_mask_is_one_on_real_cells_alone(rank):
    data = ragged_plan(rank).data
    x = torch.full((2, 2, *data.size), torch.nan)
    inside = (0, slice(None), *[slice(0, 4)] * rank)
    x[inside] = 7.0
    clean, mask = masked(x, data)
    assert mask.shape == (2, 1, *data.size)
    assert mask[0].sum() == 4**rank
    assert mask[1].sum() == 1  # nothing real: the first cell stands for it
    assert not clean.isnan().any()
    assert clean[0].sum() == 2 * 7 * 4**rank


def test_tokens_end_where_their_ids_are_zero():
    text = TextPart("words", True, ("a", "b"), (), 1, 2)
    data = replace(ragged_plan(1).data, text=text)
    x = torch.zeros(1, 1, 21, dtype=torch.int32)
    x[..., :3] = 2
    same, mask = masked(x, data)
    assert same is x
    assert mask.flatten().tolist() == [1.0] * 3 + [0.0] * 18
    assert stored_as(data) == "int32"


def test_what_is_never_padded_has_no_mask():
    data = plan_for(2).data
    x = torch.zeros(1, 2, 3, 3)
    assert masked(x, data) == (x, None)


def test_each_channel_of_a_sample_is_brought_to_one_scale():
    x = np.random.default_rng(0).normal(300, 40, (2, 50))
    x[1] = 9.0
    found = standardised(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose([found[0].mean(), found[0].std()], [0, 1], atol=1e-5)
    assert (found[1] == 0).all()
    data = replace(ragged_plan(1).data, scale="sample", fit="stretch", size=(50,))
    np.testing.assert_allclose(prepare(x, data), found, atol=1e-6)
    assert stored_as(data) == "float32"
    assert stored_as(replace(data, dtype="uint8")) == "float32"


def test_lengths_decide_size_and_fit():
    assert of_lengths(np.full((9, 1), 150))[:2] == ((150,), "stretch")
    size, fit, why, _ = of_lengths(np.arange(1, 1001).reshape(-1, 1))
    assert (size, fit) == ((996,), "ragged")
    assert "996 cells hold 199 of 200 samples whole" in why
    assert of_lengths(np.array([[2**20], [2**19]]))[0] == (2**18,)


def test_a_set_of_recordings_keeps_their_lengths():
    rng = np.random.default_rng(0)
    items = [rng.normal(5, 2, (1, 20 + i)).astype(np.float32) for i in range(10)]
    listing = listing_of(items, labels=[0, 1] * 5)
    axes = (time_axis(0.01),)
    read = listing.read

    def timed(i):
        sample = read(i)
        return replace(sample, grid=replace(sample.grid, axes=axes))

    found = survey(replace(listing, read=timed), remember=False)
    assert found.card.data == "signal"
    assert (found.card.size, found.card.fit) == ((29,), "ragged")
    row = found.store.gather(np.array([0]))[0, 0]
    assert row.isnan().tolist() == [False] * 20 + [True] * 9
    values = np.concatenate([item.ravel() for item in items])
    np.testing.assert_allclose(found.card.mean, [values.mean()], rtol=1e-5)
    np.testing.assert_allclose(found.card.std, [values.std()], rtol=1e-5)


def test_axes_say_what_the_data_is():
    from foveal.grid import IMAGE_AXES, TEXT_AXES, data_of

    z = Axis("z", 3.0, "mm")
    assert data_of(IMAGE_AXES) == "picture"
    assert data_of((z, *IMAGE_AXES)) == "volume"
    assert data_of((time_axis(0.04), *IMAGE_AXES)) == "video"
    assert data_of((time_axis(0.01),)) == "signal"
    assert data_of(TEXT_AXES) == "text"
    assert data_of((Axis("position", kind="order", mirrors=False),)) == "rows"
