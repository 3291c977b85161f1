"""Batches: every row once, an order that can be found again, and a device that may hold it all."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foveal.datasets.batches import Batches
from foveal.datasets.cache import Store
from foveal.errors import PlanError


def numbered(count):
    """A store whose row i holds the value i everywhere."""
    return Store.from_array(np.arange(count, dtype=np.float32).repeat(12).reshape(count, 2, 2, 3))


def batches(count=20, **choices):
    rows = np.arange(count)[::-1].copy()
    choices = {"batch": 6, "seed": 0, **choices}
    return Batches(numbered(count), rows, torch.from_numpy(rows * 10), **choices)


@given(st.integers(1, 40), st.integers(1, 12), st.booleans())
def test_an_epoch_gives_each_row_at_most_once(count, size, shuffle):
    given_out = list(batches(count, batch=size, shuffle=shuffle).epoch(0))
    index = torch.cat([b.index for b in given_out])
    assert len(given_out) == len(batches(count, batch=size, shuffle=shuffle))
    assert len(index.unique()) == len(index)
    if not shuffle:
        assert index.tolist() == list(range(count))
    elif count >= size:
        assert {len(b.index) for b in given_out} == {size}
        assert len(index) == count // size * size
    else:
        assert len(index) == count


def test_pixels_targets_and_index_belong_together():
    for batch in batches().epoch(3):
        assert batch.y is not None
        rows = 19 - batch.index
        assert torch.equal(batch.y, rows * 10)
        assert torch.equal(batch.x, rows.float()[:, None, None, None].expand(-1, 3, 2, 2))
        assert batch.mask is None


def test_the_order_follows_from_seed_and_epoch_alone():
    first, again = batches(), batches()
    list(first.epoch(0))
    assert torch.equal(first.order(5), again.order(5))
    orders = {tuple(batches(seed=s).order(e).tolist()) for s in range(4) for e in range(4)}
    assert len(orders) == 16


def test_an_epoch_can_be_taken_up_in_the_middle():
    whole = [b.index.tolist() for b in batches().epoch(2)]
    assert [b.index.tolist() for b in batches().epoch(2, start=1)] == whole[1:]
    assert list(batches().epoch(2, start=3)) == []


def test_global_chance_is_neither_used_nor_moved():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(batches().epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_are_channels_last_and_free_to_change():
    source = batches()
    (batch, *_) = source.epoch(0)
    assert batch.x.movedim(1, -1).is_contiguous()
    batch.x.zero_()
    assert torch.equal(next(iter(source.epoch(0))).index, batch.index)
    assert next(iter(source.epoch(0))).x.any()


def test_no_rows_give_no_batches():
    empty = Batches(numbered(3), np.zeros(0, np.int64), None, batch=4)
    assert len(empty) == 0
    assert list(empty.epoch(0)) == []


def test_targets_may_be_absent():
    (batch,) = Batches(numbered(3), np.arange(3), None, batch=4, shuffle=False).epoch(0)
    assert batch.y is None
    assert len(batch.x) == 3


def test_a_batch_of_none_is_refused():
    with pytest.raises(PlanError, match=r"batch is 0(.|\n)*fit\.batch"):
        batches(batch=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_set_lives_there():
    here, there = batches(), batches(device="cuda")
    assert there.resident is not None
    for a, b in zip(here.epoch(1), there.epoch(1), strict=True):
        assert b.x.is_cuda
        assert torch.equal(a.x, b.x.cpu())
        assert b.y is not None
        assert torch.equal(a.index, b.index)
