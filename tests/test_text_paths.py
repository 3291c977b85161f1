"""Votes and convolutions of a text: each learns alone, and held-back texts tell their shares."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from foveal.networks.text_paths import SHARES, PathsOfText, fitted

K, TEXTS = 3, 400


def paths(drop=0.5, votes=True, lost=0.0):
    torch.manual_seed(0)
    net = SimpleNamespace(forget=lost, drop_path=drop, votes=votes)
    text = SimpleNamespace(words=("a",) * 20, buckets=8)
    out = PathsOfText(SimpleNamespace(net=net, data=SimpleNamespace(text=text), outputs=K))
    if votes:
        torch.nn.init.normal_(out.votes.table)
    return out


def ids(count=TEXTS, length=6):
    return torch.randint(2, 22, (count, 1, length), generator=torch.Generator().manual_seed(1))


def constant(x):
    return torch.full((len(x), K), 7.0)


def test_in_training_each_text_goes_one_way_and_the_other_costs_nothing():
    both, seen = paths(), []

    def convolved(x):
        seen.append(x)
        return constant(x)

    out = both(ids(), convolved)
    by_convolution = (out == 7).all(1)
    assert torch.allclose(out[~by_convolution], both.votes(ids())[~by_convolution])
    assert torch.equal(seen[0], ids()[by_convolution])
    assert 0.4 < by_convolution.float().mean() < 0.6


def test_convolutions_in_half_precision_are_added_up_as_well():
    both = paths()
    torch.manual_seed(1)
    whole = both(ids(), constant)
    torch.manual_seed(1)
    assert torch.equal(both(ids(), lambda x: constant(x).bfloat16()), whole)


def test_with_less_left_out_some_texts_go_both_ways():
    both = paths(drop=0.25)
    own = both.votes(ids())
    out = both(ids(), constant)
    ways = [torch.isclose(out, w).all(1) for w in (own, own + 7, torch.full_like(own, 7.0))]
    assert torch.stack(ways).any(0).all()
    assert all(0.1 < way.float().mean() < 0.65 for way in ways)


def test_afterwards_both_are_summed_by_their_shares():
    both = paths().eval()
    expected = SHARES[0] * both.votes(ids()) + SHARES[1] * 7
    assert torch.allclose(both(ids(), constant), expected)


def test_only_votes_forget_tokens():
    both, seen = paths(lost=0.9), []
    both(ids(), lambda x: (seen.append(x), constant(x))[1])
    assert (seen[0] > 1).all()
    assert not torch.allclose(both(ids(), constant), both(ids(), constant))


def test_without_votes_convolutions_answer_alone():
    alone = paths(votes=False)
    assert torch.equal(alone(ids(), constant), constant(ids()))
    alone.balance([(ids(), torch.zeros(TEXTS))], constant, lambda raw, y: raw.sum())
    assert not dict(alone.named_buffers())


def told(strength, seed):
    """Answers that know the truth more or less well, and the truth."""
    chance = torch.Generator().manual_seed(seed)
    y = torch.randint(0, K, (TEXTS,), generator=torch.Generator().manual_seed(9))
    return strength * F.one_hot(y, K) + torch.randn(TEXTS, K, generator=chance), y


@pytest.mark.parametrize(("votes", "convolutions"), [(2.0, 0.0), (0.0, 2.0), (2.0, 2.0)])
def test_held_back_texts_tell_how_much_each_way_counts(votes, convolutions):
    own, y = told(votes, 1)
    raw, _ = told(convolutions, 2)
    shares = fitted(own, raw, lambda both: F.cross_entropy(both, y))
    assert (shares > 0).all()
    loss = F.cross_entropy(shares[0] * own + shares[1] * raw, y)
    grid = torch.linspace(0.02, 4, 60)
    slow = min(F.cross_entropy(a * own + b * raw, y) for a in grid for b in grid)
    assert loss < slow + 0.01
    if votes != convolutions:
        assert (shares[0] > 4 * shares[1]) == (votes > convolutions)


def test_few_texts_change_little():
    own, y = told(0.0, 1)
    raw, _ = told(5.0, 2)
    few = fitted(own[:2], raw[:2], lambda both: F.cross_entropy(both, y[:2]))
    assert torch.allclose(few, torch.tensor(SHARES), rtol=0.6)


def test_balance_asks_all_batches_and_keeps_the_shares():
    both = paths().eval()
    raw, y = told(2.0, 3)
    parts = [(ids()[rows], y[rows]) for rows in (slice(0, 150), slice(150, TEXTS))]
    answers = iter([raw[:150], raw[150:]])
    both.balance(parts, lambda x: next(answers), F.cross_entropy)
    assert both.shares[1] > 2 * both.shares[0]
    assert "shares" in both.state_dict()
    both.balance([], constant, F.cross_entropy)  # nothing held back: nothing changes
    assert both.shares[1] > 2 * both.shares[0]
