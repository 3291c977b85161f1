"""Weights on disk: what was saved comes back, and nothing else is ever let in."""

import os

import pytest
import torch
from safetensors.torch import load, save

from foveal.errors import RunError
from foveal.networks.build import build
from foveal.networks.weights import load_weights, save_weights
from plans import RANKS, lived, plan_for, raw_for


def other(rank=2):
    """Same plan, another seed: its weights differ."""
    network = build(plan_for(rank)).eval()
    with torch.no_grad():
        for value in network.parameters():
            value.add_(1)
    return network


@pytest.mark.parametrize("rank", RANKS)
def test_what_was_saved_comes_back(rank, tmp_path):
    network, path = lived(build(plan_for(rank))), tmp_path / "weights.safetensors"
    network.fit_stem(raw_for(rank))
    save_weights(network, path)
    second = other(rank)
    load_weights(second, path)
    assert torch.equal(second(raw_for(rank)), network(raw_for(rank)))
    assert os.listdir(tmp_path) == ["weights.safetensors"]


def test_the_same_network_gives_the_same_bytes(tmp_path):
    network = build(plan_for(2))
    save_weights(network, tmp_path / "one")
    save_weights(network.to(memory_format=torch.channels_last), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_memory_layout_of_the_network_stays(tmp_path):
    save_weights(build(plan_for(2)), tmp_path / "w")
    network = other().to(memory_format=torch.channels_last)
    load_weights(network, tmp_path / "w")
    kernel = network.backbone.stages[0].blocks[0].convolution.weight
    assert kernel.is_contiguous(memory_format=torch.channels_last)


def spoil(change):
    """A file that is fine but for ``change``, which edits its tensors in place."""

    def write(path):
        save_weights(build(plan_for(2)), path)
        state = load(path.read_bytes())
        change(state)
        path.write_bytes(save(state))

    return write


def cut(path):
    save_weights(build(plan_for(2)), path)
    path.write_bytes(path.read_bytes()[:-100])


def set_nan(state):
    state["head.last.weight"][1, 2] = torch.nan


def set_infinite(state):
    state["backbone.stages.0.blocks.0.norm.running_var"][0] = torch.inf


DAMAGE = [
    (spoil(lambda s: s.pop("head.last.bias")), r"1 weights are missing, 'head\.last\.bias' first"),
    (spoil(lambda s: s.update(extra=torch.ones(2))), r"1 weights are not of this network, 'extra'"),
    (
        spoil(lambda s: s.update({"head.last.bias": torch.ones(4)})),
        r"'head\.last\.bias' has shape \(4,\), the plan's \(3,\)",
    ),
    (
        spoil(lambda s: s.update({"head.last.bias": torch.ones(3, dtype=torch.float64)})),
        r"'head\.last\.bias' holds torch\.float64, the network torch\.float32",
    ),
    (spoil(set_nan), r"'head\.last\.weight' holds values that are not finite"),
    (spoil(set_infinite), r"running_var' holds values that are not finite"),
    (cut, r"weights\.safetensors is damaged or no safetensors file"),
    (lambda path: path.write_bytes(b""), r"is damaged"),
    (lambda path: path.write_bytes(b"\xff" * 64), r"is damaged"),
    (lambda path: path.write_bytes((10).to_bytes(8, "little") + b'{"a": 1}  '), r"is damaged"),
    (lambda path: None, r"cannot read weights\.safetensors: No such file"),
    (lambda path: path.mkdir(), r"cannot read weights\.safetensors: Is a directory"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_a_file_that_does_not_fit_changes_nothing(damage, message, tmp_path):
    path, network = tmp_path / "weights.safetensors", other()
    damage(path)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(RunError, match=message) as caught:
        load_weights(network, path)
    assert caught.value.where == str(path)
    assert "train again" in caught.value.mend
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_hostile_models_are_refused(shared, tmp_path):
    folder = shared / "hostile" / "generated" / "models"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files
    for path in files:
        with pytest.raises(RunError):
            load_weights(build(plan_for(2)), path)
