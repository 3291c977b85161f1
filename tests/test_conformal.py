"""Sets and widths hold the truth as often as was asked for, whatever the answers are worth."""

import csv
import json
from math import ceil

import numpy as np
import pytest
from sklearn.datasets import load_digits

import foveal
from foveal.errors import RunError
from foveal.evaluation.page import page
from foveal.evaluation.predict import logits
from foveal.metrics import conformal
from foveal.metrics.calibration import fit_temperature, softmax
from foveal.metrics.conformal import ENOUGH, LEVELS, Sets, fit_floor, fit_sets, quantiles, sets
from foveal.metrics.numbers import half_widths
from foveal.tasks import _classify_sets, classify
from foveal.verbs.plan import laid_out
from foveal.verbs.prepare_run import part
from foveal.verbs.source import examine_arrays
from report_samples import answers_of, card_of, plan_of, report_of
from roads import TINY, command, folders, shades


def drawn(count, classes=4, seed=0, spread=2.0):
    """Probabilities and labels that are drawn from something else: the answers are wrong often."""
    rng = np.random.default_rng(seed)
    logits = spread * rng.normal(size=(count, classes))
    labels = (0.5 * logits + rng.gumbel(size=logits.shape)).argmax(1)
    return softmax(logits), labels


def slow_sets(probabilities, known, labels, asked, coverage):
    """What `fit_sets` and `sets` give, class by class and sample by sample."""
    found = np.zeros(asked.shape, bool)
    rare = [k for k in range(asked.shape[1]) if sum(labels == k) < ENOUGH]
    for k in range(asked.shape[1]):
        own = [i for i in range(len(labels)) if labels[i] == k]
        if k in rare:
            own = [i for i in range(len(labels)) if labels[i] in rare]
            own = own if len(own) >= ENOUGH else range(len(labels))
        strange = sorted(1 - known[i, labels[i]] for i in own)
        place = ceil((len(strange) + 1) * coverage - 1e-9)
        limit = strange[place - 1] * (1 + 1e-6) if place <= len(strange) else 1.0
        for i, row in enumerate(asked):
            found[i, k] = 1 - row[k] <= limit or row.argmax() == k
    return found


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("count", [15, 150, 600])
def test_sets_are_those_of_a_slow_reading(coverage, count):
    known, labels = drawn(count)
    asked, _ = drawn(200, seed=1)
    found = sets(asked, fit_sets(known, labels), coverage)
    np.testing.assert_array_equal(found, slow_sets(known, known, labels, asked, coverage))


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_new_samples_are_held_as_often_as_was_asked(coverage):
    """Over many held-back parts: the mean is what theory says, for every class by itself."""
    asked, truth = drawn(40_000, seed=99)
    shares, by_class = [], []
    for seed in range(60):
        known, labels = drawn(400, seed=seed)
        inside = sets(asked, fit_sets(known, labels), coverage)
        right = inside[np.arange(len(truth)), truth]
        shares.append(right.mean())
        by_class.append([right[truth == k].mean() for k in range(4)])
    assert coverage - 0.005 < np.mean(shares) < coverage + 0.02
    for share in np.mean(by_class, 0):
        assert coverage - 0.015 < share < coverage + 0.03


def test_a_class_that_is_often_missed_is_held_as_often_as_the_others():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 3000)
    logits = rng.normal(size=(3000, 3))
    logits[np.arange(3000), labels] += np.where(labels == 2, 0.3, 4.0)  # the last is a riddle
    p = softmax(logits)
    inside = sets(p[1500:], fit_sets(p[:1500], labels[:1500]), 0.9)
    right = inside[np.arange(1500), labels[1500:]]
    for k in range(3):
        assert right[labels[1500:] == k].mean() > 0.86
    together = quantiles(1 - p[np.arange(1500), labels[:1500]])[LEVELS.index(0.9)]
    assert (1 - p[1500:, 2] <= together)[labels[1500:] == 2].mean() < 0.8  # what one limit does


def test_rare_classes_share_a_limit_and_many_do_too():
    known, labels = drawn(300)
    rare = np.where(np.arange(300) < 290, labels % 2, 2)
    fitted = fit_sets(known, rare)
    assert [row is None for row in fitted.own] == [False, False, True, True]
    strange = 1 - known[np.arange(300), rare]
    assert fitted.shared == quantiles(strange)  # ten of them alone would not be enough
    wide = softmax(np.random.default_rng(0).normal(size=(6000, 120)))
    assert set(fit_sets(wide, np.arange(6000) % 120).own) == {None}


def test_too_few_held_back_samples_promise_nothing():
    known, labels = drawn(8)
    fitted = fit_sets(known, labels)
    assert sets(known, fitted, 0.9).all()
    assert not sets(known, fitted, 0.8).all()
    assert sets(known, fit_sets(known[:0], labels[:0]), 0.5).all()


def test_more_coverage_never_gives_a_smaller_set():
    known, labels = drawn(500)
    fitted, asked = fit_sets(known, labels), drawn(300, seed=3)[0]
    smaller = sets(asked, fitted, 0.5)
    assert smaller.any(1).all()
    for coverage in LEVELS[1:]:
        larger = sets(asked, fitted, coverage)
        assert (larger | ~smaller).all()
        smaller = larger
    np.testing.assert_array_equal(sets(asked, fitted, 0.893), sets(asked, fitted, 0.9))


def test_limits_survive_json():
    fitted = fit_sets(*drawn(300))
    again = Sets.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert again == fitted


def test_what_is_held_is_counted_with_intervals():
    inside = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 1]], bool)
    found = conformal.held(inside, np.array([0, 1, 0, 2]))
    assert found["covered"]["value"] == 0.75
    assert found["covered"]["low"] < 0.75 < found["covered"]["high"]
    assert found["size"]["value"] == 7 / 4
    assert found["size"]["low"] < 7 / 4 < found["size"]["high"]
    assert found["single"] == 0.5
    assert found["least"] is None
    many = conformal.held(np.repeat(inside, 50, 0), np.repeat([0, 1, 0, 2], 50))
    assert many["least"]["class"] == 0
    assert many["least"]["value"] == 0.5
    assert conformal.held(inside[:0], np.zeros(0, int))["covered"]["high"] == 1


def test_the_floor_keeps_known_samples():
    rng, kept = np.random.default_rng(0), []
    for _ in range(200):
        floor = fit_floor(rng.beta(5, 1, 200))
        kept.append((rng.beta(5, 1, 500) >= floor).mean())
    assert 0.945 < np.mean(kept) < 0.965
    assert fit_floor(np.linspace(0, 1, 18)) is None
    assert fit_floor(np.linspace(0, 1, 19)) == 0.0


def test_widths_are_those_of_the_usual_ninety():
    errors = np.random.default_rng(0).normal(size=(200, 2))
    table = conformal.fit_widths(errors)
    assert conformal.by_level(table, 0.9) == pytest.approx(half_widths(errors, 0.9), rel=1e-5)
    narrow, wide = (conformal.by_level(table, c)[0] for c in (0.5, 0.99))
    assert narrow < half_widths(errors, 0.9)[0] < wide
    assert conformal.by_level(table, 0.999) == [None, None]


def test_the_report_tells_what_became_of_the_promise():
    raw = answers_of(("cat", "dog", "newt"), each=200, strength=1.5, seed=4)
    fitted = plan_of("abc")
    calibration = {"temperature": 1.0, **_fitted(raw)}
    answers = answers_of(("cat", "dog", "newt"), each=200, strength=1.5, seed=5)
    report = report_of(("cat", "dog", "newt"), answers=answers, calibration=calibration)
    rows = {row["coverage"]: row for row in report.details["sets"]}
    assert abs(rows[0.9]["covered"]["value"] - 0.9) < 0.04
    assert 1 < rows[0.9]["size"]["value"] < rows[0.99]["size"]["value"] <= 3
    assert rows[0.9]["least"]["class"] in ("cat", "dog", "newt")
    assert abs(report.details["unknown"]["kept"]["value"] - 0.95) < 0.04
    assert not [d for d in report.doubts if "sets that should" in d]
    worse = answers_of(("cat", "dog", "newt"), each=200, strength=-1.0, seed=6)
    report = report_of(("cat", "dog", "newt"), answers=worse, calibration=calibration)
    assert [d for d in report.doubts if "the test part is not like the validation part" in d]
    assert report.calibration["sets"] == calibration["sets"]
    assert report.calibration["fitted_on"] == 600
    html = page(report, card_of(("cat", "dog", "newt")), fitted, classify.TASK)
    assert "When one class is not sure enough" in html
    assert "cannot be told from this data" in html


def test_sets_are_doubted_no_oftener_than_luck_allows():
    """Limits come from a sample too: few held back, many judged, all of one kind."""
    doubted = 0
    for draw in range(100):
        few = answers_of(("cat", "dog", "newt"), each=50, strength=1.5, seed=2 * draw)
        many = answers_of(("cat", "dog", "newt"), each=2000, strength=1.5, seed=2 * draw + 1)
        found = _classify_sets.judge(
            softmax(many.raw), many.target, ("cat", "dog", "newt"), _fitted(few)
        )
        doubted += bool(_classify_sets.doubts(found))
    assert doubted <= 12  # four coverages are looked at; without the first part's luck 39


def _fitted(answers):
    return _classify_sets.fit(softmax(answers.raw), answers.target)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Digits 0 to 6; 7, 8 and 9 are strangers."""
    x, y = load_digits(return_X_y=True)
    x = (15 * x).reshape(-1, 8, 8).astype(np.uint8)
    known = y < 7
    made = foveal.fit(x[known], y[known], epochs=12, out=tmp_path_factory.mktemp("digits") / "run")
    return made, x, y


def test_strangers_are_mostly_unknown_and_known_ones_hardly_ever(model):
    made, x, y = model
    known, strange = (made.predict(x[rows], unknown=True) for rows in (y < 7, y >= 7))
    assert np.mean([p.unknown for p in known]) < 0.1
    assert np.mean([p.unknown for p in strange]) > 0.5
    for each in strange:
        assert (each.label == "unknown") == each.unknown
        assert each.answer["nearest"] in made.plan.classes
    assert not any(p.unknown for p in made.predict(x[y >= 7]))


def test_the_model_keeps_its_limits_and_answers_with_sets(model, tmp_path):
    made, x, y = model
    again = foveal.load(made.save(tmp_path / "copy"))
    found = again.predict(x[y < 7][:50], coverage=0.95)
    assert found == made.predict(x[y < 7][:50], coverage=0.95)
    for each in found:
        assert each.label == each.set[0]
        values = [each.probabilities[name] for name in each.set]
        assert values == sorted(values, reverse=True)
    assert made.predict(x[:1])[0].set == ()
    with pytest.raises(RunError, match=r"coverage of 1 cannot be asked for(.|\n)*0.5 to 0.999"):
        made.predict(x[:1], coverage=1.0)


def test_temperature_and_limits_come_from_held_back_samples_alone(model):
    made, x, y = model
    known = y < 7
    survey = examine_arrays(x[known], y[known])
    survey, split = laid_out(survey, made.plan)
    held = part(made.plan, survey, split.validation, 1024, shuffle=False)
    raw, target = logits(made.network, held.epoch(0), made.plan), held.targets.numpy()
    temperature = fit_temperature(raw, target)
    assert made.temperature == pytest.approx(temperature, rel=1e-3)
    fitted = fit_sets(softmax(raw, temperature), target).to_dict()
    stored = made.report.calibration["sets"]
    for ours, theirs in zip(stored["shared"], fitted["shared"], strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or ours == pytest.approx(theirs, rel=1e-2, abs=1e-4)


def test_a_run_without_limits_says_so(model):
    made, x, _ = model
    kept = made.report.calibration
    for key, name, words in (
        ("sets", {"coverage": 0.9}, "this run holds no limits for sets of classes"),
        ("floor", {"unknown": True}, "this run cannot tell what is unknown to it"),
    ):
        value = made.report.calibration.pop(key)
        with pytest.raises(RunError) as caught:
            made.predict(x[:1], **name)
        kept[key] = value
        assert caught.value.what == words
        assert caught.value.mend.startswith("train again")


def test_the_command_line_gives_sets_unknowns_and_intervals(tmp_path):
    x, y = shades()
    folders(tmp_path / "set", x, y)
    words = [w for k, v in TINY.items() for w in ("--set", f"{k}={v}")]
    command("train", "set", "--epochs", 3, "--out", "run", *words, cwd=tmp_path, limit=300)
    asked = ("predict", "run", "set", "--coverage", 0.8)
    done = command(*asked, "--json", cwd=tmp_path, limit=300)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 72
    assert all(set(one["set"]) <= {"s1", "s2", "s10"} and one["set"] for one in lines)
    assert "{" in command(*asked, cwd=tmp_path, limit=300).stdout.splitlines()[0]
    command(*asked, "--out", "said.csv", cwd=tmp_path, limit=300)
    rows = list(csv.DictReader((tmp_path / "said.csv").read_text().splitlines()))
    assert rows[0]["set"].split("; ") == lines[0]["set"]
    done = command("predict", "run", "set", "--coverage", 2, cwd=tmp_path, code=1, limit=300)
    assert "give a share from 0.5 to 0.999" in done.stderr
    done = command("predict", "run", "set", "--unknown", cwd=tmp_path, code=1, limit=300)
    assert "at least 19 samples in the validation part" in done.stderr


def test_numbers_take_intervals_of_any_share(tmp_path):
    rng = np.random.default_rng(0)
    level = rng.uniform(0, 180, 400)
    x = (rng.integers(0, 60, (400, 12, 10)) + level[:, None, None]).astype(np.uint8)
    made = foveal.fit(x, level, epochs=4, out=tmp_path / "run", changes=TINY)
    usual, narrow, wide = (
        made.predict(x[:9], **more) for more in ({}, {"coverage": 0.5}, {"coverage": 0.95})
    )
    for one, two, three in zip(narrow, usual, wide, strict=True):
        low, mid, high = (
            next(iter(p.answer["high"].values())) - next(iter(p.answer["low"].values()))
            for p in (one, two, three)
        )
        assert low < mid < high
    with pytest.raises(RunError, match=r"in 99.9 of 100 cases cannot be given(.|\n)*999 samples"):
        made.predict(x[:1], coverage=0.999)
    with pytest.raises(RunError, match="what is unknown cannot be told of numbers"):
        made.predict(x[:1], unknown=True)


def test_other_tasks_say_that_they_have_neither(tmp_path):
    x, y = shades()
    many = np.stack([y >= 1, y >= 2], 1).astype(int)
    made = foveal.fit(x, many, epochs=1, out=tmp_path / "run", changes=TINY)
    with pytest.raises(RunError, match="'multilabel' come without sets and unknowns"):
        made.predict(x[:1], coverage=0.9)
