"""Several real processes make one training: the same curve, the same resume, a clear end."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from foveal.doors import follows
from foveal.errors import PlanError
from foveal.layers.norm import BatchNorm
from foveal.training.checkpoint import load
from foveal.training.history import rows
from foveal.training.stop import Interrupted, Stop
from foveal.training.together import ALONE, Together, together
from foveal.verbs.follow import check_together
from foveal.verbs.plan import Wish
from roads import TINY, folders, shades
from toy import Net, Toy, plan, poisoned, train

STEPS = 12
PLAN = plan(steps=STEPS, ema=0.9, recall=0.8)
# Sums of parts are rounded in another order: after so many steps single numbers differ by this.
CLOSE = {"atol": 2e-4, "rtol": 2e-3}
SLOWER = {**TINY, "fit.precision": "fp32", "fit.threads": "1", "fit.channels_last": "false"}


class Normed(nn.Module):
    """A net with our own batch norm, which can be shared, and without dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1, bias=False), BatchNorm(8)
        self.head = nn.Linear(8, 2)

    def forward(self, x, mask=None):
        return self.head(self.norm(self.first(x.float() / 255 - 0.5)).relu().mean((2, 3)))


def free_port() -> str:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return str(door.getsockname()[1])


def joined(rank, count, port, folder, work):
    """What `torchrun` does for a process: its place among the others."""
    torch.set_num_threads(1)
    environment = {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    os.environ.update(environment, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    try:
        with together() as group:
            found = work(group, Path(folder))
        (Path(folder) / f"done-{rank}").write_bytes(found or b"")
    except Exception as error:
        (Path(folder) / f"error-{rank}").write_text(f"{type(error).__name__}: {error}")
        os._exit(7)
    os._exit(0)


def processes(count, folder, work):
    """Started, one for each rank."""
    folder.mkdir(parents=True, exist_ok=True)
    port, spawn = free_port(), multiprocessing.get_context("spawn")
    started = [
        spawn.Process(target=joined, args=(rank, count, port, str(folder), work))
        for rank in range(count)
    ]
    for each in started:
        each.start()
    return started


def wait(started, limit=200):
    for each in started:
        each.join(limit)
        assert each.exitcode is not None, "it hangs"
    return [each.exitcode for each in started]


def weights_of(net):
    return np.concatenate(
        [v.detach().double().reshape(-1).numpy() for v in net.state_dict().values()]
    )


def learn(group, folder):
    net, _ = train(folder / "run", PLAN, net=Normed(), together=group)
    return weights_of(net).tobytes()


def learn_in_halves(group, folder):
    net, _ = train(folder / "run", PLAN, net=Normed(), together=group, resume=True)
    return weights_of(net).tobytes()


def stop_at_six(group, folder, steps=STEPS, resume=False):
    """Asked for while the sixth batch is made; of several processes the next border decides."""
    stop, seen = Stop(), [0]

    def on_batch(epoch, number, x):
        seen[0] += 1
        if seen[0] == 6 and group.leads:
            stop.ask("SIGTERM")
        return x

    try:
        train(
            folder / "run",
            plan(steps=steps, ema=0.9 if steps == STEPS else 0.0, recall=0.8),
            net=Normed(),
            toy=Toy(on_batch),
            stop=stop,
            resume=resume,
            together=group,
        )
    except Interrupted as stopped:
        return str(stopped).encode()
    raise AssertionError("it went on")


def learn_through_a_bad_batch(group, folder):
    toy = poisoned(lambda n: n == 3)
    net, _ = train(folder / "run", plan(steps=STEPS), net=Normed(), toy=toy, together=group)
    return weights_of(net).tobytes()


def forever(group, folder):
    def on_batch(epoch, number, x):
        if epoch == 3:
            (folder / f"there-{group.rank}").write_text(str(os.getpid()))
        return x

    train(
        folder / "run",
        plan(steps=10**6, recall=0.8),
        net=Normed(),
        toy=Toy(on_batch),
        together=group,
    )


def curve(run):
    return [(row["step"], row["loss"]) for row in rows(run) if row["kind"] == "validation"]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    net, _ = train(folder / "run", PLAN, net=Normed())
    return folder / "run", weights_of(net)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_curve_is_that_of_one_process(tmp_path, single, count):
    assert wait(processes(count, tmp_path, learn)) == [0] * count
    found = [np.frombuffer((tmp_path / f"done-{rank}").read_bytes()) for rank in range(count)]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])  # in step to the last bit
    np.testing.assert_allclose(found[0], single[1], **CLOSE)
    ours, theirs = curve(tmp_path / "run"), curve(single[0])
    assert [step for step, _ in ours] == [step for step, _ in theirs]
    np.testing.assert_allclose([v for _, v in ours], [v for _, v in theirs], rtol=1e-3)


def test_stopped_by_two_and_resumed_by_one(tmp_path, single):
    assert wait(processes(2, tmp_path, stop_at_six)) == [0, 0]
    told = [(tmp_path / f"done-{rank}").read_text() for rank in range(2)]
    assert "stopped by SIGTERM after step 6 of 12; everything is saved" in told[0]
    assert "after step 6 of 12" in told[1]
    net, _ = train(tmp_path / "run", PLAN, net=Normed(), resume=True)
    np.testing.assert_allclose(weights_of(net), single[1], **CLOSE)


@pytest.mark.slow
def test_stopped_by_one_and_resumed_by_two(tmp_path, single):
    stop_at_six(ALONE, tmp_path)
    assert wait(processes(2, tmp_path, learn_in_halves)) == [0, 0]
    found = np.frombuffer((tmp_path / "done-1").read_bytes())
    np.testing.assert_allclose(found, single[1], **CLOSE)


@pytest.mark.slow
def test_a_bad_batch_is_skipped_by_all(tmp_path):
    assert wait(processes(2, tmp_path, learn_through_a_bad_batch)) == [0, 0]
    one, other = ((tmp_path / f"done-{rank}").read_bytes() for rank in range(2))
    assert one == other
    assert np.isfinite(np.frombuffer(one)).all()
    assert [row["step"] for row in rows(tmp_path / "run") if row["kind"] == "fault"] == [2]


@pytest.mark.parametrize("victim", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_one_dead_process_ends_all_with_a_clear_message(tmp_path, victim):
    started = processes(2, tmp_path, forever)
    while not all((tmp_path / f"there-{rank}").exists() for rank in range(2)):
        assert all(each.exitcode is None for each in started), [p.name for p in tmp_path.iterdir()]
        time.sleep(0.1)
    os.kill(started[victim].pid, signal.SIGKILL)
    began, other = time.monotonic(), 1 - victim
    started[other].join(60)
    assert time.monotonic() - began < 30
    assert started[other].exitcode == 7
    told = (tmp_path / f"error-{other}").read_text()
    assert told.startswith("Parted: another process of this training has ended or did not answer")
    assert f"where: process {other} of 2" in told
    assert "--resume RUN" in told
    before = load(tmp_path / "run" / "checkpoint").step
    assert "everything is saved" in stop_at_six(ALONE, tmp_path, 10**6, resume=True).decode()
    assert load(tmp_path / "run" / "checkpoint").step == before + 5


def norms(group, folder):
    """A shared batch norm against the whole batch in one place, forward and backward."""
    torch.manual_seed(0)
    x, weight = torch.randn(6, 3, 5, dtype=torch.float64), torch.randn(6, 3, 5)
    mask = (torch.arange(5) < torch.randint(1, 6, (6, 1))).double().unsqueeze(1)
    for hidden in (None, mask):
        one, other = BatchNorm(3).double(), BatchNorm(3).double()
        other.sums = group.summed
        whole = x.clone().requires_grad_()
        (one(whole, hidden) * weight).sum().backward()
        own = group.share(6)
        part = x[own].clone().requires_grad_()
        out = other(part, None if hidden is None else hidden[own])
        (out * weight[own]).sum().backward()
        group.add_up(other.parameters())
        torch.testing.assert_close(part.grad, whole.grad[own])
        torch.testing.assert_close(other.weight.grad, one.weight.grad)
        torch.testing.assert_close(other.running_mean, one.running_mean)
        torch.testing.assert_close(other.running_var, one.running_var)
    raw = torch.arange(6.0).view(3, 2)[group.share(3)].requires_grad_()
    whole = group.whole(raw, 3)
    assert torch.equal(whole.detach(), torch.arange(6.0).view(3, 2))
    (whole * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    assert torch.equal(raw.grad[:, 0], torch.tensor([1.0, 2.0, 3.0])[group.share(3)])
    assert group.told({"a": [group.rank, "é"]}) == {"a": [0, "é"]}
    table = torch.full((2,), float(group.rank))
    group.alike([table])
    assert not table.any()
    rare = nn.Embedding(4, 2, sparse=True)
    nn.init.zeros_(rare.weight)
    rare(torch.tensor([group.rank])).sum().backward()
    group.add_up(rare.parameters())
    assert rare.weight.grad.sum(1).tolist() == [2.0, 2.0, 0.0, 0.0]


def test_what_is_exchanged_is_what_one_place_would_have(tmp_path):
    codes = wait(processes(2, tmp_path, norms))
    assert codes == [0, 0], [p.read_text() for p in tmp_path.glob("error-*")]


class TestAlone:
    def test_nothing_is_exchanged(self):
        net = Net()
        raw = torch.ones(3, 2)
        assert ALONE.whole(raw, 3) is raw
        assert ALONE.told({"a": 1}) == {"a": 1}
        assert ALONE.share(5) == slice(0, 5)
        assert (ALONE.leads, ALONE.alone, ALONE.threads(4)) == (True, True, 4)
        ALONE.add_up(net.parameters())
        ALONE.alike(net.parameters())
        norm = nn.Sequential(BatchNorm(2))
        ALONE.synchronise(norm)
        assert norm[0].sums is None

    @pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "1"}, {"WORLD_SIZE": "4"}])
    def test_without_torchrun_there_is_one(self, environment):
        with together(environment) as group:
            assert group is ALONE

    def test_shares_cover_every_sample_once(self):
        for count in (1, 2, 3, 4):
            for samples in range(count, 20):
                shares = [Together(rank, count).share(samples) for rank in range(count)]
                taken = [list(range(samples))[share] for share in shares]
                assert [row for one in taken for row in one] == list(range(samples))
                assert min(map(len, taken)) >= 1

    def test_a_batch_must_have_a_sample_for_each(self):
        with pytest.raises(PlanError) as caught:
            Together(0, 4).share(3)
        assert caught.value.what == "a batch of 3 samples is too small for 4 processes"
        assert "--set fit.batch=4" in caught.value.mend

    def test_cores_are_shared(self):
        assert Together(0, 8, here=4).threads(16) == 4
        assert Together(0, 8, here=4).threads(2) == 1

    @pytest.mark.parametrize("wish", [Wish(folds=3), Wish(repeats=3)])
    def test_one_network_at_a_time(self, wish):
        check_together(ALONE, wish)
        with pytest.raises(PlanError, match="2 processes train one network, but several were"):
            check_together(Together(0, 2), wish)

    def test_who_follows_is_silent(self, monkeypatch):
        assert not follows()
        for name, value in (("WORLD_SIZE", "2"), ("MASTER_ADDR", "x"), ("MASTER_PORT", "1")):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("RANK", "0")
        assert not follows()
        monkeypatch.setenv("RANK", "1")
        assert follows()


def torchrun(count, *words, cwd, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FOVEAL_CACHE": str(cwd / "cache")}
    start = ("-m", "torch.distributed.run", "--nproc-per-node", count, "--master-port", free_port())
    return subprocess.Popen(
        [sys.executable, *map(str, (*start, "-m", "foveal", *words))],
        cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, **options,
    )  # fmt: skip


@pytest.mark.slow
def test_the_command_under_torchrun(tmp_path):
    folders(tmp_path / "set", *shades(each=40))
    words = [w for k, v in SLOWER.items() for w in ("--set", f"{k}={v}")]
    asked = ("train", "set", "--epochs", 6, *words, "--json")
    process = torchrun(2, *asked, "--out", "two", cwd=tmp_path)
    told, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    two = json.loads(told)  # one document: the other process said nothing
    assert said.count("judging on the test part") == 1
    plain = subprocess.run(
        [sys.executable, "-m", "foveal", *map(str, asked), "--out", "one"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "FOVEAL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    one = json.loads(plain.stdout)
    ours, theirs = curve(tmp_path / "two"), curve(tmp_path / "one")
    np.testing.assert_allclose([v for _, v in ours], [v for _, v in theirs], rtol=0.02)
    assert abs(one["test"]["accuracy"]["value"] - two["test"]["accuracy"]["value"]) <= 0.1


@pytest.mark.slow
def test_a_killed_worker_ends_the_job_and_the_run_goes_on(tmp_path):
    folders(tmp_path / "set", *shades(each=40))
    words = [w for k, v in SLOWER.items() for w in ("--set", f"{k}={v}")]
    process = torchrun(2, "train", "set", "--epochs", 4000, *words, "--out", "run", cwd=tmp_path)
    while b'"validation"' not in _content(tmp_path / "run" / "history.jsonl"):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.2)
    os.kill(_worker(process.pid), signal.SIGKILL)
    began = time.monotonic()
    said = process.communicate(timeout=120)[1]
    assert time.monotonic() - began < 30
    assert "another process of this training has ended" in said or "stopped by SIGTERM" in said
    steps = json.loads((tmp_path / "run" / "checkpoint" / "index.json").read_text())["states"][0]
    assert steps["step"] > 0
    again = torchrun(3, "train", "--resume", "run", cwd=tmp_path)
    before = _content(tmp_path / "run" / "history.jsonl").count(b'"validation"')
    while _content(tmp_path / "run" / "history.jsonl").count(b'"validation"') <= before:
        assert again.poll() is None, again.communicate()[1]
        time.sleep(0.2)
    os.killpg(again.pid, signal.SIGTERM)
    again.communicate(timeout=60)


def _content(path):
    return path.read_bytes() if path.exists() else b""


def _worker(parent):
    """The process of rank 1 below torchrun."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == parent and b"\0RANK=1\0" in (folder / "environ").read_bytes():
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError("there is no such process")
