"""DICOM series as sets: one item per scan, ordered by place, grouped by patient; odd ones named."""

import shutil
import zipfile

import numpy as np
import pytest
import SimpleITK

from foveal.datasets.inputs import inputs
from foveal.datasets.layouts import find_listing
from foveal.datasets.series import find_series, holds_series
from foveal.datasets.source import open_source
from foveal.datasets.survey import survey
from foveal.errors import DataError
from foveal.grid import IMAGE_AXES, Axis, Sample
from foveal.readers._scan import restored
from roads import save, zipped
from scans import dicom, series, turned

ZYX = tuple(Axis(name) for name in "zyx")


def slices(count=4, seed=0, shape=(6, 5)):
    return np.random.default_rng(seed).integers(0, 999, (count, *shape)).astype(np.int16)


def clinic(root, patients=3, *, nested=True):
    """Two classes; each patient has two scans, one of either class."""
    for number in range(patients):
        for label in ("ill", "well"):
            folder = root / label / f"p{number}" / "scan" if nested else root / label
            series(
                folder,
                slices(seed=2 * number + (label == "ill")),
                uid=f"1.{number}.{int(label == 'ill')}",
                PatientID=f"patient {number}",
                names=None if nested else [f"{number}-{i}.dcm" for i in range(4)],
            )
    return root


def by_itk(folder):
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = SimpleITK.DICOMOrient(reader.Execute(), "RAS")
    return SimpleITK.GetArrayFromImage(image), image.GetSpacing()[::-1]


def test_a_real_series_is_read_as_simpleitk_reads_it(shared):
    listing = find_listing(shared / "data" / "mr-series")
    assert (listing.layout, list(listing.keys)) == ("DICOM series", ["11_HCropVolume"])
    assert listing.classes == ()
    sample = listing.read(0)
    wanted, steps = by_itk(shared / "data" / "mr-series" / "11_HCropVolume")
    assert np.array_equal(sample.x[0], wanted)
    assert sample.x.dtype == wanted.dtype
    assert [a.step for a in sample.grid.axes] == pytest.approx(steps)
    assert sample.mode == "MR"


@pytest.mark.parametrize(
    ("along", "down"),
    [
        ((1, 0, 0), (0, 1, 0)),
        ((0, 1, 0), (0, 0, -1)),
        ((1, 0, 0), (0, 0, -1)),
        ((-1, 0, 0), (0, -1, 0)),
        tuple((turned(17) @ np.eye(3)[:, :2]).T),
    ],
)
def test_every_way_to_lie_is_read_as_simpleitk_reads_it(tmp_path, along, down):
    values = slices(5)
    folder = series(tmp_path / "one", values, along=along, down=down, step=1.5)
    sample = find_listing(tmp_path).read(0)
    wanted, steps = by_itk(folder)
    assert np.array_equal(sample.x[0], wanted)
    assert [a.step for a in sample.grid.axes] == pytest.approx(steps, rel=1e-5)
    back = restored(sample.x, sample.affine)  # columns, rows, slices along the normal
    assert np.array_equal(back[0].transpose(2, 1, 0), values)


@pytest.mark.parametrize("nested", [True, False])
def test_class_folders_of_series(tmp_path, nested):
    listing = find_listing(clinic(tmp_path / "set", nested=nested))
    assert listing.layout == "DICOM series"
    assert listing.classes == ("ill", "well")
    assert len(listing) == 6
    assert listing.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(set(listing.keys)) == 6
    for i in range(6):
        sample = listing.read(i)
        assert sample.x.shape == (1, 4, 6, 5)
        assert sample.y == listing.classes[listing.labels[i]]
        assert sample.key == listing.keys[i]


def test_scans_of_one_patient_are_one_group(tmp_path):
    listing = find_listing(clinic(tmp_path / "set"))
    assert listing.groups.tolist()[:3] == listing.groups.tolist()[3:]
    assert len(set(listing.groups.tolist())) == 3
    assert "patient" in listing.group_why
    text = f"{listing.groups} {listing.group_why} {list(listing.keys)} {listing.stamp}"
    assert "patient 0" not in text
    series(tmp_path / "none" / "a", slices())
    assert find_listing(tmp_path / "none").groups is None


def test_parts_and_wrapping_folders(tmp_path):
    clinic(tmp_path / "set" / "data" / "train")
    clinic(tmp_path / "set" / "data" / "test", 2)
    listing = find_listing(tmp_path / "set")
    assert listing.has_parts == ("train", "test")
    assert np.bincount(listing.parts).tolist() == [6, 0, 4]
    assert listing.classes == ("ill", "well")


def test_in_a_zip(tmp_path):
    folder = clinic(tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(folder).as_posix())
    plain, packed = find_listing(folder), find_listing(tmp_path / "set.zip")
    assert packed.layout == "zip of DICOM series"
    assert list(packed.keys) == list(plain.keys)
    for i in range(len(plain)):
        assert np.array_equal(plain.read(i).x, packed.read(i).x)


def test_one_folder_per_scan_is_no_class(tmp_path):
    for number in range(4):
        series(tmp_path / f"scan {number}", slices(seed=number), uid=f"1.{number}")
    listing = find_listing(tmp_path)
    assert listing.classes == ()
    assert listing.labels.tolist() == [-1] * 4
    card = survey(listing).card
    assert card.count == 4
    assert card.data == "volume"


def test_two_series_in_one_folder_are_two_items(tmp_path):
    for number in range(2):
        series(
            tmp_path / "both", slices(seed=number), uid=f"1.{number}",
            names=[f"{number}{i}" for i in range(4)],
        )  # fmt: skip
    listing = find_listing(tmp_path)
    assert len(listing) == 2
    assert len(set(listing.keys)) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("gap", "not evenly spaced"),
        ("sizes", "differ in size: 6 x 5 and 7 x 5"),
        ("copy", "lie where another one lies"),
        ("unplaced", "1 of its 5 slices do not tell where they lie"),
        ("short", "damaged DICOM file"),
        ("garbage", "not evenly spaced"),
    ],
)
def test_a_series_that_makes_no_volume_is_an_item_with_a_reason(tmp_path, change, says):
    clinic(tmp_path / "set")
    bad = tmp_path / "set" / "ill" / "p9"
    series(bad, slices(5), uid="9")
    files = sorted(bad.iterdir())
    if change == "gap":
        shutil.rmtree(bad)
        series(bad, slices(5), uid="9", places=[0, 2, 4, 8, 10])
    elif change == "sizes":
        series(bad, slices(1, shape=(7, 5)), uid="9", places=[20], names=["more"])
    elif change == "copy":
        shutil.copy(files[0], bad / "copy")
    elif change == "unplaced":
        files[0].write_bytes(dicom(slices(1)[0], SeriesInstanceUID="9"))
    elif change == "short":
        files[2].write_bytes(files[2].read_bytes()[:-20])
    else:
        files[2].write_bytes(files[2].read_bytes()[:200] + b"\xff" * 300)
    listing = find_listing(tmp_path / "set")
    reasons = []
    for i in range(len(listing)):
        try:
            listing.read(i)
        except DataError as error:
            reasons.append((error.where, error.what))
    assert any(says in what and where.startswith("ill/p9") for where, what in reasons), reasons
    assert all(where.startswith("ill/p9") for where, _ in reasons)
    assert len(listing) - len(reasons) >= 6


def test_what_holds_no_picture_is_left_out(tmp_path):
    from scans import header, written

    clinic(tmp_path / "set")
    report = header(slices(1)[0])
    for name in ("PixelData", "Rows", "Columns"):
        delattr(report, name)
    (tmp_path / "set" / "DICOMDIR").write_bytes(written(report))
    (tmp_path / "set" / "README").write_text("about")
    series(tmp_path / "set" / "ill" / "scout", slices(1), uid="77")
    listing = find_listing(tmp_path / "set")
    told = {skipped.key: skipped.reason for skipped in listing.left_out}
    assert told == {
        "DICOMDIR": "a DICOM file without a picture (a plan, a report, a directory)",
        "ill/scout/IM0000": "a single picture among volumes",
    }
    assert len(listing) == 6


def test_only_reports_are_no_set(tmp_path):
    from scans import header, written

    report = header(slices(1)[0])
    for name in ("PixelData", "Rows", "Columns"):
        delattr(report, name)
    (tmp_path / "a.dcm").write_bytes(written(report))
    with pytest.raises(DataError, match="none of the DICOM files holds a picture"):
        find_listing(tmp_path)


def test_pictures_without_a_place_stay_pictures(tmp_path):
    for number in range(3):
        for label in ("ill", "well"):
            folder = tmp_path / label
            folder.mkdir(exist_ok=True)
            content = dicom(
                slices(1, seed=number)[0], Modality="CR", SeriesInstanceUID="1",
                PatientID=str(number), PixelSpacing=[0.1, 0.1],
            )  # fmt: skip
            (folder / f"{number}.dcm").write_bytes(content)
    listing = find_listing(tmp_path)
    assert listing.layout == "DICOM files"
    assert len(listing) == 6
    assert listing.read(0).x.shape == (1, 6, 5)
    assert len(set(listing.groups.tolist())) == 3


def test_items_beside_the_folders_are_named(tmp_path):
    clinic(tmp_path / "set")
    series(tmp_path / "set", slices(), uid="5", names=[f"{i}.dcm" for i in range(4)])
    listing = find_listing(tmp_path / "set")
    assert [s.reason for s in listing.left_out] == ["lies beside the class folders, not inside one"]
    parts = tmp_path / "parts"
    clinic(parts / "train")
    clinic(parts / "test", 2)
    series(parts / "more" / "x", slices(), uid="6")
    listing = find_listing(parts)
    assert [s.reason for s in listing.left_out] == [
        "lies beside the folders of the parts, not inside one"
    ]


def test_only_sets_of_dicom_files_are_taken(tmp_path):
    for i in range(3):
        save(np.zeros((4, 4), np.uint8), tmp_path / "pictures" / "a" / f"{i}.png")
    (tmp_path / "pictures" / "a" / "one.dcm").write_bytes(dicom(slices(1)[0]))
    assert not holds_series(open_source(tmp_path / "pictures"))
    (tmp_path / "bare").mkdir()
    for i in range(3):
        (tmp_path / "bare" / f"IM{i}").write_bytes(dicom(slices(1)[0]))
    assert holds_series(open_source(tmp_path / "bare"))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes").write_text("nothing")
    assert not holds_series(open_source(tmp_path / "text"))
    (tmp_path / "empty").mkdir()
    assert not holds_series(open_source(tmp_path / "empty"))


def test_a_header_longer_than_the_part_that_is_read_first(tmp_path):
    tags = {"ImageComments": "x" * 10_000}
    from foveal.datasets import series as module

    folder = series(tmp_path / "one", slices(), **tags)
    assert max(file.stat().st_size for file in folder.iterdir()) > 10_000
    before = module.HEAD
    try:
        module.HEAD = 4096
        (found,), _ = find_series(open_source(tmp_path))
    finally:
        module.HEAD = before
    assert len(found.files) == 4


def test_predict_meets_one_item_per_series(tmp_path):
    folder = clinic(tmp_path / "set", 2)
    (folder / "broken.dcm").write_bytes(b"nothing")
    (folder / "README.md").write_text("about")
    found = list(inputs([folder], ZYX))
    samples = [item for _, item in found if isinstance(item, Sample)]
    assert [s.x.shape for s in samples] == [(1, 4, 6, 5)] * 4
    assert [key for key, item in found if isinstance(item, DataError)] == [
        str(folder / "broken.dcm")
    ]
    packed = list(inputs([zipped(folder, tmp_path / "set.zip")], ZYX))
    assert len(packed) >= 1
    flat = [item for _, item in inputs([folder], IMAGE_AXES)]
    assert sum(isinstance(item, Sample) for item in flat) == 16
