"""The whole road on small honest sets: look, plan, train, load, predict, evaluate."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli import app
from foveal.errors import DataError, PlanError, RunError
from roads import CLASSES, KEYS, TINY, command, edits, folders, idx, save, shades, strict, zipped
from roads import table as write_table

FURTHER = {"details", "folds", "repeats", "leaks", "optimism"}  # beside the keys that were promised

FILES = {
    *("card.json", "plan.json", "weights.safetensors", "history.jsonl", "report.json"),
    *("report.html", "source.json"),
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """One set in five layouts, by name."""
    root = tmp_path_factory.mktemp("sets")
    x, y = shades()
    more, theirs = shades(8, seed=1)
    folders(root / "split" / "train", x, y)
    folders(root / "split" / "test", more, theirs)
    names = np.array(CLASSES)
    np.savez(root / "set.npz", x_train=x, y_train=names[y], x_test=more, y_test=names[theirs])
    idx(root / "idx", "train", x, y)
    idx(root / "idx", "t10k", more, theirs)
    return {
        "folders": folders(root / "plain", x, y),
        "zip": zipped(root / "split", root / "split.zip"),
        "npz": root / "set.npz",
        "idx": root / "idx",
        "csv": write_table(root / "table", x, y),
    }


@pytest.fixture(scope="module")
def model(sets, tmp_path_factory):
    """A run on class folders, as `foveal.load` reads it."""
    run = tmp_path_factory.mktemp("runs") / "plain"
    foveal.train(sets["folders"], epochs=25, out=run, changes=TINY)
    return foveal.load(run)


class TestEveryLayout:
    @pytest.mark.parametrize("layout", ["folders", "zip", "npz", "idx", "csv"])
    def test_from_a_look_to_answers(self, sets, tmp_path, layout):
        path, names = sets[layout], ("0", "1", "2") if layout == "idx" else CLASSES
        given = layout in ("zip", "npz", "idx")
        card = foveal.look(path)
        assert card.classes == names
        assert card.parts == ({"train": 72, "test": 24} if given else {"train": 72})
        plan = foveal.plan(path, epochs=2, changes=TINY)
        assert plan.classes == names
        assert plan.net.widths == (16,)
        report = foveal.train(path, epochs=2, out=tmp_path / "run", changes=TINY)
        assert {p.name for p in (tmp_path / "run").iterdir() if p.is_file()} >= FILES
        assert report.data["test"] == (24 if given else report.data["test"])
        assert sum(report.data[part] for part in card.parts | {"validation": 0, "test": 0}) == (
            96 if given else 72
        )
        loaded = foveal.load(tmp_path / "run")
        again = loaded.evaluate(path)
        if given:  # the same test part: the same figures
            assert again.test == report.test
            assert again.calibration == report.calibration
        else:
            assert again.data["test"] == 72
        answers = loaded.predict(path)
        readable = [a for a in answers if not a.error]
        assert len(readable) == {"zip": 96, "npz": 96, "idx": 96}.get(
            layout, 72 * (layout != "csv")
        )
        assert all(a.label in names for a in readable)

    def test_a_zip_and_its_folder_give_the_same_model(self, sets, tmp_path):
        for name, path in (("a", sets["zip"]), ("b", sets["zip"].with_suffix(""))):
            foveal.train(path, epochs=1, out=tmp_path / name, changes=TINY)
        one, two = ((tmp_path / n / "weights.safetensors").read_bytes() for n in "ab")
        assert one == two

    def test_a_test_set_elsewhere(self, sets, tmp_path):
        more, theirs = shades(8, seed=1)
        keep = theirs != 1  # no sample of s2, and other file names
        other = folders(tmp_path / "other", more[keep], theirs[keep])
        report = foveal.train(
            sets["folders"], test=other, epochs=1, out=tmp_path / "run", changes=TINY
        )
        assert report.data["test"] == 16
        assert report.data["train"] + report.data["validation"] == 72


class TestReport:
    def test_it_has_the_keys_that_were_promised(self, model):
        found = strict((model.run / "report.json").read_text())
        assert found.keys() == KEYS | FURTHER
        assert found["task"] == "classify"
        assert found["main"] == "accuracy"
        assert found["data"].keys() == {"train", "validation", "test", "skipped", "groups"}
        names = {"accuracy", "balanced_accuracy", "f1_macro", "auroc", "log_loss", "ece"}
        assert found["test"].keys() == names
        for score in found["test"].values():
            assert score.keys() == {"value", "low", "high"}
            assert score["low"] <= score["value"] <= score["high"]
        fitted = {"ece", "ece_uncalibrated", "temperature", "sets", "floor", "kept", "fitted_on"}
        assert found["calibration"].keys() == fitted
        wanted = {
            *("seconds", "samples_per_second", "peak_memory_mb", "macs_per_sample"),
            *("fraction_of_peak", "device", "threads", "precision"),
        }
        assert found["cost"].keys() >= wanted
        assert all(isinstance(v, float) for v in found["baselines"].values())

    def test_it_comes_back_as_it_was(self, model):
        values = json.loads((model.run / "report.json").read_text())
        assert foveal.Report.from_dict(values) == model.report
        assert json.loads(json.dumps(model.report.to_dict())) == values

    def test_the_history_is_one_document_per_line(self, model):
        lines = (model.run / "history.jsonl").read_text().splitlines()
        assert lines
        assert all(isinstance(strict(line), dict) for line in lines)


class TestCommandLine:
    def test_the_road_by_commands(self, sets, tmp_path):
        data, run = sets["folders"], tmp_path / "run"
        card = strict(command("look", data, "--json", cwd=tmp_path).stdout)
        assert card["classes"] == list(CLASSES)
        words = ["--epochs", 2, *edits(), "--json"]
        plan = strict(command("plan", data, *words, "--out", "p.json", cwd=tmp_path).stdout)
        assert plan == strict((tmp_path / "p.json").read_text())
        assert plan["why"]["net.widths"] == "set by you to [16]"
        done = command("train", data, *words, "--out", run, cwd=tmp_path)
        assert strict(done.stdout).keys() == KEYS | FURTHER
        assert strict(done.stdout) == strict((run / "report.json").read_text())
        trained = strict((run / "plan.json").read_text())
        assert {k: trained[k] for k in ("net", "data", "augment")} == {
            k: plan[k] for k in ("net", "data", "augment")
        }
        judged = strict(command("evaluate", run, data, "--json", cwd=tmp_path).stdout)
        assert judged.keys() == KEYS | FURTHER
        done = command("predict", run, data, "nothing.png", "--json", cwd=tmp_path)
        lines = [strict(line) for line in done.stdout.splitlines()]
        assert len(lines) == 73
        assert [line["input"] for line in lines][-1] == "nothing.png"
        assert lines[-1].keys() == {"input", "error"}

    @pytest.mark.parametrize("verb", ["look", "plan", "train", "evaluate", "predict"])
    def test_a_mistake_prints_nothing_on_stdout(self, verb, tmp_path):
        words = [tmp_path / "nothing"] * (2 if verb in ("evaluate", "predict") else 1)
        done = command(verb, *words, "--json", cwd=tmp_path, code=1)
        assert done.stdout == ""
        for said in ("nothing", "where:", "mend:"):
            assert said in done.stderr
        assert not any(p.is_file() for p in tmp_path.rglob("*"))

    def test_a_plan_that_cannot_be_written(self, sets, tmp_path):
        words = ["--epochs", 1, *edits(), "--out", tmp_path / "no" / "plan.json"]
        done = CliRunner().invoke(app, ["plan", *map(str, [sets["folders"], *words])])
        assert done.exit_code == 1
        assert "No such file or directory" in done.stderr
        assert "mend:" in done.stderr


class TestClassesAreMatchedByName:
    def test_a_class_that_is_not_there(self, model, sets, tmp_path):
        shutil.copytree(sets["folders"], tmp_path / "set")
        shutil.rmtree(tmp_path / "set" / "s1")
        report = model.evaluate(tmp_path / "set")
        assert report.data["test"] == 48
        assert report.test["accuracy"].value > 0.9
        rows = {row["name"]: row["count"] for row in report.details["per_class"]}
        assert rows == {"s1": 0, "s2": 24, "s10": 24}

    def test_another_order(self, model):
        x, y = shades(8, seed=2)
        turned = np.array(CLASSES)[y][::-1]
        report = model.evaluate(x[::-1], turned)
        assert report.test["accuracy"].value > 0.9

    def test_a_class_the_model_does_not_know(self, model, tmp_path):
        x, y = shades(4)
        folders(tmp_path / "set", x, y, names=("s1", "s2", "s11"))
        with pytest.raises(DataError, match="'s11' is unknown to the model") as caught:
            model.evaluate(tmp_path / "set")
        assert "'s1'" in caught.value.mend


class TestPython:
    def test_fit_on_arrays(self, tmp_path):
        x, y = shades()
        more, theirs = shades(8, seed=1)
        model = foveal.fit(
            x, y, x_test=more, y_test=theirs, epochs=6, changes=TINY, out=tmp_path / "run"
        )
        assert model.plan.classes == ("0", "1", "2")
        assert model.report.data["test"] == 24
        answers = model.predict(more)
        right = np.mean([a.label == str(label) for a, label in zip(answers, theirs, strict=True)])
        assert right == pytest.approx(model.report.test["accuracy"].value)
        assert model.evaluate(more, theirs).test == model.report.test
        assert [a.input for a in answers] == [str(i) for i in range(24)]
        for a in answers:
            assert sum(a.probabilities.values()) == pytest.approx(1, abs=1e-5)
            assert a.probability == max(a.probabilities.values())

    def test_a_saved_model_gives_equal_answers_elsewhere(self, model, tmp_path):
        x, _ = shades(8, seed=3)
        kept = model.save(tmp_path / "kept")
        moved = tmp_path / "elsewhere" / "moved"
        shutil.move(shutil.copytree(kept, tmp_path / "copy"), moved)
        loaded = foveal.load(moved)
        assert loaded.predict(x) == model.predict(x)
        assert loaded.report == model.report
        assert loaded.card == model.card
        assert (moved / "report.html").read_text() == (model.run / "report.html").read_text()

    def test_save_outlives_the_run_folder(self, tmp_path):
        x, y = shades(12)
        model = foveal.fit(x, y, epochs=1, changes=TINY, out=tmp_path / "run")
        before = model.predict(x[:5])
        shutil.rmtree(tmp_path / "run")
        assert foveal.load(model.save(tmp_path / "kept")).predict(x[:5]) == before

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"x_test": 1}, "come together"),
            ({"y_test": [1]}, "come together"),
            ({"y": None}, "without their labels"),
            ({"y": [1, 2]}, "72 items, but labels of shape"),
            ({"y": [None] * 72}, "objects that are not text"),
            ({"data": "nowhere"}, "beside a path"),
            ({"data": "nowhere", "y": None}, "no file or folder 'nowhere'"),
            ({"data": [[1], [2, 3]]}, "cannot become an array"),
        ],
    )
    def test_what_does_not_go_together_is_said(self, given, said, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        x, y = shades()
        with pytest.raises(DataError, match=said):
            foveal.fit(**{"data": x, "y": y, "epochs": 1, **given})
        assert list(tmp_path.iterdir()) == []

    def test_edits_are_checked(self):
        x, y = shades()
        with pytest.raises(PlanError, match="unknown key"):
            foveal.fit(x, y, epochs=1, changes={"net.width": "3"})

    def test_a_taken_folder_is_left_alone(self, model, sets):
        before = (model.run / "weights.safetensors").read_bytes()
        with pytest.raises(RunError, match="there is a run"):
            foveal.train(sets["folders"], epochs=1, out=model.run, changes=TINY)
        with pytest.raises(RunError, match="there is a run"):
            model.save(model.run)
        assert (model.run / "weights.safetensors").read_bytes() == before


class TestOddPictures:
    def test_16_bit_grey(self, tmp_path):
        x, y = shades(dtype=np.uint16)
        folders(tmp_path / "set", x, y, ending="tif")
        report = foveal.train(tmp_path / "set", epochs=25, out=tmp_path / "run", changes=TINY)
        model = foveal.load(tmp_path / "run")
        assert model.card.dtype == "uint16"
        assert report.test["accuracy"].value > 0.9
        # 8 bits of the same pictures are brought to the set's depth
        eight = (x[:6] // 257).astype(np.uint8)
        deep, flat = model.predict(x[:6]), model.predict(eight)
        assert [a.label for a in deep] == [a.label for a in flat] == [CLASSES[i] for i in y[:6]]

    def test_alpha(self, tmp_path):
        x, y = shades()
        rgba = np.stack([x, x, 255 - x, np.full_like(x, 200)], axis=-1)
        folders(tmp_path / "set", rgba, y)
        foveal.train(tmp_path / "set", epochs=2, out=tmp_path / "run", changes=TINY)
        model = foveal.load(tmp_path / "run")
        assert model.card.modes == {"RGBA": 72}
        assert model.plan.data.channels == 3
        (answer,) = model.predict(tmp_path / "set" / "s1" / "0.png")
        assert not answer.error

    def test_mixed_sizes_and_modes(self, tmp_path):
        for i in range(72):
            size = (8 + i % 7, 9 + i % 5)
            x = np.full(size, 80 * (i % 3) + i % 9, np.uint8)
            picture = np.stack([x] * 3, -1) if i % 2 else x
            save(picture, tmp_path / "set" / CLASSES[i % 3] / f"{i}.png")
        card = foveal.look(tmp_path / "set")
        assert (card.smallest, card.largest) == ((8, 9), (14, 13))
        assert card.modes.keys() == {"L", "RGB"}
        report = foveal.train(tmp_path / "set", epochs=2, out=tmp_path / "run", changes=TINY)
        assert any("mixed" in doubt for doubt in report.doubts)
        answers = foveal.load(tmp_path / "run").predict(tmp_path / "set")
        assert len(answers) == 72
        assert not any(a.error for a in answers)

    def test_one_pixel_and_one_line(self, model, tmp_path):
        for size in ((1, 1), (1, 3000), (3000, 1)):
            path = save(np.full(size, 100, np.uint8), tmp_path / f"{size[0]}.png")
            (answer,) = model.predict(path)
            assert not answer.error
        Image.new("1", (7, 7)).save(tmp_path / "bits.png")
        assert not model.predict(tmp_path / "bits.png")[0].error
