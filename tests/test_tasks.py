"""Every file in tasks/ keeps the same promises. A new file is tested without a new test."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from foveal import find, tasks
from foveal.card import Card
from foveal.errors import DataError, FovealError
from foveal.tasks import classify
from toy import plan

NAMES = find.names(tasks)
RANKS = pytest.mark.parametrize("rank", [1, 2, 3])
EVERY = pytest.mark.parametrize("name", NAMES)


def card_of(samples):
    """The card `look` would make of a few samples."""
    classes = tuple(sorted({str(s.y) for s in samples}))
    grid, one = samples[0].grid, (0.0,)
    return Card(
        path="example",
        layout="class folders",
        target="label",
        channels=samples[0].x.shape[0],
        dtype="float32",
        parts={"train": len(samples)},
        smallest=grid.size,
        median=grid.size,
        largest=grid.size,
        low=one,
        high=one,
        mean=one,
        std=one,
        classes=classes,
        counts={"train": tuple(sum(s.y == c for s in samples) for c in classes)},
        digest="0",
        name="example",
        axes=grid.axes,
    )


def plan_for(card):
    net = replace(plan().net, dropout=0.0)
    return replace(plan(), net=net, axes=card.axes, classes=card.classes)


@EVERY
@RANKS
def test_learns_its_own_example(name, rank):
    torch.manual_seed(0)
    task = find.load(tasks, name).TASK
    samples = task.example(rank)
    card = card_of(samples)
    true = [s.y for s in samples]
    x = torch.stack([torch.from_numpy(s.x) for s in samples])
    features = torch.cat([x, torch.zeros_like(x)], 1)  # stands in for a backbone
    target = task.encode(true, card)
    head = task.head(plan_for(card), features.shape[1], None)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)  # knows nothing, whatever chance says
    optimiser = torch.optim.Adam(head.parameters(), lr=0.1)
    losses = []
    for _ in range(60):
        loss = task.loss(head(features), target, None, 0.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    raw = head.eval()(features)
    said = task.decode(task.finish(raw), samples[0].grid, card)
    assert task.metric(said, true)[task.best] == 1.0
    assert task.evidence(raw, 0).shape == (len(samples),)


@EVERY
@RANKS
def test_an_example_is_a_dozen_samples_of_the_rank(name, rank):
    task = find.load(tasks, name).TASK
    samples = task.example(rank)
    assert len(samples) == 12
    assert len({s.key for s in samples}) == 12
    assert all(s.grid.rank == rank and s.x.shape[1:] == s.grid.size for s in samples)
    assert task.fits(card_of(samples))


@EVERY
def test_can_be_traced_for_export(name):
    task = find.load(tasks, name).TASK

    class Finish(nn.Module):
        def forward(self, raw):
            return task.finish(raw)

    raw = torch.randn(3, 4)
    traced = torch.export.export(Finish(), (raw,)).module()
    torch.testing.assert_close(traced(raw), task.finish(raw))


CARD = card_of(classify.TASK.example(2))


def test_an_ideal_answer_decodes_to_what_was_encoded():
    y = ["dark", "bright", "bright", "dark"]
    done = torch.nn.functional.one_hot(classify.encode(y, CARD), 2).float()
    grid = classify.TASK.example(2)[0].grid
    assert classify.decode(done, grid, CARD) == y
    assert classify.metric(classify.decode(done, grid, CARD), y) == {
        "accuracy": 1.0,
        "balanced_accuracy": 1.0,
    }


def test_labels_may_be_names_or_positions():
    names = np.array(["dark", "bright"])
    assert classify.encode(names, CARD).tolist() == [1, 0]
    assert classify.encode(np.array([1, 0], dtype=np.int32), CARD).tolist() == [1, 0]
    assert classify.encode(np.zeros(0, dtype=np.int32), CARD).dtype == torch.int64


def test_a_strange_label_is_named_with_the_nearest_class():
    with pytest.raises(DataError, match=r"'brigth' is not one of the 2 classes(.|\n)*'bright'"):
        classify.encode(["dark", "brigth"], CARD)
    with pytest.raises(DataError, match=r"classes are: bright, dark"):
        classify.encode(["zzz"], CARD)
    with pytest.raises(DataError, match=r"2 is not one of(.|\n)*from 0 to 1"):
        classify.encode(np.array([0, 2]), CARD)


def test_balanced_accuracy_weighs_classes_not_samples():
    scores = classify.metric(["a"] * 10, ["a"] * 9 + ["b"])
    assert scores == {"accuracy": pytest.approx(0.9), "balanced_accuracy": pytest.approx(0.5)}


def test_loss_is_the_cross_entropy_by_hand():
    raw, target = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    log_p = raw - raw.exp().sum(1, keepdim=True).log()
    plain = -log_p[:, 0].mean()
    torch.testing.assert_close(classify.loss(raw, target), plain)
    smooth = -(0.8 * log_p[:, 0] + 0.2 * log_p.mean(1)).mean()
    torch.testing.assert_close(classify.loss(raw, target, None, 0.2), smooth)


def test_half_precision_answers_are_finished_in_full():
    raw = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)
    assert classify.TASK.finish(raw).dtype == torch.float32
    assert classify.loss(raw, torch.tensor([0])).dtype == torch.float32


def test_the_prior_is_what_an_empty_grid_yields():
    prior = torch.tensor([0.9, 0.1])
    head = classify.head(plan_for(CARD), 4, prior).eval()
    done = classify.TASK.finish(head(torch.zeros(1, 4, 3, 3)))
    torch.testing.assert_close(done, prior[None])


def test_a_misspelt_task_is_helped():
    with pytest.raises(FovealError, match="did you mean 'classify'"):
        find.load(tasks, "clasify")


def test_a_task_of_ones_own_needs_no_installation(tmp_path):
    (tmp_path / "mine.py").write_text("TASK = 'mine'")
    assert find.load(tasks, str(tmp_path / "mine.py")).TASK == "mine"
