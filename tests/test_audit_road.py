"""A run from its training to its audit: own test part, other data, the command, refusals."""

import json

import numpy as np
import pytest

import foveal
from foveal.errors import PlanError, RunError
from foveal.verbs.train import train
from roads import TINY, command, edits, folders, shades, strict


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("audit")
    x, y = shades(each=40)
    folders(root / "shades", x, y)
    train(root / "shades", epochs=4, out=root / "run", changes=dict(TINY))
    return root


def test_a_run_is_audited_on_its_own_test_part(run):
    found = foveal.audit(run / "run", budget=20)
    report = json.loads((run / "run" / "report.json").read_text())
    assert found.samples == report["data"]["test"]
    # The same samples in the same views: the accuracy of the report, to the last sample.
    assert found.accuracy.value == pytest.approx(report["test"]["accuracy"]["value"], abs=1e-9)
    assert found.noun == "pictures"
    made = strict((run / "run" / "audit.json").read_text())
    assert made == found.to_dict()
    assert "audit.json" in (run / "run" / "audit.html").read_text()
    assert {row["name"] for row in made["transforms"]} >= {"shift", "crop", "flip x", "turn y-x"}


def test_other_data_and_a_model_in_memory(run):
    model = foveal.load(run / "run")
    found = foveal.audit(model, run / "shades", budget=20, most=40)
    assert found.samples == 40
    with pytest.raises(foveal.DataError, match="which knows its own"):
        foveal.audit(model, run / "shades", classes=("a",))


def test_the_command_prints_one_document(run):
    done = command("audit", "run", "--budget", "20s", "--json", cwd=run)
    made = strict(done.stdout)
    assert list(made) == ["samples", "transforms", "exact", "merges", "remedy"]
    told = command("audit", "run", "shades", "--budget", "20s", cwd=run)
    assert not told.stdout
    for part in ("were asked about again", "95 % interval", "audit.html"):
        assert part in told.stderr


def test_what_cannot_be_audited_is_said(run, tmp_path):
    x, y = shades(each=12)
    kept = foveal.fit(x, y, epochs=1, out=tmp_path / "memory", changes=dict(TINY))
    with pytest.raises(RunError, match="arrays in memory") as found:
        foveal.audit(kept)
    assert "foveal audit" in str(found.value)
    folders(run / "changed", x, y)
    source = json.loads((run / "run" / "source.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    for file in (run / "run").iterdir():
        if file.is_file():
            (other / file.name).write_bytes(file.read_bytes())
    (other / "source.json").write_text(json.dumps({**source, "path": str(run / "changed")}))
    with pytest.raises(RunError, match="not what this run was trained on"):
        foveal.audit(other)
    command("audit", "nothing", cwd=run, code=1)
    command("audit", "run", "--budget", "soon", cwd=run, code=2)


def test_numbers_are_audited_on_their_own_test_part(run, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (60, 9, 9)).astype(np.uint8)
    np.savez(tmp_path / "set.npz", x=x, y=x.mean((1, 2)) / 255)
    asked = ["--audit", "--epochs", "1", "--out", "run", *edits(TINY)]
    command("train", "set.npz", *asked, cwd=tmp_path, limit=120)
    made = strict((tmp_path / "run" / "audit.json").read_text())
    assert list(made) == ["samples", "transforms", "exact", "merges", "remedy"]
    assert all(row["accuracy"] is None for row in made["transforms"])
    assert all(row["change"] >= 0 for row in made["transforms"])
    assert 'id="steady"' in (tmp_path / "run" / "report.html").read_text()
    with pytest.raises(PlanError, match="on its own test part alone, so far"):
        foveal.audit(tmp_path / "run", run / "shades")


def test_an_audit_stands_in_the_report_of_a_run_that_asked_for_it(run, tmp_path):
    asked = ["--audit", "--epochs", "2", "--out", tmp_path / "run", *edits(TINY), "--json"]
    done = command("train", run / "shades", *asked, cwd=tmp_path, limit=120)
    report = strict(done.stdout)
    assert report == strict((tmp_path / "run" / "report.json").read_text())
    assert report["invariance"]["audit"] == strict((tmp_path / "run" / "audit.json").read_text())
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'id="steady"' in page
    assert "were asked about again after each change" in page
    assert "The changes that turn most answers over" in page
    plain = (run / "run" / "report.html").read_text()
    assert 'id="steady"' not in plain


def test_an_audit_of_folds_or_of_a_resumed_run_is_refused(run, tmp_path):
    folds = ["--audit", "--folds", "3", "--epochs", "1", "--out", tmp_path / "run"]
    done = command("train", run / "shades", *folds, cwd=tmp_path, code=1)
    assert "have together learned from every sample" in done.stderr
    assert not (tmp_path / "run").exists()
    command("train", "--resume", run / "run", "--audit", cwd=tmp_path, code=2)


def test_a_run_that_cannot_be_audited_is_kept_and_that_is_said(tmp_path):
    words = ["good day", "fine weather", "bad luck", "poor show"]
    lines = [f"{i % 4 // 2} {words[i % 4]} {i} times over" for i in range(60)]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    asked = ["--audit", "--epochs", "1", "--out", "run"]
    done = command("train", "lines.txt", *asked, cwd=tmp_path, limit=120)
    assert "no audit: a run on texts of any length cannot be audited yet" in done.stderr
    assert (tmp_path / "run" / "report.json").exists()
