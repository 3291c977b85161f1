"""Tables of tokens against slow loops; padding never counts; gradients stay sparse."""

import math

import numpy as np
import pytest
import torch

from foveal.errors import PlanError
from foveal.layers import Embed, Votes, forget
from foveal.layers.embed import log_ratios

IDS = torch.tensor(
    [[[2, 3, 0], [5, 0, 0], [7, 9, 0]], [[4, 1, 2], [0, 6, 0], [0, 0, 8]]], dtype=torch.int32
)


def embed():
    torch.manual_seed(0)
    layer = Embed(6, 2, 10, 4)
    torch.nn.init.normal_(layer.table_pieces)
    return layer


def test_a_vector_is_the_sum_of_its_rows():
    layer = embed()
    found = layer(IDS)
    assert found.shape == (2, 4, 3)
    for b in range(2):
        for t in range(3):
            slow = layer.table[IDS[b, 0, t]].clone()
            for r in (1, 2):
                piece = int(IDS[b, r, t])
                slow = slow + (layer.table_pieces[1 + piece % 9] if piece else 0)
            torch.testing.assert_close(found[b, :, t], slow)


def test_memory_is_channels_last():
    assert embed()(IDS).transpose(1, 2).is_contiguous()


def test_gradients_name_the_rows_that_were_seen():
    layer = embed()
    layer(IDS).square().sum().backward()
    assert layer.table.grad.is_sparse
    assert set(layer.table.grad.coalesce().indices()[0].tolist()) == {0, 1, 2, 3, 4}
    assert layer.table.grad.coalesce().values().isfinite().all()


def test_votes_are_sums_over_the_root_of_the_length():
    torch.manual_seed(0)
    votes = Votes(6, 10, 2)
    for table in (votes.table, votes.table_pieces):
        torch.nn.init.normal_(table)
    found = votes(IDS)
    for b, count in enumerate((2, 3)):
        slow = sum(votes.table[i] for i in IDS[b, 0] if i)
        slow = slow + sum(votes.table_pieces[i] for i in IDS[b, 1:].flatten() if i)
        torch.testing.assert_close(found[b], slow / math.sqrt(count))


@pytest.mark.parametrize("make", [lambda: Votes(6, 10, 2), embed])
def test_padding_changes_nothing(make):
    layer = make()
    longer = torch.cat([IDS, torch.zeros(2, 3, 4, dtype=torch.int32)], 2)
    short, long = layer(IDS), layer(longer)
    torch.testing.assert_close(long[..., :3] if long.ndim > 2 else long, short)


def test_log_ratios_against_a_slow_count():
    rng = np.random.default_rng(0)
    ids, label = rng.integers(0, 6, (30, 5)), rng.integers(0, 2, 30)
    member = torch.nn.functional.one_hot(torch.tensor(label), 2)
    found = log_ratios(torch.tensor(ids), member, 8)
    counts = np.zeros((8, 2))
    for row, y in zip(ids, label, strict=True):
        for i in set(row.tolist()) - {0}:
            counts[i, y] += 1
    slow = np.log((counts + 1) / (counts + 1).sum(0))
    slow = slow - slow[:, ::-1]
    slow[counts.sum(1) == 0] = 0
    np.testing.assert_allclose(found.numpy(), slow, atol=1e-5)
    assert not found[6:].any()


def test_started_votes_already_tell_classes_apart():
    votes = Votes(6, 10, 2)
    votes.start(IDS, torch.eye(2))
    assert votes(IDS).argmax(1).tolist() == [0, 1]


def test_forgotten_tokens_become_unknown_and_padding_stays():
    torch.manual_seed(0)
    gone = forget(IDS, 1.0)
    assert gone[:, 0].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert not gone[:, 1:].any()
    assert torch.equal(forget(IDS, 0.0), IDS)


def test_impossible_tables_are_refused():
    with pytest.raises(PlanError, match="tokens"):
        Embed(0, 2, 10, 4)
