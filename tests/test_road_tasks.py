"""Numbers and several classes all the way: look, plan, train, evaluate, predict by the command."""

import csv
import json

import numpy as np
import pytest

import foveal
from foveal.errors import DataError
from roads import TINY, command, edits, save, strict


def bars(count=160, seed=0):
    """Pictures of a bright bar: how bright it is, where it stands, and whether it lies."""
    rng = np.random.default_rng(seed)
    light, place = rng.uniform(60, 250, count), rng.integers(1, 11, count)
    lies = rng.random(count) < 0.3
    x = rng.integers(0, 30, (count, 12, 12)).astype(np.uint8)
    for i in range(count):
        where = (place[i], slice(None)) if lies[i] else (slice(None), place[i])
        x[(i, *where)] = light[i]
    return x, light, place, lies


def table(root, header, rows, x):
    root.mkdir()
    for i, picture in enumerate(x):
        save(picture, root / "files" / f"{i}.png")
    with (root / "set.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *header])
        writer.writerows([f"files/{i}.png", *row] for i, row in enumerate(rows))
    return root


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    x, light, place, _ = bars()
    rows = zip(light.round(2), place + 0.5, strict=True)
    return table(tmp_path_factory.mktemp("road") / "bars", ["light", "place"], rows, x)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    x, light, _, lies = bars()
    rows = [
        [";".join(n for n, yes in (("bright", b), ("lying", s)) if yes)]
        for b, s in zip(light > 155, lies, strict=True)
    ]
    return table(tmp_path_factory.mktemp("road") / "bars", ["labels"], rows, x)


def walk(data, tmp_path, *more):
    """look, plan and train by the command; the card, the plan, the report."""
    wish = [*more, "--json"]
    card = strict(command("look", data, *wish, cwd=tmp_path).stdout)
    plan = strict(command("plan", data, "--epochs", 2, *edits(), *wish, cwd=tmp_path).stdout)
    trained = command("train", data, "--epochs", 60, "--out", "run", *edits(), *wish, cwd=tmp_path)
    report = strict(trained.stdout)
    assert report["test"] == strict((tmp_path / "run" / "report.json").read_text())["test"]
    return card, plan, report


def answered(data, tmp_path):
    """The answers of predict as lines of JSON and as rows of a csv file."""
    files = data / "files"
    lines = command("predict", "run", files, "--json", cwd=tmp_path).stdout.splitlines()
    command("predict", "run", files, "--out", "said.csv", cwd=tmp_path)
    with (tmp_path / "said.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [strict(line) for line in lines], rows


def test_numbers_from_a_table_to_intervals(numbers, tmp_path):
    card, plan, report = walk(numbers, tmp_path)
    assert card["target"] == "numbers"
    assert [n["name"] for n in plan["numbers"]] == ["light", "place"]
    assert (plan["task"], plan["net"]["pool"]) == ("regress", "grid")
    assert report["main"] == "mae"
    assert list(report["test"]) == ["mae", "rmse", "r2"]
    assert report["test"]["r2"]["value"] > 0.6
    assert report["test"]["mae"]["value"] < report["baselines"]["mean"]
    assert set(report["baselines"]) == {
        "mean", "median", "ridge_regression", "nearest_neighbours", "tiny_cnn",
    }  # fmt: skip
    assert all(width > 0 for width in report["calibration"]["half_width"])
    again = strict(command("evaluate", "run", numbers, "--json", cwd=tmp_path).stdout)
    assert again["data"]["test"] == 160
    assert again["calibration"]["half_width"] == report["calibration"]["half_width"]
    lines, rows = answered(numbers, tmp_path)
    for line, row in zip(lines, rows, strict=True):
        assert line["low"]["light"] < line["numbers"]["light"] < line["high"]["light"]
        assert float(row["light"]) == line["numbers"]["light"]
        assert float(row["high(place)"]) == line["high"]["place"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert page.count('class="speck"') >= 40
    for section in ("answers", "numbers", "intervals", "worst"):
        assert f'<section id="{section}"' in page


def test_several_classes_from_a_table_to_thresholds(sets, tmp_path):
    card, plan, report = walk(sets, tmp_path)
    assert (card["target"], plan["task"]) == ("labels", "multilabel")
    assert plan["classes"] == ["bright", "lying"]
    assert report["main"] == "map_macro"
    assert list(report["test"]) == ["map_macro", "f1_macro"]
    assert report["test"]["map_macro"]["value"] > report["baselines"]["base_rates"] + 0.15
    known = report["calibration"]
    assert len(known["threshold"]) == len(known["slope"]) == 2
    again = strict(command("evaluate", "run", sets, "--json", cwd=tmp_path).stdout)
    assert again["calibration"]["threshold"] == known["threshold"]
    lines, rows = answered(sets, tmp_path)
    for line, row in zip(lines, rows, strict=True):
        above = [
            name
            for (name, p), low in zip(
                line["probabilities"].items(), known["threshold"], strict=True
            )
            if p > low
        ]
        assert line["labels"] == above
        assert row["labels"] == ";".join(above)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for section in ("classes", "confidence", "mistakes"):
        assert f'<section id="{section}"' in page


def test_one_column_alone_and_whole_numbers_as_numbers(numbers, tmp_path):
    wish = ["--target", "place", "--epochs", 1, "--out", "run", *edits(), "--json"]
    report = strict(command("train", numbers, *wish, cwd=tmp_path).stdout)
    assert [n["name"] for n in report["details"]["numbers"]] == ["place"]
    source = json.loads((tmp_path / "run" / "source.json").read_text())
    assert source["target"] == ["place"]
    again = strict(command("evaluate", "run", numbers, "--json", cwd=tmp_path).stdout)
    assert [n["name"] for n in again["details"]["numbers"]] == ["place"]
    failed = command("plan", numbers, "--target", "weight", cwd=tmp_path, code=1)
    assert "no column 'weight'" in failed.stderr


def test_arrays_of_numbers_and_of_classes(tmp_path):
    x, light, place, lies = bars(120)
    model = foveal.fit(x, light, epochs=3, changes=TINY, out=tmp_path / "one")
    assert model.plan.task == "regress"
    (answer,) = model.predict(x[:1])
    assert set(answer.numbers) == {"y"}
    assert answer.label == ""
    assert model.evaluate(x, light).main == "mae"
    both = np.stack([light > 155, lies], 1).astype(int)
    model = foveal.fit(x, both, epochs=2, changes=TINY, out=tmp_path / "two")
    assert model.plan.task == "multilabel"
    assert set(model.predict(x[:1])[0].labels) <= {"0", "1"}
    assert foveal.load(tmp_path / "two").predict(x) == model.predict(x)
    model = foveal.fit(x, place, task="regress", epochs=1, changes=TINY, out=tmp_path / "three")
    assert model.plan.numbers[0].mean == pytest.approx(place.mean())
    with pytest.raises(DataError, match="are no classes"):
        foveal.fit(x, light, task="classify", epochs=1, out=tmp_path / "four")


@pytest.mark.parametrize("size", [(40,), (6, 7, 8)])
def test_other_ranks_take_the_same_road(size, tmp_path):
    rng = np.random.default_rng(0)
    y = rng.uniform(0, 3, 90)
    x = (y.reshape(-1, *[1] * len(size)) * 60 + rng.normal(0, 9, (90, *size))).astype(np.float32)
    model = foveal.fit(x, y, epochs=12, out=tmp_path / "run")
    assert model.plan.rank == len(size)
    assert model.report.test["r2"].value > 0.5
