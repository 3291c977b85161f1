"""Does motion matter? Frames shuffled, one frame repeated, simple models on one frame."""

import numpy as np
import pytest
import torch

from films import movements
from foveal.baselines import cells, frames
from foveal.drawing.words import Figure
from foveal.evaluation.video_baselines import (
    Motion,
    changed,
    matters,
    motion,
    sentence,
    shuffled,
    still,
)
from foveal.grid import Batch
from foveal.metrics.intervals import wilson
from foveal.report import Score
from foveal.tasks import classify

RIGHT, WRONG = Figure("Accuracy", "share"), Figure("MAE", "error", False, True)
each_time = pytest.mark.parametrize("time", [0, 1, 2])


def clips(time=0):
    x = torch.arange(6 * 7).view(6, 7) * 1.0
    x = x[:, None, :, None, None].expand(6, 2, 7, 3, 4)
    return x.movedim(2, 2 + time).contiguous()


@each_time
def test_shuffled_frames_are_the_same_frames_in_an_order_of_each_clip(time):
    x = clips(time)
    out = shuffled(time, 3)(x)
    assert out.shape == x.shape
    first = out.movedim(2 + time, 1)[:, :, 0, 0, 0]
    assert torch.equal(first.sort(1).values, x.movedim(2 + time, 1)[:, :, 0, 0, 0])
    orders = {tuple((row - row.min()).tolist()) for row in first}
    assert len(orders) > 1
    assert torch.equal(shuffled(time, 3)(x), out)
    assert not torch.equal(shuffled(time, 4)(x), out)
    assert torch.equal(shuffled(time, 3)(x.to(torch.uint8)), out.to(torch.uint8))


@each_time
def test_a_still_clip_is_its_middle_frame(time):
    x = clips(time)
    out = still(time)(x)
    assert out.shape == x.shape
    assert torch.equal(out, x.narrow(2 + time, 3, 1).expand(*x.shape))


def test_batches_keep_everything_else():
    batch = Batch(clips(), torch.arange(6), torch.arange(6))
    (out,) = changed([batch], lambda x: x + 1)
    assert torch.equal(out.x, batch.x + 1)
    assert out.index is batch.index
    assert out.y is batch.y


def test_the_network_is_asked_three_times():
    asked = []

    def ask(change):
        asked.append(change)
        return wilson(100 - 30 * len(asked), 100)

    found = motion(ask, 0)
    assert asked[0] is None
    assert [s.value for s in (found.whole, found.shuffled, found.still)] == [0.7, 0.4, 0.1]
    assert found.to_dict()["shuffled"]["value"] == 0.4


@pytest.mark.parametrize(
    ("scores", "figure", "yes"),
    [
        ((100, 50, 25), RIGHT, True),
        ((90, 88, 60), RIGHT, False),
        ((50, 90, 90), RIGHT, False),  # better without order: no sign of motion
        ((0.1, 0.5, 0.5), WRONG, True),
        ((0.5, 0.1, 0.1), WRONG, False),
    ],
)
def test_motion_matters_when_random_order_costs_more_than_luck(scores, figure, yes):
    if figure is RIGHT:
        found = Motion(*(wilson(value, 100) for value in scores))
    else:
        found = Motion(*(Score(value, value - 0.05, value + 0.05) for value in scores))
    assert matters(found, figure) is yes
    assert sentence(found, figure).startswith("Motion matters" if yes else "Motion does not")


def test_the_sentence_gives_all_three_figures():
    found = Motion(wilson(98, 100), wilson(46, 100), wilson(25, 100))
    assert sentence(found, RIGHT) == (
        "Motion matters: accuracy is 46.0 with the frames in random order and 25.0 with one frame "
        "repeated, against 98.0 as filmed."
    )
    assert "MAE is" in sentence(Motion(*[Score(1.0, 0.9, 1.1)] * 3), WRONG)


@pytest.fixture(scope="module")
def simple():
    """What simple models say of moving squares, from clips and from one frame."""
    x, way = movements(60, 8)
    store, labels = torch.from_numpy(x[:, None]), np.unique(way, return_inverse=True)[1]

    def gather(rows):
        return store[torch.from_numpy(np.asarray(rows))]

    rows = np.random.default_rng(0).permutation(len(x))
    parts = [(r, labels[r].astype(np.int64)) for r in (rows[:160], rows[160:])]
    judge = classify.TASK.judging.baselines
    whole = judge(cells.question(gather, *parts), None)
    return whole, judge(frames.question(gather, 0, *parts), None)


def test_one_frame_tells_nothing_of_a_direction(simple):
    whole, frame = simple
    found = {b.name: b for b in frames.beside(whole, frame)}
    assert list(found) == [
        *("majority", "nearest_centroid", "logistic_regression"),
        *("one_frame_nearest_centroid", "one_frame_logistic_regression"),
    ]
    alone = found["one_frame_logistic_regression"]
    assert alone.score.low < 0.25 < alone.score.high
    assert alone.title == "Logistic regression, one frame"
    assert "small cells of the middle frame" in alone.called


def test_the_question_is_about_the_middle_frame():
    x = clips().to(torch.float32)
    rows = np.arange(6)
    asked = frames.question(lambda r: x[r], 0, (rows, rows), (rows, rows))
    assert asked.asked().shape == (6, 2 * 3 * 4)
    assert (asked.asked()[:, 0] == x[:, 0, 3, 0, 0].numpy()).all()
