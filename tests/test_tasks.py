"""Every file in tasks/ keeps the same promises. A new file is tested without a new test."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from foveal import find, tasks
from foveal.baselines.cells import question
from foveal.card import Card
from foveal.datasets.truths import truth_of
from foveal.errors import DataError, FovealError, PlanError
from foveal.evaluation.page import page
from foveal.evaluation.summary import summarise
from foveal.plan import replace_part
from foveal.planner.task import task_for
from foveal.target import Number
from foveal.tasks import Answers, briefly, classify, finished, multilabel, regress
from toy import plan

NAMES = find.names(tasks)
RANKS = pytest.mark.parametrize("rank", [1, 2, 3])
EVERY = pytest.mark.parametrize("name", NAMES)


def card_of(samples, task=classify.TASK):
    """The card `look` would make of a few samples."""
    y, grid, one = [s.y for s in samples], samples[0].grid, (0.0,)
    classes, counts, numbers = (), (), ()
    if task.target == "label":
        classes = tuple(sorted(set(y)))
        counts = tuple(y.count(c) for c in classes)
    elif task.target == "labels":
        classes = tuple(sorted({name for names in y for name in names}))
        counts = tuple(sum(c in names for names in y) for c in classes)
    elif task.target == "mask":
        classes = tuple(f"kind {k}" for k in range(int(np.max(y)) + 1))
        counts = tuple(sum((mask == k).any() for mask in y) for k in range(len(classes)))
    elif task.target == "boxes":
        classes = tuple(f"kind {k}" for k in range(int(max(boxes[:, 0].max() for boxes in y)) + 1))
        counts = tuple(sum((boxes[:, 0] == k).any() for boxes in y) for k in range(len(classes)))
    else:
        table = np.array(y, np.float64)
        numbers = tuple(
            Number(f"number {i}", float(column.mean()), float(column.std()))
            for i, column in enumerate(table.T)
        )
    return Card(
        path="example",
        layout="class folders",
        target=task.target,
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
        counts=parts_of(task, counts),
        digest="0",
        name="example",
        axes=grid.axes,
        numbers=numbers,
    )


def parts_of(task, counts):
    """Samples of each class by part; where classes lie apart, the test part has one of its own."""
    if not task.apart:
        return {"train": counts}
    return {"train": (*counts[:-1], 0), "test": (*[0] * (len(counts) - 1), counts[-1])}


def plan_for(card, task=classify.TASK):
    three, two, one = ((n,) * card.rank for n in (3, 2, 1))
    net = replace(plan().net, dropout=0.0, stem_kernel=three, stem_stride=one)
    net = replace(net, strides=(two,) * 2, kernels=(three,) * 2)
    made = replace(plan(), net=net, axes=card.axes, classes=card.classes, numbers=card.numbers)
    made = replace_part(made, "data", size=card.median)
    made = replace_part(task.planned(made, card), "judge", bootstrap=50)
    return replace_part(made, "fit", label_smoothing=0.0)


class Given:
    """A task's example as the contract needs it: samples, card, plan, targets, features."""

    def __init__(self, name, rank):
        self.task = find.load(tasks, name).TASK
        self.samples = self.task.example(rank)
        self.card = card_of(self.samples, self.task)
        self.plan = plan_for(self.card, self.task)
        self.y = [s.y for s in self.samples]
        self.target = self.task.encode(self.y, self.plan)
        x = torch.stack([torch.from_numpy(s.x) for s in self.samples])
        self.features = torch.cat([x, torch.zeros_like(x)], 1)  # stands in for a backbone
        self.x = x

    def ask(self, head):
        """What the head makes of the features, or of those of every level."""
        if not getattr(head, "every_stage", False):
            return head(self.features)
        levels = []
        for width, stride in self.plan.net.levels:
            cells = (slice(None), slice(None), *(slice(None, None, s) for s in stride))
            levels.append(self.x[cells].repeat(1, width, *[1] * (self.x.ndim - 2)))
        return head(levels, [None] * len(levels))

    def kept(self, raw, target=None):
        """What is kept of answers and targets until they are judged."""
        target = self.target if target is None else target
        said, true = briefly(self.task, raw.detach(), target, self.plan)
        return said.numpy(), true.numpy()

    def best(self, raw):
        judging = self.task.judging
        return judging.quick(*self.kept(raw), self.plan)[judging.best]

    def answers(self, raw):
        return Answers(*self.kept(raw), [s.key for s in self.samples])


@EVERY
@RANKS
def test_a_target_survives_encoding_and_decoding(name, rank):
    given = Given(name, rank)
    raw = given.task.ideal(given.target, given.plan)
    assert len(raw) == len(given.target) == len(given.samples)
    said = given.task.decode(given.task.finish(raw, given.plan, {}), given.plan)
    flat = np.concatenate([np.ravel(s) for s in said])
    true = np.concatenate([np.ravel(y) for y in given.y])
    if flat.dtype.kind == "f":
        np.testing.assert_allclose(flat, true, rtol=1e-5, atol=1e-4)
    else:
        assert flat.tolist() == true.tolist()


@EVERY
@RANKS
def test_no_answers_score_better_than_ideal_ones(name, rank):
    given = Given(name, rank)
    ideal = given.task.ideal(given.target, given.plan)
    top = given.best(ideal)
    chance = torch.Generator().manual_seed(0)
    for _ in range(20):
        other = ideal + 30 * torch.randn(ideal.shape, generator=chance)
        assert given.best(other) <= top
    assert given.best(ideal[torch.randperm(len(ideal), generator=chance)]) < top


@EVERY
@RANKS
def test_learns_its_own_example_in_thirty_steps(name, rank):
    torch.manual_seed(0)
    given = Given(name, rank)
    task, plan = given.task, given.plan
    head = task.head(plan, given.features.shape[1], given.target)
    dense = getattr(head, "every_stage", False)
    for parameter in (head.last if dense else head).parameters():
        nn.init.zeros_(parameter)  # knows nothing, whatever chance says
    rate = 0.1 if task.target != "boxes" else 0.02
    optimiser = torch.optim.Adam(head.parameters(), lr=rate, betas=(0.8, 0.95))
    losses, scores = [], []
    # Which cell answers for a box changes while a detector learns: that takes longer.
    for _ in range(31 if task.target != "boxes" else 250):
        raw = given.ask(head)
        loss = task.loss(raw, given.target, None, plan)
        losses.append(loss.item())
        scores.append(given.best(raw))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
    assert scores[-1] > scores[0] + 0.1
    assert scores[-1] > (0.95 if task.target != "boxes" else 0.6)
    assert task.evidence(given.ask(head), 0).shape == (len(given.samples),)


@EVERY
@RANKS
def test_is_judged_and_says_strict_json(name, rank):
    given = Given(name, rank)
    task, plan, ideal = given.task, given.plan, given.task.ideal(given.target, given.plan)
    raw = ideal.numpy()
    calibration = task.judging.calibrate(*given.kept(ideal), plan)
    judged = task.judging.judge(given.answers(ideal), plan, calibration, ())
    assert set(judged.scores) <= set(task.judging.figures)
    assert list(judged.scores) == [k for k in task.judging.figures if k in judged.scores]
    for key, score in judged.scores.items():
        assert score.low <= score.value <= score.high, key
    assert task.judging.main in judged.scores
    assert "noun" not in judged.details  # the report adds it
    done = finished(task, raw, plan, calibration)
    said = task.telling.answers(done, plan, calibration)
    assert len(said) == len(given.samples)
    whole = [calibration, judged.calibration, judged.details, judged.verdict, said]
    assert json.loads(json.dumps(whole, allow_nan=False))
    columns = task.telling.columns(plan)
    assert "error" in columns
    for answer in said:
        cells = task.telling.flat(answer)
        assert set(columns) - {"error"} <= set(cells)
        assert all(isinstance(cells[c], str | int | float) for c in columns if c != "error")
        assert task.telling.line(answer)


@EVERY
def test_judges_nothing_without_rows(name):
    given = Given(name, 2)
    task, plan, none = given.task, given.plan, given.task.ideal(given.target, given.plan)[:0]
    rows = given.kept(none, given.target[:0])
    calibration = task.judging.calibrate(*rows, plan)
    judged = task.judging.judge(Answers(*rows, []), plan, calibration, ())
    assert judged.scores == {}
    assert "nothing can be said" in judged.verdict[0]
    json.dumps([calibration, judged.calibration, judged.details], allow_nan=False)
    assert task.telling.answers(finished(task, none.numpy(), plan, calibration), plan, {}) == []


@EVERY
def test_baselines_answer_and_are_compared(name):
    given = Given(name, 2)
    x = torch.stack([torch.from_numpy(s.x) for s in given.samples])
    rows, target = np.arange(len(x)), given.target.numpy()
    asked = question(lambda r: x[torch.from_numpy(r)], (rows, target), (rows, target))
    if truth_of(given.task.target) is not None:
        asked = replace(asked, pairs=lambda part: iter([(x.numpy(), target)]))
    found = given.task.judging.baselines(asked, given.plan)
    assert len(found) >= 2
    assert len({b.name for b in found}) == len(found)
    ideal = given.task.ideal(given.target, given.plan)
    judged = given.task.judging.judge(given.answers(ideal), given.plan, {}, found)
    figure = given.task.judging.figures[given.task.judging.main]
    values = [b.score.value for b in found]
    gain = judged.details["gain"]
    assert gain["at"] == (min if figure.lower else max)(values)
    assert gain["value"] >= 0
    assert [b["name"] for b in judged.details["baselines"]] == [b.name for b in found]
    assert gain["called"] in " ".join(judged.verdict)
    nothing = replace(asked, learned=target[:0], truth=target[:0])
    if asked.pairs is not None:
        nothing = replace(nothing, pairs=lambda part: iter(()))
    assert given.task.judging.baselines(nothing, given.plan) == ()


@EVERY
def test_its_report_makes_a_page(name):
    given = Given(name, 2)
    raw = given.task.ideal(given.target, given.plan)
    raw = raw + torch.randn(raw.shape, generator=torch.Generator().manual_seed(1))
    sizes = {"train": 12, "validation": 12, "test": 12}
    report = summarise(
        given.task, given.card, given.plan, given.answers(raw), calibration={}, sizes=sizes
    )
    assert report.main == given.task.judging.main
    text = page(report, given.card, given.plan, given.task)
    assert given.task.telling.headline(report) in text.replace("<b>", "").replace("</b>", "")
    assert text.count("<section") == text.count("</section>") >= 6
    for word, _ in given.task.telling.terms:
        assert word in text


@EVERY
@RANKS
def test_an_example_is_a_dozen_samples_of_the_rank(name, rank):
    given = Given(name, rank)
    samples = given.samples
    assert len(samples) == 12
    assert len({s.key for s in samples}) == 12
    assert all(s.grid.rank == rank and s.x.shape[1:] == s.grid.size for s in samples)
    assert given.task.fits(given.card)
    given.task.check(given.card)


@EVERY
def test_can_be_traced_for_export(name):
    given = Given(name, 2)

    class Finish(nn.Module):
        def forward(self, raw):
            return given.task.finish(raw, given.plan, {})

    raw = given.task.ideal(given.target, given.plan)
    traced = torch.export.export(Finish(), (raw,)).module()
    torch.testing.assert_close(traced(raw), given.task.finish(raw, given.plan, {}))


@EVERY
def test_half_precision_answers_are_finished_in_full(name):
    given = Given(name, 2)
    raw = given.task.ideal(given.target, given.plan).bfloat16()
    assert given.task.finish(raw, given.plan, {}).dtype == torch.float32
    assert given.task.finish(raw.double(), given.plan, {}).dtype == torch.float64
    assert given.task.loss(raw, given.target, None, given.plan).dtype == torch.float32


@EVERY
def test_luck_shrinks_with_rows(name):
    luck = find.load(tasks, name).TASK.judging.luck
    assert luck(0.6, 1000) < luck(0.6, 10)
    assert luck(1.0, 100) > 0


def test_one_task_fits_each_target():
    for name in NAMES:
        fitting = [other for other in NAMES if Given(other, 2).task.fits(Given(name, 2).card)]
        assert fitting == [name]
        assert task_for(Given(name, 2).card) == name
    assert task_for(Given("classify", 2).card, "regress") == "regress"
    odd = replace(Given("classify", 2).card, target="hints")
    with pytest.raises(PlanError, match=r"no task learns targets of the kind 'hints'"):
        task_for(odd)


CARD = card_of(classify.TASK.example(2))
PLAN = plan_for(CARD)


def test_labels_may_be_names_or_positions():
    names = np.array(["dark", "bright"])
    assert classify.encode(names, PLAN).tolist() == [1, 0]
    assert classify.encode(np.array([1, 0], dtype=np.int32), PLAN).tolist() == [1, 0]
    assert classify.encode(np.zeros(0, dtype=np.int32), PLAN).dtype == torch.int64


def test_a_strange_label_is_named_with_the_nearest_class():
    with pytest.raises(DataError, match=r"'brigth' is not one of the 2 classes(.|\n)*'bright'"):
        classify.encode(["dark", "brigth"], PLAN)
    with pytest.raises(DataError, match=r"classes are: bright, dark"):
        classify.encode(["zzz"], PLAN)
    with pytest.raises(DataError, match=r"2 is not one of(.|\n)*from 0 to 1"):
        classify.encode(np.array([0, 2]), PLAN)


def test_loss_is_the_cross_entropy_by_hand():
    raw, target = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    log_p = raw - raw.exp().sum(1, keepdim=True).log()
    plain = replace_part(PLAN, "fit", label_smoothing=0.0)
    torch.testing.assert_close(classify.loss(raw, target, None, plain), -log_p[:, 0].mean())
    smooth = -(0.8 * log_p[:, 0] + 0.2 * log_p.mean(1)).mean()
    plan = replace_part(PLAN, "fit", label_smoothing=0.2)
    torch.testing.assert_close(classify.loss(raw, target, None, plan), smooth)
    mixed = torch.tensor([0, 1])
    own = -torch.stack([log_p[0, 0], log_p[1, 1]])
    weighed = replace_part(plain, "fit", weights=(3.0, 1.0))
    torch.testing.assert_close(classify.loss(raw, mixed, None, weighed), (3 * own[0] + own[1]) / 4)


def test_the_base_rates_are_what_an_empty_grid_yields():
    target = torch.tensor([0] * 90 + [1] * 10)
    head = classify.head(PLAN, 4, target).eval()
    done = classify.finish(head(torch.zeros(1, 4, 3, 3)), PLAN, {})
    torch.testing.assert_close(done, torch.tensor([[0.9, 0.1]]), atol=1e-4, rtol=0)
    weighed = replace_part(PLAN, "fit", weights=(1.0, 9.0))
    head = classify.head(weighed, 4, target).eval()
    done = classify.finish(head(torch.zeros(1, 4, 3, 3)), PLAN, {})
    torch.testing.assert_close(done, torch.tensor([[0.5, 0.5]]), atol=1e-3, rtol=0)


def test_the_temperature_divides():
    raw = torch.tensor([[2.0, 0.0]])
    cold = classify.finish(raw, PLAN, {"temperature": 2.0})
    torch.testing.assert_close(cold, (raw / 2).softmax(-1))


def test_one_class_is_nothing_to_learn():
    with pytest.raises(PlanError, match="there is only 1 class: dark"):
        classify.check(replace(CARD, classes=("dark",)))


def test_rare_classes_weigh_more_only_when_they_are_rare():
    even = classify.TASK.planned(PLAN, replace(CARD, counts={"train": (40, 100)}))
    assert even.fit.weights == ()
    assert "all samples weigh the same" in even.why["fit.weights"]
    plan = classify.TASK.planned(PLAN, replace(CARD, counts={"train": (100, 900)}))
    rare, common = plan.fit.weights
    assert rare / common == pytest.approx(3, abs=1e-3)
    assert 100 * rare + 900 * common == pytest.approx(1000, rel=1e-3)
    assert "9 times as frequent as the rarest" in plan.why["fit.weights"]
    most = classify.TASK.planned(PLAN, replace(CARD, counts={"train": (1, 10**6)}))
    assert most.fit.weights[0] / most.fit.weights[1] == pytest.approx(10, rel=1e-3)


def several(classes, count=40, counts=None):
    """A card and a plan where a sample may have any of ``classes``."""
    card = replace(
        CARD,
        target="labels",
        classes=tuple(classes),
        parts={"train": count},
        counts={"train": tuple(counts or [count // 2] * len(classes))},
    )
    return card, replace(PLAN, task="multilabel", classes=card.classes)


def test_several_classes_are_encoded_by_name_or_as_they_are():
    _, plan = several("abc")
    target = multilabel.encode([("a", "c"), (), ("b",)], plan)
    assert target.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert torch.equal(multilabel.encode(target.numpy(), plan), target)
    with pytest.raises(DataError, match=r"'B' is not one of the 3 classes"):
        multilabel.encode([("B",)], plan)
    with pytest.raises(DataError, match=r"2.0 is neither 0 nor 1, but there are 3 classes"):
        multilabel.encode(np.full((2, 3), 2.0), plan)
    with pytest.raises(DataError, match=r"shape \(2, 2\), but there are 3 classes"):
        multilabel.encode(np.zeros((2, 2)), plan)


def test_the_loss_of_several_classes_by_hand():
    _, plan = several("ab")
    raw, target = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 1.0]])
    by_hand = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0))) / 2
    assert multilabel.loss(raw, target, None, plan).item() == pytest.approx(by_hand)
    weighed = replace_part(plan, "fit", weights=(1.0, 3.0))
    by_hand = (np.log1p(np.exp(-2.0)) + 3 * np.log1p(np.exp(1.0))) / 2
    assert multilabel.loss(raw, target, None, weighed).item() == pytest.approx(by_hand)


def test_an_empty_grid_yields_the_base_rate_of_each_class():
    _, plan = several("ab")
    target = torch.tensor([[1.0, 0.0]] * 10 + [[1.0, 1.0]] * 10 + [[0.0, 0.0]] * 30)
    head = multilabel.head(plan, 4, target).eval()
    done = multilabel.finish(head(torch.zeros(1, 4, 3, 3)), plan, {})
    torch.testing.assert_close(done, torch.tensor([[0.4, 0.2]]), atol=0.02, rtol=0)


def test_a_rare_class_of_several_weighs_more():
    card, plan = several("ab", 100, (50, 20))
    assert multilabel.planned(plan, card).fit.weights == ()
    card, plan = several("ab", 1000, (900, 100))
    made = multilabel.planned(plan, card)
    assert made.fit.weights == (1.0, 3.0)
    assert made.fit.label_smoothing == 0
    assert "9 times as many samples as have it" in made.why["fit.weights"]


def test_answers_follow_thresholds_slopes_and_shifts():
    _, plan = several("ab")
    known = {"slope": [2.0, 1.0], "shift": [0.0, -1.0], "threshold": [0.9, 0.2]}
    raw = torch.tensor([[1.0, 0.5]])
    done = multilabel.finish(raw, plan, known)
    torch.testing.assert_close(done, torch.tensor([[2.0, -0.5]]).sigmoid())
    (answer,) = multilabel.answers(done.double().numpy(), plan, known)
    assert answer["labels"] == ["b"]
    assert answer["probabilities"]["a"] == pytest.approx(0.880797)
    assert multilabel.flat(answer)["labels"] == "b"
    assert multilabel.line({"labels": [], "probabilities": {}}) == "none"


def test_no_class_to_tell_from_the_rest():
    for counts in ((0, 0), (40, 40), (0, 40)):
        card, _ = several("ab", 40, counts)
        with pytest.raises(PlanError, match="none of 2 classes is on some"):
            multilabel.check(card)


NUMBERS = (Number("age", 50.0, 10.0), Number("height", 1.7, 0.1))


def test_numbers_are_standardised_and_come_back():
    plan = replace(PLAN, numbers=NUMBERS)
    target = regress.encode([(60, 1.7), (50, 1.6)], plan)
    torch.testing.assert_close(target, torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    one = replace(PLAN, numbers=NUMBERS[:1])
    assert regress.encode(np.array([40.0, 50.0]), one).tolist() == [[-1.0], [0.0]]
    assert regress.finish(torch.tensor([[2.0]]), one, {}).tolist() == [[70.0]]
    flat = replace(PLAN, numbers=(Number("brake", 3.0, 0.0),))
    assert regress.encode(np.array([3.0, 5.0]), flat).tolist() == [[0.0], [2.0]]
    with pytest.raises(DataError, match=r"3 numbers per sample, but the plan has 2"):
        regress.encode(np.zeros((4, 3)), plan)
    with pytest.raises(DataError, match="missing or infinite"):
        regress.encode(np.array([[np.nan, 1.0]]), plan)


def test_the_loss_of_numbers_is_straight_beyond_one_spread():
    raw, target = torch.tensor([[0.5], [3.0]]), torch.zeros(2, 1)
    loss = regress.loss(raw, target, None, PLAN)
    assert loss.item() == pytest.approx((0.5 * 0.5**2 + 2.5) / 2)


def test_numbers_are_answered_with_intervals():
    plan = replace(PLAN, numbers=NUMBERS)
    known = {"half_width": [5.0, 0.05]}
    (answer,) = regress.answers(np.array([[61.0, 1.75]]), plan, known)
    assert answer == {
        "numbers": {"age": 61.0, "height": 1.75},
        "low": {"age": 56.0, "height": 1.7},
        "high": {"age": 66.0, "height": 1.8},
    }
    assert regress.flat(answer)["low(age)"] == 56
    assert regress.line(answer) == "age 61 (56 to 66)  height 1.75 (1.7 to 1.8)"
    (bare,) = regress.answers(np.array([[61.0, 1.75]]), plan, {"half_width": [None, None]})
    assert bare == {"numbers": answer["numbers"]}
    assert regress.flat(bare)["high(height)"] == ""


def test_constant_numbers_are_nothing_to_learn():
    card = replace(CARD, target="numbers", classes=(), numbers=(Number("brake", 0.0, 0.0),))
    with pytest.raises(PlanError, match=r"no number that varies \(brake\)"):
        regress.check(card)
    regress.check(replace(card, numbers=(*card.numbers, NUMBERS[0])))


def test_places_are_told_apart_for_numbers_but_not_where_padding_stands():
    card = replace(CARD, target="numbers", classes=(), numbers=NUMBERS)
    made = regress.planned(PLAN, card)
    assert made.net.pool == "grid"
    assert max(made.augment.translate) <= 1
    ragged = replace_part(PLAN, "data", fit="ragged")
    assert regress.planned(ragged, card).net.pool == PLAN.net.pool


def test_a_misspelt_task_is_helped():
    with pytest.raises(FovealError, match="did you mean 'classify'"):
        find.load(tasks, "clasify")


def test_a_task_of_ones_own_needs_no_installation(tmp_path):
    (tmp_path / "mine.py").write_text("TASK = 'mine'")
    assert find.load(tasks, str(tmp_path / "mine.py")).TASK == "mine"
