"""Average precision: the COCO tool's own figures in rank 2, cases done by hand in every rank."""

import numpy as np
import pytest

from foveal.metrics.detection import Found, averages, curve, judge, matched, quick

RANKS = (1, 2, 3)


def box(rank: int, *at: float) -> list[float]:
    """A box of side 10 at the same place along every axis."""
    return [at[0]] * rank + [at[0] + 10.0] * rank


def found(rank: int, places: list[float], labels: list[int], scores: list[float]) -> Found:
    boxes = np.array([box(rank, p) for p in places]).reshape(-1, 2 * rank)
    return Found(boxes, np.array(labels, np.int64), np.array(scores, float))


def scene(rank: int, samples: int = 12, seed: int = 0) -> tuple[list[Found], list[Found]]:
    """Answers that are near some true boxes, and some that are near none."""
    rng = np.random.default_rng(seed)
    said, true = [], []
    for _ in range(samples):
        n = int(rng.integers(0, 9))
        low = rng.uniform(0, 60, (n, rank))
        boxes = np.concatenate([low, low + rng.uniform(5, 25, (n, rank))], 1)
        labels = rng.integers(0, 3, n)
        true.append(Found(boxes, labels, np.ones(n)))
        near = np.repeat(boxes, 2, axis=0) + rng.normal(0, 1.2, (2 * n, 2 * rank))
        wild = rng.uniform(0, 60, (3, rank))
        guess = np.concatenate([near, np.concatenate([wild, wild + 10], 1)])
        label = np.concatenate([np.repeat(labels, 2), rng.integers(0, 3, 3)])
        said.append(Found(guess, label, np.round(rng.random(len(guess)), 3)))
    return said, true


def by_tool(said: list[Found], true: list[Found], classes: int) -> tuple[float, float]:
    """(ap50, ap) by faster-coco-eval."""
    tool = pytest.importorskip("faster_coco_eval")
    images = [{"id": i + 1, "width": 100, "height": 100} for i in range(len(true))]
    truth = [
        {
            "id": 1 + sum(len(t.labels) for t in true[:i]) + j,
            "image_id": i + 1,
            "category_id": int(t.labels[j]) + 1,
            "bbox": xywh(t.boxes[j]),
            "area": float(np.prod(xywh(t.boxes[j])[2:])),
            "iscrowd": 0,
        }
        for i, t in enumerate(true)
        for j in range(len(t.labels))
    ]
    answers = [
        {
            "image_id": i + 1,
            "category_id": int(s.labels[j]) + 1,
            "bbox": xywh(s.boxes[j]),
            "score": float(s.scores[j]),
        }
        for i, s in enumerate(said)
        for j in range(len(s.labels))
    ]
    names = [{"id": k + 1, "name": str(k)} for k in range(classes)]
    gt = tool.COCO({"images": images, "annotations": truth, "categories": names})
    run = tool.COCOeval_faster(gt, gt.loadRes(answers), iouType="bbox")
    run.run()
    return float(run.stats[1]), float(run.stats[0])


def xywh(corners: np.ndarray) -> list[float]:
    y0, x0, y1, x1 = corners.tolist()
    return [x0, y0, x1 - x0, y1 - y0]


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_the_coco_tool_says(seed: int) -> None:
    said, true = scene(2, samples=20, seed=seed)
    np.testing.assert_allclose(quick(said, true, 3), by_tool(said, true, 3), atol=1e-9)


def test_a_class_without_true_boxes_counts_for_nothing_as_in_the_tool() -> None:
    said, true = scene(2, seed=9)
    np.testing.assert_allclose(quick(said, true, 5), by_tool(said, true, 5), atol=1e-9)
    scores = judge(said, true, 5)
    assert scores is not None
    assert scores.classes[4] is None


def test_more_answers_than_count_as_in_the_tool() -> None:
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 80, (150, 2))
    said = [Found(np.concatenate([low, low + 12], 1), np.zeros(150, int), rng.random(150))]
    true = [Found(said[0].boxes[::9], np.zeros(17, int), np.ones(17))]
    np.testing.assert_allclose(quick(said, true, 1), by_tool(said, true, 1), atol=1e-9)


@pytest.mark.parametrize("rank", RANKS)
def test_all_found_is_one_and_none_found_is_nothing(rank: int) -> None:
    true = [found(rank, [0, 40], [0, 1], [1, 1]), found(rank, [7], [1], [1])]
    assert quick(true, true, 2) == (1.0, 1.0)
    away = [found(rank, [200, 240], [0, 1], [1, 1]), found(rank, [90], [1], [1])]
    assert quick(away, true, 2) == (0.0, 0.0)
    silent = [found(rank, [], [], []), found(rank, [], [], [])]
    assert quick(silent, true, 2) == (0.0, 0.0)
    swapped = [found(rank, [0, 40], [1, 0], [1, 1]), found(rank, [7], [0], [1])]
    assert quick(swapped, true, 2) == (0.0, 0.0)


@pytest.mark.parametrize("rank", RANKS)
def test_a_case_by_hand(rank: int) -> None:
    """Two true boxes; right, wrong, right: precision 1 up to recall 1/2, then 2/3."""
    true = [found(rank, [0, 50], [0, 0], [1, 1])]
    said = [found(rank, [0, 100, 50], [0, 0, 0], [0.9, 0.8, 0.7])]
    expected = (51 * 1 + 50 * 2 / 3) / 101
    assert quick(said, true, 1)[0] == pytest.approx(expected)
    told = curve(matched(said, true, 0))
    assert told.precision[0] == 1
    assert told.precision[-1] == pytest.approx(2 / 3)
    assert told.score[0] == 0.9
    assert told.score[-1] == 0.7


@pytest.mark.parametrize("rank", RANKS)
def test_a_box_is_found_once(rank: int) -> None:
    true = [found(rank, [0], [0], [1])]
    said = [found(rank, [0, 0], [0, 0], [0.9, 0.8])]
    assert matched(said, true, 0).right[0].tolist() == [True, False]


@pytest.mark.parametrize("rank", RANKS)
def test_a_shifted_box_counts_up_to_its_overlap(rank: int) -> None:
    """Shifted by 1 of 10 along one axis it overlaps by 9/11 = 0.818: seven of ten limits."""
    true = [found(rank, [0], [0], [1])]
    boxes = np.array([box(rank, 0)])
    boxes[:, 0] += 1
    boxes[:, rank] += 1
    said = [Found(boxes, np.zeros(1, int), np.ones(1))]
    assert averages(matched(said, true, 0)).tolist() == [1.0] * 7 + [0.0] * 3


@pytest.mark.parametrize("rank", RANKS)
def test_weights_are_samples_counted_several_times(rank: int) -> None:
    said, true = scene(rank, samples=5, seed=rank)
    weight = np.array([[2.0, 0, 1, 3, 1]])
    rows = [0, 0, 2, 3, 3, 3, 4]
    many = matched([said[i] for i in rows], [true[i] for i in rows], 0)
    np.testing.assert_allclose(
        averages(matched(said, true, 0), weight)[0], averages(many), atol=0.02
    )


def test_intervals_hold_the_value_and_narrow_with_samples() -> None:
    few, many = (judge(*scene(2, samples=n), 3) for n in (10, 160))
    assert few is not None
    assert many is not None
    for scores in (few, many):
        assert 0 <= scores.ap.low <= scores.ap.value <= scores.ap.high <= 1
        assert scores.ap.value < scores.ap50.value
    assert many.ap50.high - many.ap50.low < few.ap50.high - few.ap50.low


def test_nothing_true_gives_no_scores() -> None:
    empty = [found(2, [], [], [])]
    assert judge(empty, empty, 2) is None
    assert quick(empty, empty, 2) == (0.0, 0.0)
