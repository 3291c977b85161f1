"""The verdict: what a network adds, in plain words, and "nothing" where that is so."""

import numpy as np
import pytest

import foveal
from foveal.baselines import Baseline
from foveal.drawing.words import Figure
from foveal.evaluation.page import page
from foveal.metrics.intervals import paired, wilson
from foveal.report import Score
from foveal.tasks import classify
from foveal.tasks._worth import compared, learned, worth
from report_samples import answers_of, card_of, plan_of, report_of
from roads import TINY

SHARE = Figure("Accuracy", "share named rightly")
ERROR = Figure("Mean error", "how far off", False, True)


def baseline(name, value, said):
    called = f"a model called {name}"
    return Baseline(name, name.capitalize(), called, "", Score(value, value, value), np.array(said))


BLIND = baseline("blind", 0.5, [1, 1, 1, 1])
SEEING = baseline("seeing", 0.7, [0, 1, 1, 0])


def gains(**of):
    return lambda b: Score(*of[b.name])


def test_the_best_baseline_and_the_best_that_looks_at_nothing():
    found = compared([BLIND, SEEING], SHARE, gains(blind=(0.3, 0.1, 0.5), seeing=(0.1, 0, 0.2)))
    assert (found["over"], found["luck"]["over"]) == ("seeing", "blind")
    assert found["luck"]["low"] == 0.1
    assert learned(found)
    other = baseline("other", 0.6, [0, 0, 0, 0])
    assert compared([BLIND, other], SHARE, lambda b: Score(0, -1, 1))["luck"]["over"] == "other"
    assert compared([BLIND, other], ERROR, lambda b: Score(0, -1, 1))["luck"]["over"] == "blind"
    assert compared([], SHARE, lambda b: Score(0, 0, 0)) == {}
    assert "luck" not in compared([SEEING], SHARE, lambda b: Score(0, 0, 0))


@pytest.mark.parametrize(("blind", "seeing", "words", "not_words"), [
    ((0.3, 0.1, 0.5), (0.1, 0.05, 0.2), "It adds 10.0 points (95 % interval 5.0 to 20.0)", "luck"),
    ((0.3, 0.1, 0.5), (0.1, -0.05, 0.2), "adds nothing that could be told from luck (+10", "loses"),
    ((0.3, 0.1, 0.5), (-0.1, -0.2, -0.05), "It adds nothing: it loses 10.0 points", "luck"),
    ((0.0, -0.1, 0.1), (-0.1, -0.2, 0.05), "It learned nothing that could be told from", "It a"),
    ((0.0, -0.1, 0.1), (-0.2, -0.3, -0.1), "it loses 20.0 points", "adds 20"),
])  # fmt: skip
def test_what_is_said_of_each_case(blind, seeing, words, not_words):
    found = compared([BLIND, SEEING], SHARE, gains(blind=blind, seeing=seeing))
    said = worth(found, SHARE, "names")
    assert words in said
    assert not_words not in said
    assert "which names 70.0" in said or "a model called blind names 50.0" in said


def test_errors_are_better_when_they_are_smaller():
    one = baseline("mean", 4.0, [2.0, 2.0])
    said = worth(compared([one], ERROR, lambda b: Score(0.5, 0.25, 0.75)), ERROR, "is off by")
    assert said.startswith("It is better by 0.500 (95 % interval 0.250 to 0.750) than")
    said = worth(compared([one], ERROR, lambda b: Score(0.1, -0.25, 0.75)), ERROR, "is off by")
    assert said == (
        "It learned nothing that could be told from luck: a model called mean is off by 4.00 "
        "(+0.100, 95 % interval -0.250 to 0.750)."
    )
    assert worth({}, ERROR, "") == "No simple baseline was measured beside it."


def test_luck_is_rarely_taken_for_learning():
    """Of a hundred sets of random answers and labels, about two or three look like a gain."""
    rng, seen = np.random.default_rng(0), 0
    for seed in range(100):
        labels, said = rng.integers(0, 3, 300), rng.integers(0, 3, 300)
        common = np.full(300, np.bincount(labels).argmax())
        one = Baseline("majority", "", "", "", wilson(int((common == labels).sum()), 300), common)
        found = compared(
            [one], SHARE, lambda b, s=said, y=labels, k=seed: paired(s == y, b.said == y, seed=k)
        )
        seen += learned(found)
    assert seen <= 6


def test_the_page_and_the_report_lead_with_it():
    answers = answers_of(("cat", "dog", "newt"), strength=0.0)
    common = np.zeros(120, int)
    one = Baseline(
        "majority", "Always the commonest class", "always answering the commonest class", "",
        wilson(40, 120), common,
    )  # fmt: skip
    report = report_of(("cat", "dog", "newt"), answers=answers, baselines=[one])
    words = "It learned nothing that could be told from luck: always answering the commonest class"
    assert words in report.verdict
    assert report.details["verdict"][1].startswith(words)
    html = page(report, card_of(("cat", "dog", "newt")), plan_of("abc"), classify.TASK)
    assert html.index(words) < html.index('id="scores"')
    assert "No: it learned nothing that could be told from luck (always the commonest" in html


def stripes(count, seed=0):
    """Stripes along one axis or the other, at any phase: no weighted sum of cells tells them."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    at = rng.integers(0, 4, count)
    line = (np.arange(16)[None] + at[:, None]) // 2 % 2 * 120
    x = np.where(y[:, None, None] == 1, line[:, None, :], line[:, :, None])
    return (x + rng.integers(0, 60, x.shape)).astype(np.uint8), y


def test_what_neighbours_tell_is_learned_and_random_labels_are_nothing(tmp_path):
    x, y = stripes(400)
    found = foveal.fit(x, y, epochs=12, out=tmp_path / "easy", changes=TINY).report
    assert found.test["accuracy"].value > 0.95
    rungs = found.baselines
    assert rungs["logistic_regression"] < 0.7
    assert rungs["tiny_cnn"] > 0.9  # neighbours tell it
    assert found.details["gain"]["over"] == "tiny_cnn"
    assert "a tiny network of two convolutions" in found.verdict
    assert found.details["gain"]["luck"]["low"] > 0.2
    assert found.details["gain"]["luck"]["over"] == "majority"
    chance = np.random.default_rng(1).integers(0, 2, 400)
    found = foveal.fit(x, chance, epochs=12, out=tmp_path / "chance", changes=TINY).report
    assert "It learned nothing that could be told from luck" in found.verdict
    html = (tmp_path / "chance" / "report.html").read_text()
    assert "It learned nothing that could be told from luck" in html


def test_random_numbers_are_nothing_too(tmp_path):
    x, _ = stripes(300)
    told = np.random.default_rng(2).normal(size=300)
    found = foveal.fit(x, told, epochs=4, out=tmp_path / "run", changes=TINY).report
    assert found.task == "regress"
    assert "It learned nothing that could be told from luck: always saying the m" in found.verdict
