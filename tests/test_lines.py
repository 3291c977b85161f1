"""Texts in lines and tables: which is the label, which the part, and which line is broken."""

import json

import pytest

from foveal.datasets.layouts import find_listing
from foveal.datasets.tokens import text_of
from foveal.errors import DataError

GOOD = "a fine film\n1 no stars at all\n0 fine again\n1 not a good one\n0 a last fine one\n"


def texts(listing):
    return [text_of(listing.read(i).x) for i in range(len(listing))]


def test_lines_of_label_and_text_end_at_newline_only(tmp_path):
    path = tmp_path / "set.all"
    path.write_bytes(f"0 one\x85two and caf\xe9 {GOOD}0 {GOOD}\n1\n".encode("latin-1"))
    found = find_listing(path)
    assert found.layout == "lines of label and text"
    assert found.classes == ("0", "1")
    assert found.labels.tolist() == [0, 1, 0, 1, 0] * 2
    assert found.read(0).mode == "Windows-1252"
    assert found.read(1).y == "1"
    assert found.keys[1] == "set.all line 2"
    assert texts(found)[1] == "no stars at all"
    assert [(s.key, s.reason) for s in found.left_out] == [("set.all line 12", "has no text")]


def test_parts_come_from_the_names_of_files(tmp_path):
    for name in ("q.train.txt", "q.test.txt"):
        (tmp_path / name).write_text(
            "__label__a " + GOOD.replace("\n0", "\n__label__a").replace("\n1", "\n__label__b")
        )
    found = find_listing(tmp_path)
    assert found.has_parts == ("train", "test")
    assert found.classes == ("a", "b")
    (tmp_path / "other.txt").write_text("0 " + GOOD)
    with pytest.raises(DataError, match="3 files hold lines of label and text"):
        find_listing(tmp_path)


def test_one_file_is_trained_on_whatever_its_name(tmp_path):
    (tmp_path / "x.test.all").write_text("0 " + GOOD)
    assert find_listing(tmp_path / "x.test.all").has_parts == ("train",)


@pytest.mark.parametrize(
    "content", ["1 2 3\n2 3 4\n1 5 6\n2 7 8\n", "just a text\nof some lines\nwith words\nin it\n"]
)
def test_numbers_and_prose_are_no_labelled_lines(tmp_path, content):
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(DataError, match="no known data set"):
        find_listing(tmp_path / "a.txt")


def test_a_table_with_quotes_and_newlines(tmp_path):
    rows = [
        '"a film, good\nand long",pos,train',
        '"so ""bad"" a film",neg,test',
        "no good film,neg",
    ]
    rows += ["a very good film,pos,train", "a bad bad film,neg,train", "  ,neg,train"]
    (tmp_path / "set.csv").write_text("text,label,split\n" + "\n".join(rows) + "\n")
    found = find_listing(tmp_path / "set.csv")
    assert found.layout == "table of texts"
    assert found.classes == ("neg", "pos")
    assert texts(found)[:2] == ["a film, good\nand long", 'so "bad" a film']
    assert found.has_parts == ("train", "test")
    assert [(s.key, s.reason) for s in found.left_out] == [
        ("set.csv line 8", "has no text"),
        ("set.csv line 5", "has 2 cells, the header 3"),
    ]


def test_objects_one_a_line(tmp_path):
    rows = [{"id": i, "review": f"a film number {i}", "sentiment": "ab"[i % 2]} for i in range(6)]
    lines = [json.dumps(row) for row in rows]
    lines.insert(2, "{broken")
    (tmp_path / "set.jsonl").write_text("\n".join(lines))
    found = find_listing(tmp_path / "set.jsonl")
    assert found.classes == ("a", "b")
    assert len(found) == 6
    assert texts(found)[0] == "a film number 0"
    assert [(s.key, s.reason) for s in found.left_out] == [("set.jsonl line 3", "is no object")]
    (tmp_path / "bad.jsonl").write_text("[1]\n[2]\n")
    with pytest.raises(DataError, match="not JSON objects with the same names"):
        find_listing(tmp_path / "bad.jsonl")


def test_a_table_without_a_plain_label_is_refused(tmp_path):
    rows = "".join(f"a text of words {i},{i % 2},{i % 3}\n" for i in range(9))
    (tmp_path / "set.csv").write_text("text,one,two\n" + rows)
    with pytest.raises(DataError, match="column of classes cannot be told: there are 'one', 'two'"):
        find_listing(tmp_path / "set.csv")


def test_class_folders_of_texts_and_notes_beside_pictures(tmp_path):
    for name in ("ham", "spam"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.txt").write_text(f"{name} number {i}")
    (tmp_path / "README.txt").write_text("about the set")
    found = find_listing(tmp_path)
    assert found.classes == ("ham", "spam")
    assert len(found) == 6
    assert found.left_out == ()


def test_hostile_tables_are_refused_by_name(shared):
    for path in sorted((shared / "hostile/generated/tables").iterdir()):
        with pytest.raises(DataError) as caught:
            find_listing(path)
        assert caught.value.where
        assert caught.value.mend
