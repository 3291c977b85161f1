"""odd: a box far from its class is named; small, rare and varied classes are left in peace."""

import numpy as np
import pytest

from foveal.datasets.annotations.odd import LEAST, odd


def made(count=60, rank=2, spread=0.2, seed=0):
    """One box per sample, about 40 cells wide, all of class 0."""
    chance = np.random.default_rng(seed)
    low = chance.uniform(0, 100, (count, rank))
    sides = 40 * np.exp(chance.normal(0, spread, (count, rank)))
    boxes = np.concatenate([np.zeros((count, 1)), low, low + sides], axis=1)
    return [row[None] for row in boxes], [f"{i}.png" for i in range(count)]


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("factor", [0.01, 60])
def test_a_box_of_absurd_size_is_named(rank, factor):
    boxes, keys = made(rank=rank)
    box = boxes[7][0]
    box[1 + rank :] = box[1 : 1 + rank] + factor * 40
    (told,) = odd(keys, boxes, ["cell"])
    assert told.startswith("1 of 60 boxes are of another size or shape")
    assert "7.png: cell of" in told


def test_a_sliver_is_named_by_its_shape():
    boxes, keys = made()
    boxes[3][0, 1:] = [0, 0, 400, 4]  # of the usual area
    (told,) = odd(keys, boxes, ["cell"])
    assert "3.png: cell of 400 x 4, mostly" in told


def test_plain_boxes_raise_no_doubt():
    assert odd(*reversed(made()), ["cell"]) == []
    assert odd(*reversed(made(spread=0.0)), ["cell"]) == []
    assert odd(*reversed(made(2000, spread=0.7)), ["cell"]) == []


def test_few_boxes_of_a_class_tell_no_custom():
    boxes, keys = made(LEAST - 1)
    boxes[0][0, 3:] = boxes[0][0, 1:3] + 4000
    assert odd(keys, boxes, ["cell"]) == []
    assert odd(["a"], [np.zeros((0, 5))], ["cell"]) == []
    assert odd([], [], []) == []


def test_each_class_has_a_custom_of_its_own():
    small, keys = made(30)
    large = [row * [0, 9, 9, 9, 9] + [1, 0, 0, 0, 0] for row in made(30, seed=1)[0]]
    both = [np.concatenate(pair) for pair in zip(small, large, strict=True)]
    assert odd(keys, both, ["cell", "clump"]) == []
    both[4][0, 3:] = both[4][0, 1:3] + 4000
    (told,) = odd(keys, both, ["cell", "clump"])
    assert "1 of 60" in told
    assert "4.png: cell of 4000 x 4000" in told


def test_many_are_counted_and_three_shown():
    boxes, keys = made(200)
    for i in range(6):
        boxes[i][0, 3:] = boxes[i][0, 1:3] + 9000 * (i + 1)
    (told,) = odd(keys, boxes, ["cell"])
    assert told.startswith("6 of 200 boxes")
    assert told.count(".png") == 3
    assert "5.png" in told  # the farthest comes first
    assert ", ...)" in told
