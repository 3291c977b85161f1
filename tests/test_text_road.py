"""The whole road on template texts: look, plan, train, evaluate, predict."""

import json
import subprocess
import sys

import pytest

from foveal.verbs.evaluate import evaluate
from foveal.verbs.labels import labels
from foveal.verbs.look import look
from foveal.verbs.model import load
from foveal.verbs.predict import predict
from foveal.verbs.train import train
from template_texts import lines, made


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("road")
    report = train(lines(folder / "set.txt", 240), epochs=6, out=folder / "run")
    return folder, report


def test_look_tells_what_was_found(tmp_path):
    card = look(lines(tmp_path / "set.txt"))
    assert card.data == "text"
    assert card.layout == "lines of label and text"
    assert card.modes == {"UTF-8": 160}


def test_training_learns_and_names_its_rivals(run):
    _, report = run
    assert report.test["accuracy"].value > 0.9
    assert set(report.baselines) == {"majority", "tfidf_logistic_regression", "nb_svm"}


def test_mistakes_are_shown_in_their_words(run, tmp_path):
    folder, _ = run
    odd = "bad <b>splendid</b> and splendid again\n"
    (tmp_path / "odd.txt").write_text(odd + "".join(f"{n} {t}\n" for n, t in made(40, seed=6)))
    report = evaluate(folder / "run", tmp_path / "odd.txt")
    shown = [each["picture"] for each in report.details["mistakes"]]
    assert "<b>splendid</b> and splendid again" in shown
    from foveal.tasks.classify import TASK

    page = "".join(TASK.telling.sections(report))
    assert "<blockquote>&lt;b&gt;splendid&lt;/b&gt; and splendid again</blockquote>" in page


def test_evaluate_uses_the_same_tokens(run, tmp_path):
    folder, _ = run
    (tmp_path / "new.txt").write_text("".join(f"{n} {t}\n" for n, t in made(60, seed=5)))
    assert evaluate(folder / "run", tmp_path / "new.txt").test["accuracy"].value > 0.9


def test_lines_of_a_file_and_a_folder_are_predicted(run, tmp_path):
    folder, _ = run
    (tmp_path / "one.txt").write_text("the film was splendid\n\na dreadful long story\n")
    found = list(predict(folder / "run", [tmp_path / "one.txt", tmp_path]))
    assert [answer["label"] for answer in found] == ["good", "bad"] * 2
    assert found[1]["input"].endswith("one.txt line 3")
    (tmp_path / "bad.txt").write_bytes(b"\0\0")
    answer = list(predict(folder / "run", [tmp_path / "bad.txt"]))
    assert "holds bytes that no text has" in answer[0]["error"]


def test_padding_and_company_do_not_change_an_answer(run):
    folder, _ = run
    model = load(folder / "run")
    texts = folder / "some.txt"
    texts.write_text("a sorry film\nthe story of two lovely people was long , long\n")
    both = [a.probability for a in model.predict(texts)]
    texts.write_text("a sorry film\n")
    assert model.predict(texts)[0].probability == pytest.approx(both[0], abs=2e-6)


def test_labels_of_texts_are_ranked_by_networks_and_words(tmp_path):
    said = made(160)
    wrong = {f"set.txt line {i + 1}" for i in (3, 40, 41, 100)}
    flipped = [
        (n if f"set.txt line {i + 1}" not in wrong else {"good": "bad", "bad": "good"}[n], t)
        for i, (n, t) in enumerate(said)
    ]
    (tmp_path / "set.txt").write_text("".join(f"{n} {t}\n" for n, t in flipped))
    found = labels(tmp_path / "set.txt", budget=20, folds=2)
    assert len(found) == 160
    assert {doubt.sample for doubt in found[:4]} == wrong
    assert all(doubt.suspect and doubt.likely != doubt.given for doubt in found[:4])
    assert all(0 <= doubt.score <= 1 for doubt in found)


def test_class_folders_from_the_command_line(tmp_path):
    for i, (name, text) in enumerate(made(120)):
        (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name / f"{i}.txt").write_text(text)
    (tmp_path / "set" / "README.txt").write_text("about it")

    def foveal(*words):
        return subprocess.run(
            [sys.executable, "-m", "foveal", *map(str, words)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    out = tmp_path / "run"
    report = json.loads(foveal("train", tmp_path / "set", "--epochs", 6, "--out", out, "--json"))
    assert report["test"]["accuracy"]["value"] > 0.8
    file = tmp_path / "set" / "good" / "0.txt"
    answer = json.loads(foveal("predict", out, file, "--json"))
    assert answer["label"] == "good"
    assert "words" in foveal("plan", tmp_path / "set", "--epochs", 1, "--json")
