"""Convolutions that read features one behind the other: what they would say of them joined."""

import pytest
import torch
from safetensors.torch import load, save

import laws
from foveal.errors import PlanError
from foveal.layers import Convolution, channels_last
from foveal.layers.symmetry import (
    DepthwiseGroupConvolution,
    GroupConvolution,
    SeparableGroupConvolution,
    fold,
    join,
)
from foveal.networks.build import build
from foveal.networks.decoder import Decoder
from foveal.networks.fold import plain
from foveal.networks.parts import turns_of
from foveal.networks.weights import MARK, load_weights, save_weights
from plans import plan_for, raw_for
from turns import NAMED, SIZES, error, fields, randomised

named = pytest.mark.parametrize("symmetry", NAMED.values(), ids=NAMED)
LAYERS = {
    "group": lambda s, inputs, **set_: GroupConvolution(s, inputs, 2, 3, **set_),
    "separable": lambda s, inputs, **set_: SeparableGroupConvolution(s, inputs, 2, 3, **set_),
}
PARTS = (1, 2, 1)


def parts_for(symmetry):
    size = SIZES[symmetry.rank][-1]
    return [fields(symmetry, n, size, seed=i) for i, n in enumerate(PARTS)]


@named
@pytest.mark.parametrize("kind", LAYERS)
def test_says_what_it_would_say_of_the_joined_fields(symmetry, kind):
    whole = randomised(LAYERS[kind](symmetry, sum(PARTS)))
    behind = LAYERS[kind](symmetry, PARTS).double()
    behind.load_state_dict(whole.state_dict())  # free weights do not know of the order
    parts = parts_for(symmetry)
    want, x = whole(join(symmetry, *parts)), torch.cat(parts, 1)
    assert error(behind(x), want) <= 1e-12
    assert error(behind(channels_last(x)), want) <= 1e-12
    assert error(fold(behind)(x), want) <= 1e-12
    if len(symmetry) > 1:  # planted: the order does matter
        assert error(whole(x), want) > 1e-2


@named
@pytest.mark.parametrize("kind", LAYERS)
def test_turns_along_where_every_part_turns(symmetry, kind):
    layer = randomised(LAYERS[kind](symmetry, PARTS, stride=2))
    parts = parts_for(symmetry)
    for dtype, limit in {torch.float64: 1e-12, torch.float32: 1e-5}.items():
        layer.to(dtype)
        want = layer(torch.cat(parts, 1).to(dtype))
        for number in range(len(symmetry)):
            moved = [symmetry.move_fields(number, part) for part in parts]
            found = layer(torch.cat(moved, 1).to(dtype))
            assert error(found, symmetry.move_fields(number, want)) <= limit


@named
def test_each_field_keeps_its_own_kernel_and_bias(symmetry):
    layer = randomised(DepthwiseGroupConvolution(symmetry, PARTS, 3))
    apart = []
    for number, part in enumerate(PARTS):
        rows = slice(sum(PARTS[:number]), sum(PARTS[: number + 1]))
        alone = DepthwiseGroupConvolution(symmetry, part, 3).double()
        with torch.no_grad():
            alone.weight.copy_(layer.weight[rows])
            alone.bias.copy_(layer.bias[rows])
        apart.append(alone)
    parts = parts_for(symmetry)
    want = torch.cat([alone(x) for alone, x in zip(apart, parts, strict=True)], 1)
    assert error(layer(torch.cat(parts, 1)), want) <= 1e-12


@pytest.mark.parametrize("name", ["1 full", "2 rotations", "3 plane rotations"])
@pytest.mark.parametrize("kind", LAYERS)
def test_keeps_the_laws_of_every_layer(kind, name):
    symmetry = NAMED[name]
    layer, x = randomised(LAYERS[kind](symmetry, PARTS)), torch.cat(parts_for(symmetry), 1)
    laws.keeps_samples_apart(layer, x)
    laws.ignores_memory_layout(layer, x)
    laws.traces(layer, x)


@pytest.mark.parametrize("kind", [GroupConvolution, SeparableGroupConvolution])
@pytest.mark.parametrize("inputs", [(), (2, 0), (1, 1.5)])
def test_says_that_every_part_has_fields(kind, inputs):
    with pytest.raises(PlanError, match=r"(inputs|fields)"):
        kind(NAMED["2 rotations"], inputs, 1, 3)


# What decoders read in files of before: columns (or, of depthwise kernels, rows) in the order of
# fields side by side. Counted out here, one by one.
DECODERS = {
    "1 flips": (1, "flips", ((0,),), 2),
    "2 full": (2, "full", ((0, 1),), 8),
    "3 plane": (3, "full", ((1, 2),), 8),
    "3 rotations": (3, "rotations", ((0, 1, 2),), 24),  # taken apart into two convolutions
}


def masks(group, **changes):
    rank, kind, turned, n = group
    widths = {"stem_width": 4 * n, "widths": (4 * n, 5 * n), "depths": (1, 1)}
    ways = {"stem": "convolution", "stem_kernel": (3,) * rank, **widths}
    plan = plan_for(rank, **ways, symmetry=kind, turned=turned, **changes)
    return build(plan, Decoder(rank, plan.net, 3, depth=2)), plan


def of_before(network, n):
    """The tensors of a plain network, as a file of before the mark held them."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for name, module in network.named_modules():
        if "joins." not in name or ".0.convolution" not in name:
            continue
        if isinstance(module, Convolution):
            axis = 1 if module.groups == 1 else 0
            here = module.inputs // (2 * n)
            old = torch.empty_like(module.weight).movedim(axis, 0)
            for turn in range(n):
                for field in range(2 * here):
                    part, within = divmod(field, here)
                    behind = part * n * here + turn * here + within
                    old[turn * 2 * here + field] = module.weight.movedim(axis, 0)[behind]
            state[f"{name}.weight"] = old.movedim(0, axis).contiguous()
    return state


@pytest.mark.parametrize("group", DECODERS.values(), ids=DECODERS)
def test_a_file_of_before_gives_the_same_answers(group, tmp_path):
    network, plan = masks(group)
    kept, path = plain(randomised(network).float()), tmp_path / "weights.safetensors"
    x = raw_for(group[0])
    want, state = kept(x), of_before(kept, group[3])
    path.write_bytes(save(state))
    again = plain(masks(group)[0])
    assert error(again(x), want) > 1e-2
    load_weights(again, path)
    assert torch.equal(again(x), want)
    # Written anew it has the mark, and its kernels stay as they are.
    save_weights(again, path)
    written = load(path.read_bytes())
    assert any(not torch.equal(state[name], value) for name, value in written.items())
    third = plain(masks(group)[0])
    load_weights(third, path)
    assert torch.equal(third(x), want)
    assert len(turns_of(plan.net)) == group[3]


@pytest.mark.parametrize("group", DECODERS.values(), ids=DECODERS)
def test_what_else_the_header_says_is_no_matter(group, tmp_path):
    kept, path = plain(randomised(masks(group)[0]).float()), tmp_path / "weights.safetensors"
    path.write_bytes(save(dict(kept.state_dict()), {"by": "another", **MARK}))
    again, x = plain(masks(group)[0]), raw_for(group[0])
    load_weights(again, path)
    assert torch.equal(again(x), kept(x))


def test_a_header_without_marks_is_read(tmp_path):
    network, path = build(plan_for(2)), tmp_path / "weights.safetensors"
    content = save(dict(network.state_dict()))
    size = int.from_bytes(content[:8], "little")
    header = b'{"__metadata__":null,' + content[9 : 8 + size]
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])
    load_weights(build(plan_for(2)), path)


@pytest.mark.parametrize("group", DECODERS.values(), ids=DECODERS)
def test_kernels_that_still_turn_know_no_order(group, tmp_path):
    network = randomised(masks(group)[0]).float().eval()
    path, x = tmp_path / "weights.safetensors", raw_for(group[0])
    path.write_bytes(save(dict(network.state_dict())))
    again = masks(group)[0].eval()
    load_weights(again, path)
    assert torch.equal(again(x), network(x))


def test_a_decoder_without_a_symmetry_knows_no_order(tmp_path):
    plan = plan_for(2, stem="convolution", stem_width=4, stem_kernel=(3, 3))
    network = randomised(build(plan, Decoder(2, plan.net, 3))).float().eval()
    path, x = tmp_path / "weights.safetensors", raw_for(2)
    path.write_bytes(save(dict(network.state_dict())))
    again = build(plan, Decoder(2, plan.net, 3)).eval()
    load_weights(again, path)
    assert torch.equal(again(x), network(x))
