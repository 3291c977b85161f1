"""Leaks, optimism, doubtful labels and corrected ones: the road on tiny sets."""

import csv

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.datasets.corrected import corrected
from foveal.datasets.split import Split
from foveal.errors import DataError, PlanError
from foveal.verbs.labels import conflicts
from foveal.verbs.leaks import leaked
from foveal.verbs.optimism import at_random, bound
from foveal.verbs.plan import drawn, plan
from foveal.verbs.source import Source, examine
from made import listing_of, pictures
from roads import CLASSES, TINY, folders, save, shades


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


def table(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def split_set(root, *, leaks):
    """A set with a test part, of which the first samples are copies of training ones."""
    x, y = shades(each=16, seed=0)
    tested, truth = shades(each=4, seed=1)
    tested[:leaks] = x[:leaks]
    folders(root / "train", x, y)
    folders(root / "test", tested, truth)
    return root


def test_leaks_of_a_given_test_part_are_told_and_scored_without(tmp_path):
    data = split_set(tmp_path / "set", leaks=5)
    report = foveal.train(data, epochs=2, out=tmp_path / "run", changes=TINY)
    assert (report.leaks["count"], report.leaks["of"]) == (5, 12)
    tested, learned = report.leaks["examples"][0]
    assert tested.startswith("test/")
    assert learned.startswith("train/")
    assert set(report.leaks["without"]) == set(report.test)
    assert report.optimism == {}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "5 of 12 test pictures were also learned from" in page
    assert "Without them: accuracy" in page
    assert any("in two given parts, itself or as a copy" in doubt for doubt in report.doubts)


def test_a_clean_test_part_has_no_leaks(tmp_path):
    data = split_set(tmp_path / "set", leaks=0)
    report = foveal.train(data, epochs=1, out=tmp_path / "run", changes=TINY)
    assert report.leaks == {}


def copies_set(root):
    """Forty pictures of noise under two names each, in two classes."""
    chance = np.random.default_rng(0)
    for i in range(40):
        picture = chance.integers(0, 256, (12, 10)).astype(np.uint8)
        for twin in "ab":
            save(picture, root / CLASSES[i % 2] / f"{i}{twin}.png")
    return root


def test_a_random_split_of_copies_would_have_claimed_more(tmp_path):
    data = copies_set(tmp_path / "set")
    report = foveal.train(data, budget=20, out=tmp_path / "run", changes=TINY)
    assert report.leaks == {}
    assert report.optimism["random"] > report.optimism["honest"]
    assert report.data["groups"]["copies"] == 40
    page = (tmp_path / "run" / "report.html").read_text()
    assert "A split at random would have claimed" in page


def test_folds_say_what_random_ones_would_have_claimed(tmp_path):
    data = copies_set(tmp_path / "set")
    report = foveal.train(data, epochs=1, folds=3, out=tmp_path / "run", changes=TINY)
    assert report.optimism["random"] > report.optimism["honest"] + 0.02
    assert 1 <= report.optimism["splits"] <= 3  # as many as there is time for


def takes_set(root):
    """Twelve takes of noise, eight frames each that hardly differ; classes lie in takes."""
    chance = np.random.default_rng(1)
    for take in range(12):
        still = chance.integers(40, 216, (12, 10))
        for frame in range(8):
            picture = still + chance.integers(-20, 21, still.shape)
            save(picture.astype(np.uint8), root / CLASSES[take % 2] / f"take{take}_{frame:03}.png")
    return root


@pytest.mark.parametrize("group", ["auto", r"take(\d+)"])
def test_frames_of_takes_make_a_random_split_claim_more(tmp_path, group):
    data = takes_set(tmp_path / "set")
    report = foveal.train(
        data, epochs=1, out=tmp_path / "run", changes=TINY, symmetry="none", group=group
    )
    assert sum(report.data["groups"]["groups"].values()) == 12
    assert report.optimism["random"] > report.optimism["honest"] + 0.1
    alone = foveal.train(
        data, epochs=1, out=tmp_path / "alone", changes=TINY, symmetry="none", group="none"
    )
    assert alone.optimism == {}


def test_folds_tell_leaks_of_a_given_test_part(tmp_path):
    data = split_set(tmp_path / "set", leaks=5)
    report = foveal.train(data, epochs=1, folds=2, out=tmp_path / "run", changes=TINY)
    assert (report.leaks["count"], report.leaks["of"]) == (5, 12)
    assert report.optimism == {}


def test_group_none_sets_changed_copies_apart_and_keeps_exact_ones(tmp_path):
    data = copies_set(tmp_path / "set")
    for file in sorted((data / "s1").glob("*b.png"))[:10]:
        picture = 0.8 * np.asarray(Image.open(file)) + 20
        save(picture.astype(np.uint8), file)
    seen, alone = examine(Source(str(data))), examine(Source(str(data), group="none"))
    assert seen.card.copies == 40
    assert alone.card.copies == 30
    assert len(seen.card.changed) == 10
    assert bound(seen) == 1
    assert bound(alone) == 0.75
    made = plan(data, epochs=1, changes=TINY)
    parts = drawn(seen, made)
    assert (leaked(seen, parts) == -1).all()
    mixed = at_random(parts, seen.labels, 0)
    assert [len(p) for p in (mixed.train, mixed.validation, mixed.test)] == [
        len(p) for p in (parts.train, parts.validation, parts.test)
    ]
    assert (leaked(seen, mixed) >= 0).any()
    assert (leaked(seen, Split(parts.train[:0], parts.train[:0], parts.test)) == -1).all()


def test_flipped_labels_are_ranked_first_and_corrected(tmp_path):
    x, y = shades(each=30)
    y[:3] = (y[:3] + 1) % 3
    data = folders(tmp_path / "set", x, y)
    save(x[5], data / CLASSES[(y[5] + 1) % 3] / "twin.png")
    flipped = {f"{CLASSES[y[i]]}/{i}.png" for i in range(3)}
    twins = {f"{CLASSES[y[5]]}/5.png", f"{CLASSES[(y[5] + 1) % 3]}/twin.png"}
    file = tmp_path / "labels.csv"
    edits = {**TINY, "fit.epochs": "12"}
    found = foveal.labels(data, budget=30, folds=2, out=file, changes=edits)
    assert len(found) == 91
    assert {d.sample for d in found[:2]} == twins
    assert "its copy" in found[0].why
    assert {d.sample for d in found[2:5]} == flipped
    for doubt in found[2:5]:
        i = int(doubt.sample.rpartition("/")[2][:-4])
        assert doubt.likely == CLASSES[(y[i] - 1) % 3]
    assert any(doubt.suspect for doubt in found[2:5])
    report = foveal.train(data, epochs=1, out=tmp_path / "run", changes=TINY, relabel=file)
    assert any("labels were corrected by you (labels.csv)" in doubt for doubt in report.doubts)
    again = foveal.train(data, epochs=1, out=tmp_path / "two", changes=TINY, exclude=file)
    assert any("samples were left out by you (labels.csv)" in doubt for doubt in again.doubts)
    assert sum(again.data[p] for p in ("train", "validation", "test")) < 91


def test_the_test_part_stays_where_it_was(tmp_path):
    data = folders(tmp_path / "set", *shades(each=30))
    made = plan(data, epochs=1, changes=TINY)
    key = "s1/0.png"
    fixed = table(tmp_path / "fixed.csv", [("sample", "label"), (key, "s10")])
    before, after = examine(Source(str(data))), examine(Source(str(data), relabel=str(fixed)))
    for name in ("train", "validation", "test"):
        rows = [getattr(drawn(s, made), name).tolist() for s in (before, after)]
        assert rows[0] == rows[1]
    assert (before.labels != after.labels).sum() == 1
    gone = table(tmp_path / "gone.csv", [("sample",), (key,)])
    out = drawn(examine(Source(str(data), exclude=str(gone))), made)
    assert sum(map(len, (out.train, out.validation, out.test))) == 89


LISTING = listing_of(pictures(4), [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("name", "label"), ("item 0", "class 1")], "there is no column 'sample'"),
        ([("sample", "given"), ("item 0", "class 1")], "there is no column 'label'"),
        ([("sample", "label"), ("item 9", "class 1")], "1 of 1 samples are not in the data"),
        ([("sample", "label"), ("item 0", "clas 1")], "class 'clas 1' does not exist"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        corrected(LISTING, None, str(table(tmp_path / "t.csv", rows)))


@pytest.mark.parametrize("content", [b"", b"x", b"name,label\n", b"\0\0"])
def test_a_table_without_a_row_is_no_wish_to_leave_out_nothing(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        corrected(LISTING, str(tmp_path / "t.csv"), None)
    assert "t.csv" in caught.value.where


def test_plain_lists_and_suspects(tmp_path):
    (tmp_path / "list.txt").write_text("item 1\n\nitem 2\n")
    found = corrected(LISTING, str(tmp_path / "list.txt"), None)
    assert found.labels.tolist() == [0, -1, -1, 1]
    assert found.drawn.tolist() == [0, 0, 1, 1]
    rows = [
        ("sample", "likely", "suspect", "label"),
        ("item 0", "class 1", "yes", ""),
        ("item 1", "class 1", "no", ""),
        ("item 2", "class 1", "no", "class 0"),
    ]
    file = str(table(tmp_path / "t.csv", rows))
    assert corrected(LISTING, None, file).labels.tolist() == [1, 0, 0, 1]
    assert corrected(LISTING, file, None).labels.tolist() == [-1, 0, 1, 1]
    assert LISTING.labels.tolist() == [0, 0, 1, 1]


def test_numbers_have_no_labels_to_rank(tmp_path):
    x, _ = shades(each=10)
    rows = [("path", "height")]
    for i, picture in enumerate(x):
        save(picture, tmp_path / "files" / f"{i}.png")
        rows.append((f"files/{i}.png", f"{i * 1.37:.3f}"))
    data = table(tmp_path / "set.csv", rows)
    with pytest.raises(PlanError, match="labels of the task 'regress' cannot be ranked"):
        foveal.labels(data, budget=10)


def test_no_conflicts_among_equal_labels(tmp_path):
    seen = examine(Source(str(copies_set(tmp_path / "set"))))
    assert conflicts(seen, np.arange(80)) == {}
