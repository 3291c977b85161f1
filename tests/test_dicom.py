"""DICOM files: values, units, orientation; odd photometry; packed ways; every refusal by name."""

import warnings

import numpy as np
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from foveal.errors import DataError
from foveal.readers import dicom as reader
from foveal.readers import read
from foveal.readers._dicom import head
from scans import dicom, header, written

VALUES = np.arange(20, dtype=np.uint16).reshape(4, 5)


def by_itk(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


def test_a_picture_has_steps_and_its_modality():
    sample = read(dicom(VALUES, PixelSpacing=[0.5, 0.25]), "a.dcm")
    assert np.array_equal(sample.x, VALUES[None])
    assert sample.x.dtype == np.uint16
    assert [(a.name, a.step, a.unit) for a in sample.grid.axes] == [
        ("y", 0.5, "mm"),
        ("x", 0.25, "mm"),
    ]
    assert sample.mode == "MR"


@pytest.mark.parametrize(
    "tags", [{}, {"PixelSpacing": [0, 1]}, {"PixelSpacing": [-1, 1]}, {"PixelSpacing": ""}]
)
def test_without_spacing_cells_have_no_length(tags):
    assert {a.unit for a in read(dicom(VALUES, **tags), "a.dcm").grid.axes} == {"cell"}
    measured = dicom(VALUES, ImagerPixelSpacing=[0.1, 0.2], **tags)
    assert [a.step for a in read(measured, "a.dcm").grid.axes] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("modality", "mode"), [("CT", "CT"), ("", "DICOM"), (None, "DICOM"), ("<b>", "b")]
)
def test_the_mode_holds_letters_alone(modality, mode):
    assert read(dicom(VALUES, Modality=modality), "a.dcm").mode == mode


def test_a_ct_is_in_hounsfield_units():
    content = dicom(VALUES, Modality="CT", RescaleSlope=1, RescaleIntercept=-1024)
    sample = read(content, "a.dcm")
    assert sample.x.dtype == np.int16
    assert np.array_equal(sample.x[0], VALUES.astype(int) - 1024)
    half = read(dicom(VALUES, RescaleSlope=0.5, RescaleIntercept=1), "a.dcm")
    assert half.x.dtype == np.float32
    assert np.array_equal(half.x[0], VALUES * 0.5 + 1)


@pytest.mark.parametrize(("dtype", "stored"), [("uint16", 12), ("int16", 16), ("uint8", 8)])
def test_white_means_much_in_every_file(dtype, stored):
    values = (np.arange(20).reshape(4, 5) * 6).astype(dtype)
    tags = {"BitsStored": stored, "HighBit": stored - 1}
    turned = read(dicom(values, PhotometricInterpretation="MONOCHROME1", **tags), "a.dcm").x[0]
    top = -1 if dtype == "int16" else 2**stored - 1
    assert np.array_equal(turned.astype(int), top - values.astype(int))
    assert turned.dtype == dtype


def test_bits_that_are_not_in_use_are_taken_off():
    noisy = VALUES | np.uint16(0xF000)
    sample = read(dicom(noisy, BitsStored=12, HighBit=11), "a.dcm")
    assert np.array_equal(sample.x[0], VALUES)
    signed = np.array([[-3, 2], [0, -2048]], np.int16)
    spoilt = (signed & 0x0FFF) | np.int16(0x7000)
    assert np.array_equal(read(dicom(spoilt, BitsStored=12, HighBit=11), "a.dcm").x[0], signed)


def test_palettes_become_colours():
    palette = {
        f"{colour}PaletteColorLookupTable{part}": value
        for i, colour in enumerate(("Red", "Green", "Blue"))
        for part, value in (
            ("Descriptor", [4, 0, 8]),
            ("Data", bytes([10 * i, 10 * i + 1, 10 * i + 2, 10 * i + 3])),
        )
    }
    values = np.array([[0, 1], [2, 3]], np.uint8)
    content = dicom(values, PhotometricInterpretation="PALETTE COLOR", **palette)
    sample = read(content, "a.dcm")
    assert sample.x.shape == (3, 2, 2)
    assert sample.x[:, 1, 0].tolist() == [2, 12, 22]


def test_a_look_up_table_of_the_modality_is_applied():
    item = Dataset()
    item.LUTDescriptor = [4, 0, 16]
    item.LUTData = np.array([7, 5, 3, 1000], "<u2").tobytes()
    values = np.array([[0, 1], [2, 3]], np.uint16)
    sample = read(dicom(values, ModalityLUTSequence=Sequence([item])), "a.dcm")
    assert sample.x[0].tolist() == [[7, 5], [3, 1000]]


def frames(count=3):
    return np.arange(count * 20, dtype=np.uint16).reshape(count, 4, 5)


def enhanced(values, places, *, slopes=None, spacing=(0.5, 0.75)):
    """A multi-frame file whose frames tell where they lie, each by itself."""
    made = header(values, NumberOfFrames=len(values))
    shared, measures, look = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, look.ImageOrientationPatient = list(spacing), [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([look])
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for i, place in enumerate(places):
        frame, at = Dataset(), Dataset()
        at.ImagePositionPatient = [0, 0, place]
        frame.PlanePositionSequence = Sequence([at])
        if slopes is not None:
            scale = Dataset()
            scale.RescaleSlope, scale.RescaleIntercept = slopes[i], 1
            frame.PixelValueTransformationSequence = Sequence([scale])
        groups.append(frame)
    made.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return written(made)


def test_frames_with_places_are_a_volume_in_their_order():
    sample = read(enhanced(frames(), [4, 0, 2]), "a.dcm")
    assert [a.step for a in sample.grid.axes] == pytest.approx([2, 0.5, 0.75])
    # LPS to RAS turns both axes of a slice round
    assert np.array_equal(sample.x[0], frames()[[1, 2, 0], ::-1, ::-1])


def test_frames_may_be_scaled_each_by_itself():
    sample = read(enhanced(frames(), [0, 2, 4], slopes=[1, 2, 3]), "a.dcm")
    wanted = frames() * np.array([1, 2, 3]).reshape(3, 1, 1) + 1
    assert np.array_equal(sample.x[0], wanted[:, ::-1, ::-1])


def test_frames_that_are_not_even_are_named():
    with pytest.raises(DataError, match=r"not evenly spaced: 2 to 4 mm apart(.|\n)*where: a\.dcm"):
        read(enhanced(frames(4), [0, 2, 4, 8]), "a.dcm")


def test_the_grid_of_a_dose_is_a_volume():
    tags = {
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [1, 2],
        "GridFrameOffsetVector": [0, 3, 6],
    }
    sample = read(dicom(frames(), **tags), "a.dcm")
    assert [a.step for a in sample.grid.axes] == pytest.approx([3, 1, 2])


@pytest.mark.parametrize(
    ("tags", "seconds"),
    [
        ({"FrameTime": 40}, 0.04),
        ({"CineRate": 25}, 0.04),
        ({"FrameTimeVector": [0, 40, 60]}, 0.05),
        ({"RecommendedDisplayFrameRate": 10}, 0.1),
    ],
)
def test_frames_in_time_are_a_clip(tags, seconds):
    time, y, x = read(dicom(frames(), **tags), "a.dcm").grid.axes
    assert (time.kind, time.unit, time.mirrors) == ("time", "s", False)
    assert time.step == pytest.approx(seconds)
    assert (y.name, x.name) == ("y", "x")


@pytest.mark.parametrize("tags", [{}, {"FrameTime": 0}, {"CineRate": 0}, {"FrameTime": 1e30}])
def test_other_frames_are_a_volume_without_measure(tags):
    axes = read(dicom(frames(), **tags), "a.dcm").grid.axes
    assert [(a.name, a.unit) for a in axes] == [("z", "cell"), ("y", "cell"), ("x", "cell")]


def test_the_head_of_a_file_hides_the_patient():
    tags = {
        "PatientID": "Jane Doe 1970",
        "ImagePositionPatient": [1, 2, 3],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [1, 2],
    }
    content = dicom(VALUES, **tags)
    about = head(content, "a.dcm")
    assert (about.series, about.rows, about.columns, about.frames) == ("1.2.3", 4, 5, 1)
    assert about.plane.place == (1, 2, 3)
    assert about.plane.step == (2, 1)
    assert "Jane" not in repr(about)
    assert 0 <= about.patient < 2**63
    assert about.patient == head(dicom(VALUES, PatientID="Jane Doe 1970 "), "b").patient
    assert about.patient != head(dicom(VALUES, PatientID="Jane Doe 1971"), "b").patient
    assert head(dicom(VALUES), "c").patient == -1
    assert head(content[: content.index(b"\xe0\x7f")], "cut").series == "1.2.3"


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({"Rows": 0}, "no cells"),
        ({"Rows": 65535, "Columns": 65535}, "more than the limit"),
        ({"Rows": 400}, "bytes of pixel data is less"),
        ({"NumberOfFrames": 2**20}, "less than expected"),
        ({"NumberOfFrames": -1}, "no cells"),
        ({"BitsAllocated": 13}, "damaged DICOM file"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "damaged DICOM file"),
    ],
)
def test_lying_headers_are_named(tags, says):
    content = dicom(VALUES, **tags)
    with pytest.raises(DataError, match=rf"{says}(.|\n)*where: a\.dcm(.|\n)*mend:  \w"):
        read(content, "a.dcm")


def test_other_faults_are_named():
    with pytest.raises(DataError, match="scaled by inf and 0"):
        read(dicom(VALUES, RescaleSlope="1e999", RescaleIntercept=0), "a.dcm")
    with pytest.raises(DataError, match="the file is empty"):
        read(b"", "a.dcm")
    with pytest.raises(DataError, match="its mark is missing"):
        read(b"no" * 500, "a.dcm")
    made = header(VALUES)
    del made.PixelData
    with pytest.raises(DataError, match="without a picture"):
        read(written(made), "a.dcm")
    with pytest.raises(DataError, match="3 frames where a slice has one"):
        reader.read_slice(dicom(frames()), "a.dcm")


def test_a_packed_size_that_lies_is_named_before_it_is_unpacked(shared):
    path = shared / "hostile" / "pydicom" / "src_pydicom_data_test_files_MR_small_jp2klossless.dcm"
    content = path.read_bytes()
    at = content.index(b"\xff\x4f\xff\x51") + 8
    broken = content[:at] + b"\x00\x00\xff\xff" + content[at + 4 :]
    with pytest.raises(DataError, match="a packed picture of 64 x 65535 where the header"):
        read(broken, "a.dcm")


@pytest.mark.parametrize(
    "name",
    [
        *("RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded"),
    ],
)
def test_every_packing_gives_the_same_values(shared, name):
    folder = shared / "hostile" / "pydicom"
    plain = read((folder / "src_pydicom_data_test_files_MR_small.dcm").read_bytes(), "a.dcm")
    other = read((folder / f"src_pydicom_data_test_files_MR_small_{name}.dcm").read_bytes(), "b")
    assert np.array_equal(plain.x, other.x)
    assert plain.x.dtype == other.x.dtype
    assert plain.grid == other.grid


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_RLE.dcm", "693_J2KI.dcm", "image_dfl.dcm", "JPEG2000.dcm"]
)
def test_values_are_those_of_simpleitk(shared, name):
    path = shared / "hostile" / "pydicom" / f"src_pydicom_data_test_files_{name}"
    wanted, found = by_itk(path), read(path.read_bytes(), name).x
    assert np.array_equal(found, wanted.reshape(found.shape))


def test_a_packing_without_a_decoder_names_what_to_install(shared):
    path = shared / "hostile" / "pydicom" / "src_pydicom_data_test_files_SC_rgb_jpeg_gdcm.dcm"
    with pytest.raises(DataError, match=r"no decoder is installed(.|\n)*pip install python-gdcm"):
        read(path.read_bytes(), "a.dcm")


def test_the_missing_library_is_named(monkeypatch):
    content = dicom(VALUES)
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(DataError, match=r"pydicom(.|\n)*pip install 'foveal\[medical\]'"):
        read(content, "a.dcm")


def test_a_deflated_bomb_is_stopped():
    import zlib

    from pydicom.uid import DeflatedExplicitVRLittleEndian

    made = header(VALUES)
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = written(made)
    assert np.array_equal(read(content, "a.dcm").x[0], VALUES)
    end = 144 + int.from_bytes(content[140:144], "little")
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(pack.compress(bytes(2**24)) for _ in range(26)) + pack.flush()
    with pytest.raises(DataError, match="unpacks to more bytes than one item may have"):
        read(content[:end] + bomb, "a.dcm")
    with pytest.raises(DataError, match="damaged DICOM file"):
        read(content[:end] + b"\xff" * 50, "a.dcm")


def test_a_file_of_a_scanner_without_an_ending_is_known_by_its_mark():
    assert read(dicom(VALUES), "IM0001").x.shape == (1, 4, 5)
    assert read(dicom(VALUES), "1.2.840.113619.2").x.shape == (1, 4, 5)
