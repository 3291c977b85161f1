"""The report: DESIGN's keys, numbers recomputed by hand, a verdict that tells the truth."""

import json

import numpy as np
import pytest

from foveal.baselines import Baseline
from foveal.evaluation.curves import curves
from foveal.metrics.calibration import softmax
from foveal.metrics.intervals import wilson
from foveal.report import Report, Score
from foveal.tasks import Answers
from foveal.tasks._classify_tables import confusion_table, top_confusions
from report_samples import answers_of, baseline_of, card_of, plan_of, report_of

PETS = ("cat", "dog", "newt")


def test_has_the_keys_that_the_design_lays_down():
    report = report_of(PETS, groups={"by": "folder"}).to_dict()
    assert set(report["data"]) == {"train", "validation", "test", "skipped", "groups"}
    assert report["data"]["skipped"] == {"cut short": 2}
    assert report["data"]["groups"] == {"by": "folder"}
    assert list(report["test"]) == [
        "accuracy", "balanced_accuracy", "f1_macro", "auroc", "log_loss", "ece",
    ]  # fmt: skip
    assert set(report["test"]["accuracy"]) == {"value", "low", "high"}
    assert set(report["calibration"]) == {"ece", "ece_uncalibrated", "temperature"}
    assert report["main"] == "accuracy"
    assert report["cost"]["threads"] == 2


def test_survives_json_without_nan():
    report = report_of(PETS)
    text = json.dumps(report.to_dict(), allow_nan=False)
    again = Report.from_dict(json.loads(text))
    assert again.test == report.test
    assert json.dumps(again.to_dict()) == json.dumps(report.to_dict())


def test_numbers_are_those_of_the_answers():
    answers = answers_of(PETS)
    report = report_of(PETS, answers=answers)
    said = answers.raw.argmax(1)
    assert report.test["accuracy"].value == pytest.approx((said == answers.target).mean())
    matrix = np.array(report.details["confusion"]["matrix"])
    assert matrix.sum() == len(said)
    assert np.trace(matrix) == (said == answers.target).sum()
    assert report.details["mistake_count"] == (said != answers.target).sum()
    for i, row in enumerate(report.details["per_class"]):
        assert row["recall"]["value"] == matrix[i, i] / matrix[i].sum()
        assert row["precision"]["value"] == matrix[i, i] / matrix[:, i].sum()
    assert report.calibration["ece"] == report.test["ece"].value


def test_the_temperature_changes_confidence_not_answers():
    cold, warm = report_of(PETS, temperature=0.2), report_of(PETS, temperature=5.0)
    assert cold.test["accuracy"] == warm.test["accuracy"]
    assert cold.calibration["ece_uncalibrated"] == warm.calibration["ece_uncalibrated"]
    assert cold.calibration["ece"] != warm.calibration["ece"]


def test_mistakes_are_wrong_sorted_and_drawn_only_when_shown():
    answers, asked = answers_of(PETS, each=60, strength=1.0), []

    def picture(row):
        asked.append(row)
        return f"picture {row}"

    shown = report_of(PETS, answers=answers, picture=picture).details["mistakes"]
    p = softmax(answers.raw, 1.2)
    confident = [m for m in shown if m["kind"] == "confident"]
    assert len(confident) == 24
    assert [m["probability"] for m in confident] == sorted(
        (m["probability"] for m in confident), reverse=True
    )
    wrong = p.argmax(1) != answers.target
    assert confident[0]["probability"] == pytest.approx(p.max(1)[wrong].max())
    assert len(asked) == len(shown) == len({m["key"] for m in shown})
    for each in shown:
        row = answers.keys.index(each["key"])
        assert each["true"] == PETS[answers.target[row]] != each["said"]
        assert each["said"] == PETS[p[row].argmax()]
        assert each["picture"] == f"picture {row}"


def test_verdict_of_a_network_that_helps():
    report = report_of(PETS, answers=answers_of(PETS, strength=3.0), share=0.5)
    assert "The network names" in report.verdict
    assert "of 100 (95 % interval" in report.verdict
    assert "It adds" in report.verdict
    assert "logistic regression on small cells, which names" in report.verdict
    assert report.details["gain"]["low"] > 0
    value = 100 * report.details["gain"]["value"]
    assert f"adds {value:.1f} points" in report.verdict
    assert "Weakest class: " in report.verdict


def test_verdict_of_a_network_that_adds_nothing():
    answers = answers_of(PETS, strength=1.5)
    share = report_of(PETS, answers=answers).test["accuracy"].value
    assert (
        "adds nothing that could be told from luck"
        in report_of(PETS, answers=answers, share=share).verdict
    )


def test_verdict_when_the_baseline_wins():
    report = report_of(PETS, answers=answers_of(PETS, strength=0.5), share=0.95)
    assert "It adds nothing: it loses" in report.verdict
    assert "Use the baseline" in report.verdict


def test_verdict_takes_the_best_of_several_baselines():
    answers = answers_of(PETS, strength=3.0)
    good = baseline_of(answers.target, 0.7)
    poor = Baseline(
        "majority", "Majority", "the commonest", "", wilson(40, 120), np.zeros(120, int)
    )
    report = report_of(PETS, answers=answers, baselines=[poor, good])
    assert report.details["gain"]["over"] == "logistic_regression"
    assert set(report.baselines) == {"majority", "logistic_regression"}
    assert "No simple baseline" in report_of(PETS, baselines=[]).verdict


@pytest.mark.parametrize(("temperature", "words"), [
    (1.0, "can be believed"),
    (0.1, "at face value: on average it is {} points too sure"),
    (8.0, "at face value: on average it is {} points not sure enough"),
])  # fmt: skip
def test_verdict_speaks_of_confidence(temperature, words):
    generator = np.random.default_rng(0)
    logits = 1.5 * generator.normal(size=(3000, 3))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(1)
    answers = Answers(logits.astype(np.float32), labels, [str(i) for i in range(3000)])
    report = report_of(PETS, answers=answers, temperature=temperature)
    assert words.format(f"{100 * report.calibration['ece']:.1f}") in report.verdict


def test_a_flawless_network_is_not_said_to_be_certain():
    report = report_of(PETS, answers=answers_of(PETS, strength=30.0))
    assert report.test["accuracy"].value == 1
    assert report.test["accuracy"].low < 0.98
    assert report.details["mistakes"] == report.details["confusions"] == []
    assert "No class was missed even once." in report.verdict


def test_an_empty_test_part_is_said():
    nothing = Answers(np.zeros((0, 3), np.float32), np.zeros(0, int), [])
    report = report_of(PETS, answers=nothing, baselines=[])
    assert report.test == {}
    assert "nothing can be said" in report.verdict
    json.dumps(report.to_dict(), allow_nan=False)


def test_doubts_are_gathered_from_everywhere():
    answers = answers_of(PETS, each=12)
    keep = answers.target != 2
    few = Answers(answers.raw[keep], answers.target[keep], list(np.array(answers.keys)[keep]))
    doubts = report_of(PETS, answers=few, doubts=("stopped early",)).doubts
    assert doubts[:2] == ("2 pictures are copies of others", "stopped early")
    assert any("no test pictures of 'newt'" in d for d in doubts)
    assert any("fewer than 20 test pictures of 'cat' and 'dog'" in d for d in doubts)
    assert any("only 24 test pictures" in d for d in doubts)


def test_the_same_answers_give_the_same_report():
    assert report_of(PETS) == report_of(PETS)


def test_many_classes_are_reduced_to_the_most_confused():
    classes = [f"c{i}" for i in range(300)]
    matrix = np.diag(np.full(300, 9))
    matrix[17, 250] = 5
    table = confusion_table(classes, matrix)
    assert len(table["classes"]) == len(table["shown"]) == 20
    assert table["of"] == 300
    assert {"c17", "c250"} <= set(table["classes"])
    i, j = table["classes"].index("c17"), table["classes"].index("c250")
    assert table["matrix"][i][j] == 5
    assert table["counts"][i] == 14
    middle = confusion_table(classes[:60], matrix[:60, :60])
    assert len(middle["classes"]) == 60
    assert len(middle["shown"]) == 20


def test_confusions_are_sorted_and_without_the_diagonal():
    found = top_confusions(PETS, np.array([[5, 1, 0], [3, 6, 1], [0, 0, 10]]))
    assert [(c["true"], c["said"], c["count"]) for c in found] == [
        ("dog", "cat", 3), ("cat", "dog", 1), ("dog", "newt", 1),
    ]  # fmt: skip
    assert found[0]["share"] == pytest.approx(0.3)


def test_curves_take_what_is_there():
    rows = [{"epoch": 1, "loss": 2.0, "score": None}, {"epoch": 2, "loss": float("nan"), "lr": 0.1}]
    assert curves(rows) == {"epoch": [1, 2], "loss": [2.0, None], "rate": [None, 0.1]}
    assert curves([]) == {}


def test_a_given_score_is_kept_as_it_is():
    report = report_of(PETS, card=card_of(PETS, skipped=()), plan=plan_of(PETS))
    assert report.data["skipped"] == {}
    assert isinstance(report.test["accuracy"], Score)


def test_only_validations_are_drawn_of_a_history():
    rows = [
        {"kind": "start", "step": 0},
        {"kind": "validation", "step": 10, "epoch": 1.0, "loss": 2.0, "accuracy": 0.5},
        {"kind": "fault", "step": 12, "rate": 0.1},
        {"kind": "validation", "step": 20, "epoch": 2.0, "loss": 1.0, "accuracy": 0.7},
    ]
    assert curves(rows) == {
        "epoch": [1.0, 2.0], "step": [10, 20], "loss": [2.0, 1.0], "score": [0.5, 0.7],
    }  # fmt: skip
