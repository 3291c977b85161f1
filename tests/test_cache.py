"""Stores: what goes in comes out, only whole ones open, memory stays, full disks are said."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch

from foveal.datasets.cache import Store, cache_folder, key_of, open_store, stores_folder, trim
from foveal.datasets.draft import Draft
from foveal.errors import DataError, RunError
from made import files_under


def made(key, count=20, size=(4, 5), channels=3, dtype="uint8", *, value=None):
    rows = np.random.default_rng(len(key)).integers(0, 255, (count, *size, channels)).astype(dtype)
    if value is not None:
        rows[:] = value
    with Draft(size, channels, dtype, expected=count, memory=False) as draft:
        draft.add(rows[:7])
        draft.add(rows[7:])
        return draft.finish(key), rows


def all_of(store):
    return store.gather(np.arange(len(store))).movedim(1, -1).numpy()


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("size", [(9,), (4, 5), (2, 3, 4)])
def test_what_goes_in_comes_out(size, dtype):
    made("one", size=size, dtype=dtype)
    store, rows = open_store("one"), made("one", size=size, dtype=dtype)[1]
    assert store is not None
    assert (len(store), store.size, store.channels, store.dtype) == (20, size, 3, dtype)
    index = torch.tensor([3, 3, 19, 0])
    got = store.gather(index)
    assert np.array_equal(got.movedim(1, -1).numpy(), rows[index.numpy()])
    assert got.movedim(1, -1).is_contiguous()
    assert got.shape == (4, 3, *size)


def test_gathered_rows_are_copies():
    store, rows = made("one")
    store.gather(np.array([1])).zero_()
    assert np.array_equal(store.gather(np.array([1]))[0].permute(1, 2, 0).numpy(), rows[1])


def test_rows_of_a_large_store_are_read_the_same(monkeypatch):
    made("one")
    held = open_store("one")
    monkeypatch.setattr("foveal.datasets.cache._HELD", 100)
    read = open_store("one")
    assert held is not None
    assert read is not None
    index = torch.tensor([19, 0, 0, 7])
    assert torch.equal(read.gather(index), held.gather(index))
    assert read.gather(index).movedim(1, -1).is_contiguous()
    with pytest.raises(IndexError, match="row 20 of 20"):
        read.gather(torch.tensor([20]))
    os.truncate(stores_folder() / "one/pixels.bin", 100)
    with pytest.raises(RunError, match=r"bytes of the cache are missing(.|\n)*built anew"):
        read.gather(index)


def test_a_store_of_arrays_needs_no_disk():
    rows = np.arange(24, dtype=np.uint8).reshape(4, 2, 1, 3)
    with Draft((2, 1), 3, "uint8", expected=4, memory=True) as draft:
        draft.add(rows)
        store = draft.finish("unused")
    for found in (store, Store.from_array(rows)):
        assert np.array_equal(found.gather(np.array([2]))[0, :, :, 0].T.numpy(), rows[2, :, 0])
        assert found.key == ""
    assert not cache_folder().exists()


def test_an_empty_store_opens():
    with Draft((2,), 1, "uint8", expected=0, memory=False) as draft:
        assert len(draft.finish("none")) == 0
    assert open_store("none") is not None


def test_leaving_early_leaves_nothing():
    with Draft((2,), 1, "uint8", expected=9, memory=False) as draft:
        draft.add(np.zeros((3, 2, 1), np.uint8))
        assert files_under(cache_folder())
    assert files_under(cache_folder()) == []


@pytest.mark.parametrize("harm", ["short", "blank", "json", "count", "version", "extra", "gone"])
def test_a_damaged_store_is_not_opened_and_can_be_rebuilt(harm):
    made("one")
    pixels, form = stores_folder() / "one/pixels.bin", stores_folder() / "one/store.json"
    values = json.loads(form.read_text())
    if harm == "short":
        pixels.write_bytes(pixels.read_bytes()[:-1])
    elif harm == "blank":
        pixels.write_bytes(bytes(pixels.stat().st_size))
    elif harm == "gone":
        pixels.unlink()
    elif harm == "json":
        form.write_text("{")
    else:
        values.update({"count": {"count": 19}, "version": {"version": 99}}.get(harm, {"odd": 1}))
        form.write_text(json.dumps(values))
    assert open_store("one") is None
    store, rows = made("one")
    assert np.array_equal(all_of(store), rows)
    assert files_under(stores_folder()) == ["one/pixels.bin", "one/store.json"]


def test_the_first_of_two_builders_wins_and_both_finish():
    with Draft((2,), 1, "uint8", expected=3, memory=False) as first:
        first.add(np.full((3, 2, 1), 1, np.uint8))
        with Draft((2,), 1, "uint8", expected=3, memory=False) as second:
            second.add(np.full((3, 2, 1), 2, np.uint8))
            assert (all_of(second.finish("one")) == 2).all()
        assert (all_of(first.finish("one")) == 2).all()
    assert files_under(stores_folder()) == ["one/pixels.bin", "one/store.json"]


def run(code, *arguments, **limits):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=120
    )


def test_two_processes_building_one_store_both_finish():
    code = """
    import numpy as np
    from foveal.datasets.draft import Draft
    with Draft((64,), 1, "uint8", expected=4000, memory=False) as draft:
        for i in range(40):
            draft.add(np.full((100, 64, 1), i, np.uint8))
        assert draft.finish("same").gather(np.array([3999]))[0, 0, 0] == 39
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(p.communicate(timeout=120)[1], p.returncode) for p in both] == [(b"", 0)] * 2
    assert files_under(stores_folder()) == ["same/pixels.bin", "same/store.json"]


def test_a_killed_build_leaves_nothing_that_is_opened(tmp_path):
    code = """
    import sys, time
    import numpy as np
    from foveal.datasets.draft import Draft
    with Draft((64,), 1, "uint8", expected=4000, memory=False) as draft:
        draft.add(np.zeros((100, 64, 1), np.uint8))
        draft.file.flush()
        print("half", flush=True)
        time.sleep(60)
        draft.finish("one")
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    (left,) = stores_folder().iterdir()
    assert left.name.startswith(".")
    assert open_store("one") is None
    trim()
    assert left.exists(), "what is young may be someone's build"
    old = time.time() - 4000
    for path in (*left.iterdir(), left):
        os.utime(path, (old, old))
    made("one")
    assert files_under(stores_folder()) == ["one/pixels.bin", "one/store.json"]


def test_what_was_used_longest_ago_is_cleared_away_first():
    for age, key in enumerate(("new", "older", "oldest")):
        made(key, count=100)
        then = time.time() - 10_000 * (age + 1)
        for path in (stores_folder() / key, *(stores_folder() / key).iterdir()):
            os.utime(path, (then, then))
    trim(limit=15_000)
    assert {p.name for p in stores_folder().iterdir()} == {"new", "older"}
    assert open_store("older") is not None  # using it makes it the youngest
    trim(limit=7_000)
    assert {p.name for p in stores_folder().iterdir()} == {"older"}
    trim(limit=0)
    assert open_store("older") is not None, "in use within the hour"


def test_a_disk_that_is_too_small_is_said_before_work_begins():
    with pytest.raises(DataError, match=r"needs [\d,]+ MB, [\d,]+ MB are free(.|\n)*FOVEAL_CACHE"):
        Draft((1000, 1000), 3, "uint8", expected=10**10, memory=False)
    assert files_under(cache_folder()) == []


def test_a_disk_that_fills_up_is_said_and_left_clean():
    # A limit on the size of files stands in for a full disk: the write fails in the same way.
    code = """
    import resource
    import numpy as np
    from foveal.datasets.draft import Draft
    from foveal.errors import DataError, RunError
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    try:
        with Draft((1024,), 1, "uint8", expected=5000, memory=False) as draft:
            for _ in range(5000):
                draft.add(np.zeros((1, 1024, 1), np.uint8))
            draft.finish("one")
    except DataError as error:
        print(error)
    """
    done = run(code)
    assert "no room for the cache: it needs 5 MB" in done.stdout, done.stderr
    assert files_under(cache_folder()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be written(.|\n)*set FOVEAL_CACHE"):
        Draft((2,), 1, "uint8", expected=1, memory=False)


def test_keys_tell_their_parts_apart():
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of(1, b"x") == key_of(1, b"x")


def test_the_cache_lies_where_the_user_says(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("FOVEAL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/foveal"


GATHER_ALL = """
import sys
import numpy as np, torch
from foveal.datasets.cache import open_store
from foveal.datasets.draft import Draft
torch.set_num_threads(1)
key, count = sys.argv[1], int(sys.argv[2])
rows = np.random.default_rng(0).integers(0, 255, (500, 32, 32, 3), dtype=np.uint8)
with Draft((32, 32), 3, "uint8", expected=count, memory=False) as draft:
    for _ in range(count // 500):
        draft.add(rows)
    store = draft.finish(key)
most = total = 0
for part in torch.split(torch.randperm(count), 500):
    total += int(store.gather(part)[:, 0, 0, 0].sum())
    fields = dict(line.split(":") for line in open("/proc/self/status") if ":" in line)
    most = max(most, int(fields["VmRSS"].split()[0]))
assert total > 0
print(most // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("small", "large"),
    [(5_000, 60_000), pytest.param(20_000, 200_000, marks=pytest.mark.slow)],
)
def test_memory_does_not_grow_with_the_set(small, large):
    peaks = [run(GATHER_ALL, f"set-{count}", count) for count in (small, large)]
    low, high = (int(done.stdout) for done in peaks)
    assert high < low + 100, f"{low} MB for {small} rows, {high} MB for {large}"
