"""Every broken and malicious file through every door of reading: named refusals, nothing else."""

import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from foveal.datasets.inputs import inputs
from foveal.datasets.layouts import find_listing
from foveal.errors import DataError, FovealError
from foveal.grid import Sample

FOLDERS = (
    *("pngsuite", "png_fuzz", "generated/images", "generated/archives", "generated/arrays"),
    *("generated/tables", "generated/models"),
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """The working folder is empty, and must stay so."""
    monkeypatch.chdir(tmp_path)
    yield
    assert os.listdir(tmp_path) in ([], ["set"])
    assert not Path("/tmp/escaped_abs.txt").exists()


@pytest.mark.parametrize("name", FOLDERS)
def test_predict_meets_it(shared, name):
    count = 0
    for key, item in inputs([shared / "hostile" / name]):
        count += 1
        assert isinstance(item, Sample | DataError), key
        if isinstance(item, DataError):
            assert item.what
            assert item.where.startswith(key)
            assert len(item.what) < 400
        else:
            assert item.x.shape[1:] == item.grid.size
            assert item.x.size
    assert count >= len(os.listdir(shared / "hostile" / name))


@pytest.mark.parametrize("name", [f for f in FOLDERS if "png" not in f and "images" not in f])
def test_each_file_as_a_data_set(shared, name):
    for path in sorted((shared / "hostile" / name).iterdir()):
        with pytest.raises(FovealError) as caught:
            find_listing(path)
        assert path.name in str(caught.value)
        list(inputs([path]))


@pytest.mark.parametrize("name", FOLDERS)
def test_inside_a_class_folder(shared, name, tmp_path):
    for label in ("good", "bad"):
        (tmp_path / "set" / label).mkdir(parents=True)
    good = shared / "hostile" / "generated" / "images" / "dup_a.png"
    (tmp_path / "set" / "good" / "a.png").write_bytes(good.read_bytes())
    (tmp_path / "set" / "bad" / "a.png").write_bytes(good.read_bytes())
    files = sorted((shared / "hostile" / name).iterdir())
    for i, path in enumerate(files):
        (tmp_path / "set" / "bad" / f"{i}-{path.name}").write_bytes(path.read_bytes())
    listing = find_listing(tmp_path / "set")
    assert len(listing) + len(listing.left_out) == len(files) + 2
    for i, key in enumerate(listing.keys):
        try:
            listing.read(i)
        except DataError as error:
            assert error.where.startswith(key), key  # noqa: PT017


def test_files_that_are_broken_on_purpose_are_refused(shared):
    refused = {
        Path(key).name
        for folder in ("pngsuite", "png_fuzz")
        for key, item in inputs([shared / "hostile" / folder])
        if isinstance(item, DataError)
    }
    suite = [p.name for p in (shared / "hostile" / "pngsuite").iterdir()]
    broken = [name for name in suite if "_x" in name]
    assert len(broken) == 22
    assert refused >= set(broken)
    assert sum(name in refused for name in suite) <= 24


def test_hostile_names_stay_names(shared):
    path = shared / "hostile" / "generated" / "names.zip"
    with zipfile.ZipFile(path) as archive:
        count = len(archive.namelist())
    try:
        found = list(inputs([path]))
    except FovealError as error:
        pytest.fail(f"{error}")
    assert 1 <= len(found) <= count
    with pytest.raises(FovealError):
        find_listing(path)


PROBE = """
import sys, warnings
warnings.simplefilter("error")
from foveal.datasets.inputs import inputs
print(sum(1 for _ in inputs(sys.argv[1:])))
# Not ru_maxrss: Linux carries it over from the process that started this one.
with open("/proc/self/status") as file:
    status = file.read()
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


def test_memory_stays_bounded(shared, tmp_path):
    folders = [str(shared / "hostile" / name) for name in FOLDERS]
    told = subprocess.run(
        [sys.executable, "-c", PROBE, *folders],
        capture_output=True, text=True, check=True, timeout=120, cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )  # fmt: skip
    count, megabytes = map(int, told.stdout.split())
    assert count > 600
    assert megabytes < 700
    assert told.stderr == ""
