"""Networks built from plans with a symmetry or exact shifts: the promise held, end to end."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from foveal.errors import PlanError
from foveal.layers import BatchNorm, Convolution
from foveal.layers.centred import CentredConvolution
from foveal.layers.symmetry import symmetry_of
from foveal.layers.symmetry.turning import TurningConvolution
from foveal.networks.build import build
from foveal.networks.cost import cost
from foveal.networks.decoder import Decoder
from foveal.networks.detector import BoxHead, cells_of, corners
from foveal.networks.down import Down
from foveal.networks.fold import fold, plain, unfolded
from foveal.networks.graph import fields_of
from foveal.networks.parts import fields, turns_of
from plans import RANKS, film_for, net_for, plan_for, raw_for
from turns import SIZES, error, generators, randomised, run

GROUPS = {
    "1 flips": (1, "flips", ((0,),), 2),
    "2 flips": (2, "flips", ((0, 1),), 4),
    "2 one flip": (2, "full", ((1,),), 2),
    "2 rotations": (2, "rotations", ((0, 1),), 4),
    "2 full": (2, "full", ((0, 1),), 8),
    "3 plane": (3, "full", ((1, 2),), 8),
    "3 flips": (3, "flips", ((0, 1, 2),), 8),
    "3 slices": (3, "full", ((0,), (1, 2)), 16),
    "3 rotations": (3, "rotations", ((0, 1, 2),), 24),
    "3 full": (3, "full", ((0, 1, 2),), 48),
}
SMALL = {name: group for name, group in GROUPS.items() if group[3] <= 8}
each = pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
each_small = pytest.mark.parametrize("group", SMALL.values(), ids=SMALL)


def turning_plan(group, **changes):
    """Two stages of 4 and 5 fields."""
    rank, kind, turned, n = group
    return plan_for(
        rank,
        stem="convolution",
        stem_kernel=(3,) * rank,
        stem_width=4 * n,
        widths=(4 * n, 5 * n),
        depths=(1, 2),
        symmetry=kind,
        turned=turned,
        **changes,
    )


def moves(plan):
    turns = turns_of(plan.net)
    return [(number, turns.turns[number]) for number in generators(turns)]


@each
def test_the_symmetry_has_as_many_moves_as_asked(group):
    assert len(turns_of(turning_plan(group).net)) == group[3]


CASES = [
    {"down": "max", "block": "plain"},
    {"down": "average", "block": "residual", "gate": True, "pool": "max"},
    {"down": "stride", "block": "residual", "norm": "group", "activation": "gelu"},
    {"down": "blur", "block": "plain", "norm": "channel", "hidden": (6,)},
    {"down": "max", "block": "plain", "shift": "blur", "stem_stride": 2},
    {"down": "energy", "block": "plain", "shift": "blur"},
    {"down": "energy", "block": "residual", "norm": "group"},
]


@each
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['down']} {c['block']}")
def test_no_move_changes_an_answer_trained_or_not_folded_or_not(group, case):
    case = dict(case)
    if "stem_stride" in case:
        case["stem_stride"] = (2,) * group[0]
    plan = turning_plan(group, **case)
    network = randomised(build(plan))
    sizes = SIZES[group[0]] if group[3] <= 16 else SIZES[group[0]][2:]
    for dtype, limit in {torch.float64: 1e-12, torch.float32: 1e-5}.items():
        ways = {"train": network.train(), "eval": network.eval(), "plain": plain(network)}
        if dtype == torch.float64:
            ways["folded"] = fold(network)
        for (name, made), size in itertools.product(ways.items(), sizes):
            made = made.to(dtype).train(name == "train")
            x = raw_for(group[0], size=size)
            want = run(made, x).detach()
            assert want.std() > 1e-3
            for _, turn in moves(plan):
                assert error(run(made, turn.move(x)).detach(), want) <= limit, (name, size)
            made.double()


@each
def test_folding_keeps_the_answers_and_leaves_plain_layers(group):
    plan = turning_plan(group, down="average", block="residual", gate=True)
    network = randomised(build(plan)).eval()
    x = raw_for(group[0], size=SIZES[group[0]][2])
    want = network(x)
    bare, folded = plain(network), fold(network)
    for made in (bare, folded):
        assert error(made(x), want) <= 1e-12
        assert not any(isinstance(m, TurningConvolution) for m in made.modules())
    assert not any(isinstance(m, BatchNorm) for m in folded.modules())
    assert unfolded(folded) == ()
    assert any(isinstance(m, TurningConvolution) for m in network.modules())


def test_a_network_without_symmetry_is_plain_already():
    network = build(plan_for(2))
    assert plain(network) is network


@each_small
def test_a_moved_sample_gives_the_moved_mask(group):
    rank = group[0]
    for size in SIZES[rank]:
        plan = turning_plan(group)
        head = Decoder(rank, plan.net, 3, prior=torch.tensor([0.2, 0.3, 0.5]))
        network = randomised(build(plan, head))
        x = raw_for(rank, size=size)
        for made in (network.train(), network.eval(), fold(network)):
            want = run(made, x).detach()
            assert want.shape == (4, 3, *size)
            for _, turn in moves(plan):
                assert error(run(made, turn.move(x)).detach(), turn.move(want)) <= 1e-12


def test_a_mask_behind_a_coarse_stem_moves_along_too():
    plan = turning_plan(GROUPS["2 full"], stem_stride=(2, 2))
    network = randomised(build(plan, Decoder(2, plan.net, 3))).eval()
    x = raw_for(2, size=(8, 12))
    want = network(x)
    assert want.shape == (4, 3, 8, 12)
    for _, turn in moves(plan):
        assert error(network(turn.move(x)), turn.move(want)) <= 1e-12


def boxes_by_place(raw, cells, classes):
    """Scores and boxes of every cell, in an order that depends on the boxes' places alone."""
    found = torch.cat([raw[..., :classes], corners(raw[..., classes:], cells)], -1)[0]
    order = sorted(range(len(found)), key=lambda i: [round(v, 6) for v in found[i].tolist()])
    return found[order]


@each_small
def test_a_moved_sample_gives_the_moved_boxes_with_their_sides_exchanged(group):
    rank, _, _, n = group
    plan = turning_plan(group)
    for size in SIZES[rank]:
        head = BoxHead(rank, plan.net, (1, 2), 2, width=4 * n)
        network = randomised(build(plan, head)).eval()
        x = raw_for(rank, count=1, size=size)
        for made in (network, fold(network)):
            here = boxes_by_place(made(x), cells_of(size, (1, 2), plan.net), 2)
            for _, turn in moves(plan):
                moved = turn.move(x)
                there = tuple(moved.shape[2:])
                found = boxes_by_place(made(moved), cells_of(there, (1, 2), plan.net), 2)
                low, high = here[:, 2 : 2 + rank], here[:, 2 + rank :]
                want = torch.empty_like(here)
                want[:, :2] = here[:, :2]
                for axis, (to, sign) in enumerate(zip(turn.to, turn.sign, strict=True)):
                    a, b = low[:, axis], high[:, axis]
                    a, b = (a, b) if sign > 0 else (size[axis] - b, size[axis] - a)
                    want[:, 2 + to], want[:, 2 + rank + to] = a, b
                order = sorted(
                    range(len(want)), key=lambda i: [round(v, 6) for v in want[i].tolist()]
                )
                torch.testing.assert_close(found, want[order], atol=1e-5, rtol=1e-5)


SIDES = {1: (16,), 2: (8, 8), 3: (4, 4, 4)}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("down", ["max", "energy", "average", "stride"])
@pytest.mark.parametrize("symmetry", ["none", "full"])
def test_no_circular_shift_changes_an_answer(rank, down, symmetry):
    whole = (tuple(range(rank)),)
    n = {1: 2, 2: 8, 3: 48}[rank] if symmetry == "full" else 1
    if n == 48:
        whole, n = ((1, 2),), 8
    plan = plan_for(
        rank,
        stem="convolution" if symmetry == "full" else "whiten",
        stem_kernel=(3,) * rank,
        stem_width=8 * n if symmetry == "full" else 4,
        stem_stride=(2,) * rank,
        widths=(4 * n,),
        depths=(2,),
        strides=((2,) * rank,),
        kernels=((1,) * rank,) if rank == 3 else ((3,) * rank,),
        down=down,
        shift="exact",
        symmetry=symmetry,
        turned=whole,
    )
    plan = replace(plan, data=replace(plan.data, size=SIDES[rank]))
    network = randomised(build(plan)).eval()
    x = raw_for(rank, size=SIDES[rank])
    axes = tuple(range(2, 2 + rank))
    for made in (network, fold(network)):
        want = made(x)
        assert want.std() > 1e-3
        for shift in itertools.product(range(4), repeat=rank):
            found = made(x.roll(shift, axes))
            assert error(found, want) <= 1e-12, shift
        if symmetry == "full":
            for _, turn in moves(plan):
                assert error(made(turn.move(x.roll(1, 2))), want) <= 1e-12


def test_without_the_promise_shifts_and_moves_change_answers():
    plan = plan_for(2, stem="convolution", stem_kernel=(3, 3), stem_width=8, widths=(8, 8))
    network = randomised(build(plan)).eval()
    x = raw_for(2, size=(8, 8))
    assert error(network(x.roll(1, 2)), network(x)) > 1e-3
    assert error(network(x.flip(3)), network(x)) > 1e-3


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("symmetry", ["none", "full"])
def test_blur_changes_what_is_pooled_less_than_a_plain_maximum(rank, symmetry):
    turns = None if symmetry == "none" else symmetry_of(rank, "flips")
    made = torch.Generator().manual_seed(0)
    x = torch.rand(64, 8, *(8,) * rank, generator=made, dtype=torch.float64)
    x = torch.nn.functional.pad(x, [4, 4] * rank)
    changed = {}
    for shift in ("plain", "blur"):
        down = Down(rank, "max", (2,) * rank, shift=shift, turns=turns)
        want = down(x)[0].flatten(2).mean(-1)
        found = down(x.roll(1, 2))[0].flatten(2).mean(-1)
        changed[shift] = ((found - want).abs().mean() / want.std()).item()
    assert changed["blur"] < 0.4 * changed["plain"]


@each_small
def test_plain_blocks_begin_by_letting_fields_pass(group):
    plan = turning_plan(group, down="average", norm="channel")
    network = build(plan).eval()
    block = network.backbone.stages[0].blocks[0]
    x = raw_for(group[0], size=SIZES[group[0]][0])
    stem, _ = network.backbone.stem(network.normalise(x))
    torch.testing.assert_close(block.convolution(stem), stem)


def test_weights_are_counted_before_folding_and_after():
    plan = turning_plan(GROUPS["2 full"])
    network = build(plan)
    free, bare = cost(network, 2, (8, 8)), cost(plain(network), 2, (8, 8))
    kernels = [layer for layer in free.layers if layer.kind == "convolution"]
    assert [layer.parameters for layer in kernels] == [
        4 * 2 * 9,  # lifting: fields, channels, taps
        4 * 4 * 8 * 9,
        5 * 4 * 8 * 9,
        5 * 5 * 8 * 9,
    ]
    after = [layer for layer in bare.layers if layer.kind == "convolution"]
    assert [a.parameters for a in after] == [8 * layer.parameters for layer in kernels]
    assert free.macs == bare.macs
    assert free.parameters == sum(p.numel() for p in network.parameters())


def test_receptive_fields_are_those_of_the_plain_network():
    seen = fields_of(build(turning_plan(GROUPS["2 full"], block="residual", gate=True)))
    bare = plan_for(
        2, stem="convolution", stem_kernel=(3, 3), stem_width=8, widths=(8, 8), depths=(1, 2)
    )
    last, want = list(seen.values())[-1], list(fields_of(build(bare)).values())[-1]
    assert last.size == want.size
    assert last.stride == want.stride


def test_convolutions_over_time_and_space_keep_moves_of_space():
    plan = film_for(3, 0, block="factored", stem="convolution", stem_kernel=(1, 3, 3))
    net = replace(plan.net, stem_width=32, widths=(32, 32), symmetry="full", turned=((1, 2),))
    plan = replace(plan, net=net)
    network = randomised(build(plan)).eval()
    x = raw_for(3, size=(5, 4, 6))
    want = network(x)
    for _, turn in moves(plan):
        assert error(network(turn.move(x)), want) <= 1e-12


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"turned": ()}, "a symmetry of full has no axis to move"),
        ({"widths": (32, 36)}, "36 channels are 4.5 fields of 8 moves"),
        ({"widths": (32, 24)}, "24 channels are 3 fields of 8 moves"),
        ({"block": "parallel"}, "block 'parallel' does not keep a symmetry of full"),
        ({"stem": "whiten"}, "stem 'whiten' does not keep a symmetry of full"),
        ({"pool": "grid"}, "pool 'grid' does not keep a symmetry of full"),
        ({"symmetry": "none", "shift": "exact", "stem": "embed"}, "does not keep exact shifts"),
        ({"kernels": ((3, 1), (3, 3))}, r"kernel \(3, 1\) differs on axes \(0, 1\)"),
        ({"turned": ((0, 5),)}, "are not all among 2"),
    ],
)
def test_what_breaks_the_promise_is_refused(changes, words):
    plan = turning_plan(GROUPS["2 full"])
    with pytest.raises(PlanError, match=words):
        build(replace(plan, net=replace(plan.net, **changes)))


def test_time_and_padding_are_refused():
    film = film_for(3, 0, block="plain", stem="convolution", stem_width=32, widths=(32, 32))
    wish = replace(film.net, symmetry="flips", turned=((0,), (1,), (2,)))
    with pytest.raises(PlanError, match="axis 0 is time, which never runs backwards"):
        build(replace(film, net=wish))
    plan = turning_plan(GROUPS["1 flips"])
    with pytest.raises(PlanError, match="samples of several lengths cannot keep a symmetry"):
        build(replace(plan, data=replace(plan.data, fit="ragged")))
    mask = torch.ones(4, 1, 8)
    with pytest.raises(PlanError, match="samples with padding cannot keep a symmetry"):
        build(plan)(raw_for(1, size=(8,)), mask)


def test_boxes_do_not_follow_a_grid_that_is_rolled():
    with pytest.raises(PlanError, match="boxes do not follow a grid that is rolled by its values"):
        BoxHead(2, net_for(2, shift="exact"), (1,), 2, width=8)


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_masks_follow_circular_shifts_exactly(size):
    plan = plan_for(2, shift="exact")
    plan = replace(plan, data=replace(plan.data, size=size))
    network = randomised(build(plan, Decoder(2, plan.net, 3))).eval()
    x = raw_for(2, size=size)
    want = network(x)
    assert network.place(x) is x
    assert torch.equal(network(x, placed=True), want)
    for shift in itertools.product(range(size[0]), range(size[1])):
        assert error(network(x.roll(shift, (2, 3))), want.roll(shift, (2, 3))) <= 1e-12


@pytest.mark.parametrize("rank", RANKS)
def test_placed_samples_are_answered_as_they_lie(rank):
    network, x = build(plan_for(rank, shift="exact")).eval(), raw_for(rank)
    placed = network.place(x)
    assert placed.dtype == x.dtype
    assert not torch.equal(placed, x)
    assert torch.equal(network(placed, placed=True), network(x))
    for shift in (1, 2, 5):
        assert torch.equal(network.place(x.roll(shift, 2)), placed)
    plain = build(plan_for(rank))
    assert plain.place(x) is x


@pytest.mark.parametrize("step", [1, 2])
def test_samples_with_padding_are_refused_where_shifts_are_exact(step):
    """Also by a network whose layers would take the mask: no stride, no pool."""
    steps = {"stem_stride": (1, 1), "strides": ((step, step),) * 2}
    network = build(plan_for(2, shift="exact", **steps)).eval()
    with pytest.raises(PlanError, match="samples with padding cannot keep"):
        network(raw_for(2), torch.ones(4, 1, 11, 9))


def test_a_symmetry_that_moves_nothing_is_none():
    net = net_for(1, symmetry="rotations", turned=((0,),))
    assert turns_of(net) is None
    assert fields(net, 7) == 7


def test_plain_networks_have_plain_layers():
    kinds = {type(m) for m in build(plan_for(2, stem="convolution")).modules()}
    assert Convolution in kinds
    assert not kinds & {CentredConvolution}
    assert not any(issubclass(kind, TurningConvolution) for kind in kinds if kind is not nn.Module)
