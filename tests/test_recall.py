"""Earlier answers: their means, their part of the loss, and what is refused."""

import dataclasses

import numpy as np
import pytest
import torch

from foveal.errors import PlanError
from foveal.tasks.classify import TASK
from foveal.tasks.multilabel import TASK as SEVERAL
from foveal.training.checkpoint import load
from foveal.training.recall import FRESH, Recall, check_recall
from foveal.verbs.plan import plan as planned
from roads import TINY, folders, shades
from toy import Toy, plan, poisoned, train, weights


def said(recall, raws, index, progress=1.0):
    """The recalled part of the loss, and the answers kept."""
    loss = recall.mixed(torch.zeros(()), [raws], torch.tensor(index), progress)
    recall.keep()
    return loss


def test_means_and_loss_equal_a_slow_reference():
    chance = np.random.default_rng(0)
    recall, means = Recall(9, 3, 0.5), {}
    for step in range(12):
        rows = chance.permutation(9)[:4]
        raws = chance.normal(0, 2, (4, 3))
        want = 0.0
        for row, raw in zip(rows, raws, strict=True):
            answer = np.exp(raw) / np.exp(raw).sum()
            known = means.get(row)
            if known is not None:
                want -= (known * np.log(answer)).sum() / 4
            means[row] = answer if known is None else known + FRESH * (answer - known)
        progress = (step + 1) / 12
        got = said(recall, torch.tensor(raws, dtype=torch.float32), rows.tolist(), progress)
        assert float(got) == pytest.approx(0.5 * progress**2 * want, rel=1e-4)
    for row, mean in means.items():
        np.testing.assert_allclose(recall.means[0, row].numpy(), mean, atol=1e-6)


def test_the_truth_keeps_the_rest():
    recall, truth = Recall(2, 2, 0.8), torch.tensor(3.0)
    raws = torch.tensor([[0.0, 2.0], [1.0, 0.0]])
    first = recall.mixed(truth, [raws], torch.tensor([0, 1]), 0.5)
    assert float(first) == pytest.approx((1 - 0.8 * 0.25) * 3)  # nothing is known yet
    recall.keep()
    entropy = -(raws.softmax(1) * raws.log_softmax(1)).sum(1).mean()
    again = recall.mixed(truth, [raws], torch.tensor([0, 1]), 1.0)
    assert float(again) == pytest.approx(0.2 * 3 + 0.8 * float(entropy), rel=1e-5)


def test_gradients_pull_towards_what_was_said_and_no_further():
    recall = Recall(1, 3, 1.0)
    before = torch.tensor([[1.0, 0.0, -1.0]], requires_grad=True)
    said(recall, before, [0])
    now = torch.tensor([[-1.0, 0.5, 0.0]], requires_grad=True)
    recall.mixed(torch.zeros(()), [now], torch.tensor([0]), 1.0).backward()
    assert before.grad is None
    torch.testing.assert_close(now.grad, (now.softmax(1) - before.softmax(1)).detach())


def test_the_same_answer_as_before_is_left_where_it_is():
    recall, raws = Recall(1, 3, 1.0), torch.tensor([[1.0, 0.0, -1.0]])
    said(recall, raws, [0])
    again = raws.clone().requires_grad_()
    recall.mixed(torch.zeros(()), [again], torch.tensor([0]), 1.0).backward()
    torch.testing.assert_close(again.grad, torch.zeros(1, 3))


def test_networks_that_learn_side_by_side_recall_their_own():
    one, other = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    recall = Recall(1, 2, 1.0, members=2)
    recall.mixed(torch.zeros(()), [one, other], torch.tensor([0]), 1.0)
    recall.keep()
    torch.testing.assert_close(recall.means[:, 0], torch.cat([one, other]).softmax(1))
    alone = sum(float(said(recall_of(raws), raws, [0])) for raws in (one, other))
    both = recall.mixed(torch.zeros(()), [one, other], torch.tensor([0]), 1.0)
    assert float(both) == pytest.approx(alone, rel=1e-5)


def recall_of(raws):
    recall = Recall(1, raws.shape[1], 1.0)
    said(recall, raws, [0])
    return recall


def test_a_step_that_is_not_made_is_not_recalled():
    recall, raws = Recall(3, 2, 1.0), torch.ones(2, 2)
    recall.mixed(torch.zeros(()), [raws], torch.tensor([0, 2]), 1.0)
    recall.drop()
    recall.keep()
    assert not recall.means.any()


def test_a_share_of_none_costs_nothing():
    recall, loss = Recall(10**9, 10**6, 0.0), torch.ones(())
    assert recall.mixed(loss, [torch.ones(1, 2)], torch.tensor([0]), 1.0) is loss
    recall.keep()
    assert recall.means.numel() == 0
    assert recall.state() == {}


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(PlanError, match=r"(?s)the share is .*fit\.recall.*from 0 to 1"):
        check_recall(plan(recall=share), TASK, 10)


def test_other_answers_and_too_many_are_refused():
    made = plan(recall=0.5)
    check_recall(made, TASK, 2**25)
    with pytest.raises(PlanError, match=r"33,554,433 samples would take 256 MB"):
        check_recall(made, TASK, 2**25 + 1)
    with pytest.raises(PlanError, match=r"not probabilities of one class each"):
        check_recall(dataclasses.replace(made, task="multilabel"), SEVERAL, 10)
    check_recall(dataclasses.replace(plan(), task="multilabel"), SEVERAL, 10**12)


def test_a_plan_refuses_what_a_training_would(tmp_path):
    data = folders(tmp_path / "data", *shades(8))
    with pytest.raises(PlanError, match=r"(?s)the share is 2.*fit\.recall"):
        planned(data, epochs=1, changes={**TINY, "fit.recall": "2"})
    made = planned(data, epochs=1, changes={**TINY, "fit.recall": "0.5"})
    assert made.fit.recall == 0.5
    assert made.by_user("fit.recall")


def test_a_training_recalls_every_sample_it_saw(tmp_path):
    plain, _ = train(tmp_path / "plain", plan(steps=20))
    net, history = train(tmp_path / "recall", plan(steps=20, recall=0.8))
    assert history.score == 1.0
    assert weights(net) != weights(plain)
    means = load(tmp_path / "recall" / "checkpoint").tensors["recall.means"]
    torch.testing.assert_close(means.sum(-1), torch.ones(1, 64))
    named = means[0].argmax(1)
    assert (named == Toy().y).float().mean() > 0.9
    assert not any("recall" in name for name in load(tmp_path / "plain" / "checkpoint").tensors)


def test_what_is_not_finite_is_not_recalled(tmp_path):
    train(tmp_path, plan(steps=20, recall=0.8), toy=poisoned(lambda n: n == 3))
    means = load(tmp_path / "checkpoint").tensors["recall.means"]
    assert bool(means.isfinite().all())
