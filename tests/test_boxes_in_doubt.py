"""odd_boxes: boxes that were dropped, renamed or invented come first, in every rank."""

import numpy as np
import pytest

from foveal.metrics.detection import Found
from foveal.metrics.odd_boxes import odd_boxes

NAMES = ("cell", "plate")


def scenes(rank, count=80, seed=0):
    """Three boxes each, far apart; answers near them with high scores, and some low ones."""
    rng = np.random.default_rng(seed)
    said, true = [], []
    for _ in range(count):
        low = np.arange(3)[:, None] * 40.0 + rng.uniform(0, 10, (3, rank))
        boxes = np.concatenate([low, low + rng.uniform(15, 25, (3, rank))], 1)
        labels = rng.integers(0, 2, 3)
        wild = rng.uniform(130, 200, (2, rank))
        guess = np.concatenate([boxes + rng.normal(0, 0.8, boxes.shape), np.tile(wild, 2)])
        guess[3:, rank:] += 15
        scores = np.concatenate([rng.uniform(0.6, 0.95, 3), rng.uniform(0.05, 0.4, 2)])
        said.append(Found(guess, np.append(labels, rng.integers(0, 2, 2)), scores))
        true.append(Found(boxes, labels, np.ones(3)))
    return said, true


def without(found, which):
    kept = np.arange(len(found.labels)) != which
    return Found(found.boxes[kept], found.labels[kept], found.scores[kept])


def renamed(found, which):
    labels = found.labels.copy()
    labels[which] = 1 - labels[which]
    return Found(found.boxes, labels, found.scores)


def invented(found, rank):
    box = np.full((1, 2 * rank), 300.0)
    box[:, rank:] += 20
    return Found(
        np.concatenate([found.boxes, box]),
        np.append(found.labels, 0),
        np.ones(len(found.scores) + 1),
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_planted_faults_come_first_and_say_what_is_wrong(rank):
    said, true = scenes(rank)
    true[5], true[17] = without(true[5], 1), renamed(true[17], 2)
    true[40] = invented(true[40], rank)
    found = odd_boxes(said, true, NAMES)
    order = np.argsort([-doubt.score for doubt in found], kind="stable")
    assert set(order[:3].tolist()) == {5, 17, 40}
    assert all(found[i].suspect for i in (5, 17, 40))
    assert found[5].given == ""
    assert found[5].likely == NAMES[said[5].labels[1]]
    assert "where no box is given" in found[5].why
    place = said[5].boxes[1]
    assert f"{place[0]:.0f} to {place[rank]:.0f}" in found[5].why
    assert (found[17].given, found[17].likely) == (
        NAMES[true[17].labels[2]],
        NAMES[said[17].labels[2]],
    )
    assert found[40].given == "cell"
    assert "not seen" in found[40].why
    assert not any(found[i].suspect for i in range(80) if i not in (5, 17, 40))
    assert all(0 <= doubt.score <= 1 for doubt in found)


def test_a_class_that_is_often_missed_is_not_blamed():
    said, true = scenes(2)
    rng = np.random.default_rng(3)
    for i, one in enumerate(said):  # plates are seen in a third of the cases
        kept = (one.labels == 0) | (rng.random(len(one.labels)) < 0.33)
        said[i] = Found(one.boxes[kept], one.labels[kept], one.scores[kept])
    true[9] = invented(true[9], 2)  # a cell that is not there
    found = odd_boxes(said, true, NAMES)
    assert max(range(80), key=lambda i: found[i].score) == 9
    assert not any(doubt.suspect for i, doubt in enumerate(found) if i != 9)


def test_nothing_said_and_nothing_given():
    empty = Found(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    said, true = scenes(2, 3)
    assert odd_boxes([], [], NAMES) == []
    assert odd_boxes([empty], [empty], NAMES)[0].score == 0
    blind = odd_boxes([empty] * 3, true, NAMES)
    assert all(doubt.score == 0 and not doubt.suspect for doubt in blind)
    wild = odd_boxes(said, [empty] * 3, NAMES)  # no box is given anywhere: nothing can be told
    assert all(doubt.score == 0 for doubt in wild)
