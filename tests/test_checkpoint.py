"""Checkpoints: whole or not there, whatever is killed, cut, flipped or full."""

import json
import multiprocessing
import random
import resource
import time
from contextlib import suppress

import pytest
import torch

from foveal.errors import RunError
from foveal.training.checkpoint import State, clear, load, load_best, save, sweep


def state(step, size=100):
    tensors = {"a": torch.full((size,), float(step)), "b.c": torch.tensor(step)}
    return State(step, tensors, {"step": step, "note": "ü"})


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def save_until_killed(folder):
    """Every tensor of state n holds n, so a mixed file would show."""
    step = (load(folder) or state(0)).step
    while True:
        step += 1
        save(folder, state(step, 300_000), state(step, 1000) if step % 2 else None)


def test_what_goes_in_comes_out(tmp_path):
    save(tmp_path, state(3))
    back = load(tmp_path)
    assert (back.step, back.facts) == (3, {"step": 3, "note": "ü"})
    torch.testing.assert_close(back.tensors, state(3).tensors, rtol=0, atol=0)


def test_memory_layouts_and_dtypes_survive(tmp_path):
    kernel = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    tensors = {"kernel": kernel, "half": torch.ones(2, dtype=torch.bfloat16), "flag": kernel > 0}
    save(tmp_path, State(1, tensors, {}))
    torch.testing.assert_close(load(tmp_path).tensors, tensors, rtol=0, atol=0)


def test_the_last_two_and_the_best_are_kept(tmp_path):
    save(tmp_path, state(1), state(1))
    for step in [2, 3, 4]:
        save(tmp_path, state(step))
    kept = [name.rsplit("-", 1)[0] for name in names(tmp_path)]
    assert kept == ["best-00000001", "index.json", "state-00000003", "state-00000004"]
    assert load_best(tmp_path).step == 1
    save(tmp_path, state(5), state(5))
    assert load_best(tmp_path).step == 5


def test_saving_the_same_step_twice_replaces_it(tmp_path):
    save(tmp_path, state(1))
    save(tmp_path, state(2))
    save(tmp_path, State(2, {"a": torch.zeros(1)}, {"again": True}))
    assert load(tmp_path).facts == {"again": True}
    assert len(names(tmp_path)) == 3


def test_an_empty_or_absent_folder_holds_nothing(tmp_path):
    assert load(tmp_path) is None
    assert load(tmp_path / "absent") is None
    assert load_best(tmp_path) is None
    sweep(tmp_path / "absent")


def test_strays_are_swept_and_strangers_are_left(tmp_path):
    save(tmp_path, state(1))
    for name in [".index.json.77.part", ".state-00000002-ab.safetensors.77.part", "notes.txt"]:
        (tmp_path / name).write_text("x")
    (tmp_path / "state-00000009-0.safetensors").write_text("x")
    sweep(tmp_path)
    assert len(names(tmp_path)) == 3
    assert "notes.txt" in names(tmp_path)


def test_clear_forgets_all(tmp_path):
    save(tmp_path, state(1), state(1))
    clear(tmp_path)
    assert names(tmp_path) == []
    assert load(tmp_path) is None


def newest(folder):
    return folder / json.loads((folder / "index.json").read_text())["states"][0]["file"]


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_flipped_byte_is_noticed_and_the_older_state_used(tmp_path, place):
    save(tmp_path, state(1))
    save(tmp_path, state(2))
    content = bytearray(newest(tmp_path).read_bytes())
    content[place] ^= 1
    newest(tmp_path).write_bytes(content)
    assert load(tmp_path).step == 1


def test_without_any_whole_state_it_says_so(tmp_path):
    save(tmp_path, state(1), state(1))
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    for read in [load, load_best]:
        with pytest.raises(RunError, match=r"checkpoints are damaged(.|\n)*train again"):
            read(tmp_path)


def test_a_mangled_index_is_an_error_a_person_can_read(tmp_path):
    save(tmp_path, state(1), state(1))
    whole = (tmp_path / "index.json").read_bytes()
    dice = random.Random(0)
    for _ in range(300):
        mangled = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            mangled[dice.randrange(len(mangled))] = dice.randrange(256)
        (tmp_path / "index.json").write_bytes(mangled)
        with suppress(RunError):  # nothing else may come, and nothing wrong be accepted
            assert torch.equal(load(tmp_path).tensors["a"], torch.ones(100))


@pytest.mark.parametrize("file", ["../secret.safetensors", "/etc/passwd", "a/b"])
def test_an_index_never_points_out_of_its_folder(tmp_path, file):
    save(tmp_path, state(1))
    index = json.loads((tmp_path / "index.json").read_text())
    index["states"][0]["file"] = file
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(RunError, match="damaged"):
        load(tmp_path)


def test_another_version_is_named(tmp_path):
    save(tmp_path, state(1))
    index = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps({**index, "version": 9}))
    with pytest.raises(RunError, match="version 9 is not 1"):
        load(tmp_path)


def test_a_full_disk_keeps_the_old_state(tmp_path):
    save(tmp_path, state(1))
    before = names(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(RunError, match=r"cannot save a checkpoint(.|\n)*disk space"):
            save(tmp_path, state(2, 100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == before
    assert load(tmp_path).step == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"cannot save a checkpoint(.|\n)*file"):
        save(tmp_path / "file", state(1))


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_a_kill_inside_a_save_leaves_a_whole_state(tmp_path, kills):
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["torch", "foveal.training.checkpoint"])
    dice, last = random.Random(kills), 0
    save(tmp_path, state(0, 300_000))
    for _ in range(kills):
        child = processes.Process(target=save_until_killed, args=(tmp_path,))
        child.start()
        began = load(tmp_path).step
        while load(tmp_path).step == began and child.is_alive():
            time.sleep(0.02)
        time.sleep(dice.random() * 0.05)
        child.kill()
        child.join()
        found, best = load(tmp_path), load_best(tmp_path)
        assert found.step > last
        last = found.step
        assert torch.equal(found.tensors["a"], torch.full((300_000,), float(found.step)))
        assert torch.equal(best.tensors["a"], torch.full((1000,), float(best.step)))
        assert found.step - best.step in (0, 1)
    sweep(tmp_path)
    assert len(names(tmp_path)) == 4
