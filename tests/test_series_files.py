"""Time series in .ts files and plain tables: what is read, filled in, and refused by its line."""

import numpy as np
import pytest

from foveal.datasets.layouts import find_listing
from foveal.datasets.layouts._series import looks_like_rows, parse_rows, parse_ts
from foveal.errors import DataError
from recordings import ts, waves

HEAD = "@problemName made\n@classLabel true a b\n@data\n"


def parsed(body, head=HEAD):
    return parse_ts((head + body).encode(), "made.ts")


def test_values_and_classes_come_as_they_stand():
    found = parsed("1,2.5,-3:a\n# a comment\n\n4,5,6:b\n")
    assert [x.tolist() for x in found.items] == [[[1, 2.5, -3]], [[4, 5, 6]]]
    assert found.labels == ["a", "b"]
    assert found.lines == [4, 7]
    assert found.filled == 0


def test_dimensions_become_channels():
    found = parsed("1,2:3,4:a\n5,6:7,8:b", "@univariate false\n@dimensions 2\n" + HEAD)
    assert found.items[1].tolist() == [[5, 6], [7, 8]]


def test_lengths_may_differ():
    found = parsed("1,2,3:a\n4:b")
    assert [x.shape for x in found.items] == [(1, 3), (1, 1)]


def test_missing_values_lie_on_a_line_between_their_neighbours():
    found = parsed("?,1,?,?,4,?:a")
    assert found.items[0].tolist() == [[1, 1, 2, 3, 4]]  # the last one is where the series ends
    assert found.filled == 3


def test_missing_ends_of_one_dimension_are_filled_with_the_nearest_value():
    found = parsed("1,2,?:4,5,6:a", "@dimensions 2\n" + HEAD)
    assert found.items[0].tolist() == [[1, 2, 2], [4, 5, 6]]


def test_a_target_is_a_number():
    found = parsed("1,2:0.5\n3,4:-7", "@targetLabel true\n@data\n")
    assert found.numbers == [0.5, -7.0]
    assert found.labels == []


def test_items_without_classes_have_none():
    assert parsed("1,2\n3,4", "@classLabel false\n@data\n").labels == [None, None]


@pytest.mark.parametrize(
    ("body", "head", "message", "line"),
    [
        ("1,x,3:a", HEAD, "'x' is no number", 4),
        ("1,inf,3:a", HEAD, "not a finite number", 4),
        ("1,1e50,3:a", HEAD, "not a finite number", 4),
        ("1,2:c", HEAD, "'c' is none of @classLabel", 4),
        ("1,2:", HEAD, "'' is none of @classLabel", 4),
        ("1,2:3,4:a", "@univariate true\n" + HEAD, "has 2 dimensions, 1 are needed", 5),
        ("1,2:a", "@dimensions 2\n" + HEAD, "has 1 dimensions, 2 are needed", 5),
        ("1,2:3:a", "@dimensions 2\n" + HEAD, r"different lengths: \[1, 2\]", 5),
        ("1,2:3,4:a\n", "@dimensions many\n" + HEAD, "'many' is no count", 5),
        ("?,?:a", HEAD, "no value at all", 4),
        ("1:a", "@timeStamps maybe\n" + HEAD, "neither true nor false", 1),
        ("1:a", "@colour red\n" + HEAD, "unknown header @colour", 1),
        ("1:a", "@missing true\n@missing true\n" + HEAD, "stands there twice", 2),
        ("1:a", "hello\n" + HEAD, "'hello' stands before @data", 1),
        ("1:?", "@targetLabel true\n@data\n", "the target is missing", 3),
    ],
)
def test_a_broken_line_is_named(body, head, message, line):
    with pytest.raises(DataError, match=message) as caught:
        parsed(body, head)
    assert caught.value.where == f"made.ts line {line}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"@problemName a\n", "no line @data"),
        (HEAD.encode(), "no series behind @data"),
        (HEAD.encode() + b"1,\x002:a", "zero bytes"),
        (b"@timeStamps true\n", "carry time stamps"),
    ],
)
def test_a_file_that_holds_no_series_is_refused(content, message):
    with pytest.raises(DataError, match=message) as caught:
        parse_ts(content, "made.ts")
    assert caught.value.mend


@pytest.mark.parametrize("separator", ["\t", ",", "   "])
def test_plain_rows_begin_with_their_class(separator):
    rows = [["1.0000000e+00", *map(str, range(9))], ["-1", *map(str, range(7)), "NaN", "NaN"]]
    content = "\n".join(separator.join(row) for row in rows).encode()
    assert looks_like_rows(content)
    found = parse_rows(content, "made.tsv")
    assert found.labels == ["1", "-1"]
    assert [x.shape for x in found.items] == [(1, 9), (1, 7)]


def test_tables_with_a_header_or_words_are_no_rows():
    assert not looks_like_rows(b"label,a,b,c,d,e,f,g,h,i\n1,2,3,4,5,6,7,8,9,10")
    assert not looks_like_rows(b"1,2,3")


def test_train_and_test_files_are_one_set(tmp_path):
    x, names = waves(12, channels=2)
    head = ("@dimensions 2",)
    ts(tmp_path / "Set_TRAIN.ts", x[:8], names[:8], *head)
    ts(tmp_path / "Set_TEST.ts", x[8:], names[8:], *head)
    listing = find_listing(tmp_path)
    assert (listing.name, listing.layout) == ("Set", "time series")
    assert listing.has_parts == ("train", "test")
    assert np.bincount(listing.parts).tolist() == [8, 0, 4]
    sample = listing.read(0)
    assert sample.key.startswith("Set_TEST.ts line ")
    assert sample.x.shape == (2, 40)
    assert sample.grid.axes[0].kind == "time"
    assert not sample.grid.axes[0].mirrors


def test_a_single_file_and_plain_tables_are_read(tmp_path):
    x, names = waves(12)
    one = find_listing(ts(tmp_path / "only.ts", x, names))
    assert one.has_parts == ("train",)
    for part in ("TRAIN", "TEST"):
        rows = ["\t".join([str(i % 2), *map(str, row[0])]) for i, row in enumerate(x)]
        (tmp_path / "old").mkdir(exist_ok=True)
        (tmp_path / "old" / f"Set_{part}.tsv").write_text("\n".join(rows))
        (tmp_path / "old" / f"Set_{part}.txt").write_text("\n".join(rows))
    listing = find_listing(tmp_path / "old")
    assert (len(listing), listing.classes) == (24, ("0", "1"))


def test_filled_values_are_told(tmp_path):
    x, names = waves(4)
    x[0][0][3] = "?"
    listing = find_listing(ts(tmp_path / "a.ts", x, names, "@missing true"))
    assert listing.doubts[0].startswith("1 missing values of the train part were filled in")


def test_numbers_as_targets_are_listed(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text("@targetLabel true\n@data\n1,2:0.5\n3,4:1.5\n")
    listing = find_listing(path)
    assert listing.target == "numbers"
    assert listing.values.tolist() == [[0.5], [1.5]]


def test_several_sets_in_one_folder_are_not_mixed(tmp_path):
    x, names = waves(4)
    ts(tmp_path / "A_TRAIN.ts", x, names)
    ts(tmp_path / "B_TEST.ts", x, names)
    with pytest.raises(DataError, match="not the parts of one set"):
        find_listing(tmp_path)


def test_parts_must_agree_in_dimensions(tmp_path):
    x, names = waves(4)
    ts(tmp_path / "A_TRAIN.ts", x, names)
    ts(tmp_path / "A_TEST.ts", waves(4, channels=2)[0], names, "@dimensions 2")
    with pytest.raises(DataError, match=r"different numbers of dimensions: \[1, 2\]"):
        find_listing(tmp_path)


@pytest.mark.parametrize(
    ("name", "train", "test", "channels", "length"),
    [
        ("GunPoint", 50, 150, 1, 150),
        ("ArrowHead", 36, 175, 1, 251),
        ("OSULeaf", 200, 242, 1, 427),
        ("BasicMotions", 40, 40, 6, 100),
    ],
)
def test_the_archives_sets_have_their_published_sizes(shared, name, train, test, channels, length):
    listing = find_listing(shared / "data" / "timeseries" / name)
    assert np.bincount(listing.parts).tolist() == [train, 0, test]
    assert listing.read(0).x.shape == (channels, length)
