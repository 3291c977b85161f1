"""Receptive fields: published networks, gradients of random graphs, and what is refused."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from foveal.errors import PlanError
from foveal.layers import Convolution, TransposedConvolution
from foveal.networks.build import build
from foveal.networks.graph import fields_of, graph_of
from foveal.networks.receptive_field import Operation, ReceptiveField, receptive_fields
from plans import lived, plan_for, raw_for

CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class Chain:
    """Writes a graph as the papers' tables do: the name of an operation is its number."""

    def __init__(self):
        self.graph, self.at = [], "input"

    def add(self, kernel=1, stride=1, padding=0, after=None):
        name = str(len(self.graph))
        self.graph.append(Operation(name, (after or self.at,), kernel, stride, padding))
        self.at = name
        return name

    def join(self, *ends):
        name = str(len(self.graph))
        self.graph.append(Operation(name, ends))
        self.at = name

    def branches(self, *branches):
        """Each branch is a list of (kernel, stride, padding); the ends are joined."""
        start, ends = self.at, []
        for branch in branches:
            self.at = start
            for window in branch:
                self.add(*window)
            ends.append(self.at)
        self.join(*ends)

    def answer(self):
        """(size, stride, padding), each asserted to be the same along both axes."""
        field = receptive_fields(2, self.graph)[self.at]
        assert field.misaligned == ""
        triples = set(zip(field.size, field.stride, field.padding, strict=True))
        assert len(triples) == 1
        return triples.pop()


def same(kernel):
    """(kernel, stride 1, padding) that keeps the size."""
    both = (kernel, kernel) if isinstance(kernel, int) else kernel
    return both, 1, tuple((k - 1) // 2 for k in both)


def alexnet():
    """Krizhevsky 2014, as in slim's alexnet_v2: VALID first layer and pools."""
    net = Chain()
    for window in [(11, 4), (3, 2), (5, 1, 2), (3, 2), *[(3, 1, 1)] * 3, (3, 2)]:
        net.add(*window)
    return net


def vgg16():
    net = Chain()
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            net.add(3, 1, 1)
        net.add(2, 2)
    return net


def resnet(depths):
    """Version 1, as in slim: the last unit of blocks one to three strides, pool without padding."""
    net = Chain()
    net.add(7, 2, 3)
    net.add(3, 2)
    for block, units in enumerate(depths):
        for unit in range(units):
            stride = 2 if unit == units - 1 and block < 3 else 1
            net.branches([(1, stride, 0)], [(1, 1, 0), (3, stride, 1), (1, 1, 0)])
    return net


def mobilenet():
    """Version 1. SAME on even sizes puts its odd padding cell behind when the stride is 2."""
    net = Chain()
    net.add(3, 2)
    for stride in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1):
        net.add(3, stride, 2 - stride)
        net.add(1)
    return net


def inception_v3():
    """Szegedy et al. 2015, table 1 with slim's paddings: (kernel, stride, padding) per branch."""
    net, one, pooled = Chain(), same(1), [same(3), same(1)]
    for window in [(3, 2), (3,), (3, 1, 1), (3, 2), (1,), (3,), (3, 2)]:
        net.add(*window)
    for _ in range(3):
        net.branches([one], [one, same(5)], [one, same(3), same(3)], pooled)
    net.branches([(3, 2, 0)], [one, same(3), (3, 2, 0)], [(3, 2, 0)])
    wide, tall = same((1, 7)), same((7, 1))
    for _ in range(4):
        net.branches([one], [one, wide, tall], [one, tall, wide, tall, wide], pooled)
    net.branches([one, (3, 2, 0)], [one, wide, tall, (3, 2, 0)], [(3, 2, 0)])
    thin = [same((1, 3))], [same((3, 1))]
    for _ in range(2):
        start, ends = net.at, []
        for before in ([one], [one, same(3)]):
            net.at = start
            for window in before:
                net.add(*window)
            net.branches(*thin)
            ends.append(net.at)
        net.at = start
        net.branches([one], pooled)
        net.join(*ends, net.at)
    return net


@pytest.mark.parametrize(
    ("net", "published"),
    [
        (alexnet(), (195, 32, 64)),
        (vgg16(), (212, 32, 90)),
        (resnet((3, 4, 6, 3)), (483, 32, 239)),
        (resnet((3, 4, 23, 3)), (1027, 32, 511)),
        (mobilenet(), (315, 32, 126)),
        (inception_v3(), (1311, 32, 618)),
    ],
    ids=["alexnet", "vgg16", "resnet50", "resnet101", "mobilenet", "inception_v3"],
)
def test_equals_the_published_values(net, published):
    assert net.answer() == published


def random_graph(dice, rank):
    """Two to seven operations; joins prefer, but do not insist on, an equal stride so far."""
    jumps, graph = {"input": (1,) * rank}, []
    for number in range(dice.randint(2, 7 if rank < 3 else 5)):
        last = list(jumps)[-1]
        equal = [name for name in jumps if name != last and jumps[name] == jumps[last]]
        others = equal if dice.random() < 0.8 else [name for name in jumps if name != last]
        join = others and dice.random() < 0.6
        inputs = (last, dice.choice(others)) if join else (last,)
        kernel = tuple(dice.randint(1, 4 if rank < 3 else 3) for _ in range(rank))
        dilation = tuple(dice.randint(1, 2) for _ in range(rank))
        stride = tuple(dice.choice((1, 1, 1, 2)) for _ in range(rank))
        padding = tuple(dice.randint(0, k - 1) for k in kernel)
        graph.append(Operation(str(number), inputs, kernel, stride, padding, dilation))
        jumps[str(number)] = tuple(a * b for a, b in zip(jumps[last], stride, strict=True))
    return graph


def spread(cells, rank):
    return (cells,) * rank if isinstance(cells, int) else cells


def support(rank, graph, index, room):
    """First and last input cell per axis with a gradient from feature ``index`` of the end."""
    x = torch.zeros(1, 1, *room, requires_grad=True)
    known = {"input": x}
    for node in graph:
        parts = [known[name] for name in node.inputs]
        size = [min(sizes) for sizes in zip(*(p.shape[2:] for p in parts), strict=True)]
        cut = (slice(None), slice(None), *(slice(n) for n in size))
        total = sum(p[cut] for p in parts)
        # As many cells behind as in front: only those in front move the features.
        pads = [p for p in reversed(spread(node.padding, rank)) for _ in range(2)]
        weight = torch.ones(1, 1, *spread(node.kernel, rank))
        known[node.name] = CONVOLVE[rank](
            F.pad(total, pads), weight, stride=node.stride, dilation=node.dilation
        )
    at = known[graph[-1].name][(0, 0, *index)]
    gradient = torch.autograd.grad(at, x)[0][0, 0]
    cells = gradient.nonzero()
    return tuple(zip(cells.amin(0).tolist(), cells.amax(0).tolist(), strict=True))


@pytest.mark.parametrize(("rank", "count"), [(1, 400), (2, 400), (3, 200)])
def test_equals_the_support_of_gradients(rank, count):
    dice, compared, joined, torn = random.Random(rank), 0, 0, 0
    while compared < count:
        graph = random_graph(dice, rank)
        field = receptive_fields(rank, graph)[graph[-1].name]
        if field.misaligned.startswith("stride"):
            torn += 1
            continue
        # The first feature whose window lies inside the grid, along each axis.
        index = tuple(max(0, -(u // s)) for u, s in zip(field.first, field.stride, strict=True))
        window = field.window(index)
        room = [last + 6 for _, last in window]  # a window that is too small meets more cells
        assert support(rank, graph, index, room) == window, graph
        compared += 1
        joined += any(len(node.inputs) > 1 for node in graph)
    assert joined > count / 4
    assert torn > 0


def test_branches_of_different_stride_have_no_window():
    graph = [
        Operation("fast", kernel=3, stride=2, padding=1),
        Operation("sum", ("input", "fast")),
        Operation("after", ("sum",), kernel=3),
    ]
    fields = receptive_fields(1, graph)
    assert fields["fast"].misaligned == ""
    for name in ("sum", "after"):
        assert fields[name].misaligned == "stride (1,) of 'input' meets (2,) of 'fast'"
    with pytest.raises(PlanError, match=r"no single window: stride(.|\n)*before the branches join"):
        fields["after"].window((0,))
    # The gradient agrees: the window's first cell does not move by one and the same step.
    starts = [support(1, graph[:2], (i,), [90])[0] for i in range(20, 23)]
    assert starts == [(20, 41), (21, 43), (22, 45)]


def test_branches_of_different_centre_say_so_and_keep_the_union():
    graph = [
        Operation("left", kernel=3, padding=2),
        Operation("right", kernel=3, padding=0),
        Operation("sum", ("left", "right")),
    ]
    field = receptive_fields(1, graph)["sum"]
    assert field.misaligned == "centre (-1.0,) of 'left' meets (1.0,) of 'right'"
    assert field.window((10,)) == ((8, 12),) == support(1, graph, (10,), [40])


def test_a_stride_outweighs_a_centre_that_was_wrong_before():
    graph = [
        Operation("left", kernel=3, padding=2),
        Operation("both", ("input", "left")),
        Operation("half", stride=2),
        Operation("sum", ("both", "half")),
    ]
    assert receptive_fields(1, graph)["both"].misaligned.startswith("centre")
    assert receptive_fields(1, graph)["sum"].misaligned.startswith("stride")


def test_anisotropic_windows_count_per_axis():
    graph = [Operation("a", kernel=(1, 3, 3), stride=(1, 2, 2)), Operation("b", ("a",), kernel=3)]
    field = receptive_fields(3, graph)["b"]
    assert field == ReceptiveField((0, 0, 0), (2, 6, 6), (1, 2, 2))
    assert field.size == (3, 7, 7)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ([Operation("a", ("b",))], r"'a' reads 'b', which does not stand before it"),
        ([Operation("a"), Operation("a")], r"'a' stands twice"),
        ([Operation("a", kernel=(3, 3, 3))], r"kernel \(3, 3, 3\) does not fit a grid of rank 2"),
        ([Operation("a", stride=0)], r"stride 0 does not fit(.|\n)*one int >= 1, or 2 of them"),
        ([Operation("a", padding=-1)], r"padding -1 does not fit(.|\n)*one int >= 0"),
    ],
)
def test_refuses_a_graph_that_makes_no_sense(graph, message):
    with pytest.raises(PlanError, match=message):
        receptive_fields(2, graph)


def first_gradient(network, index):
    """First and last input cell per axis that moves the features at ``index``."""
    x = raw_for(network.backbone.rank, count=1, size=(96,) * network.backbone.rank).float()
    x.requires_grad_()
    at = network.backbone(x)[0][(0, slice(None), *index)].sum()
    cells = torch.autograd.grad(at, x)[0][0].sum(0).nonzero()
    return tuple(zip(cells.amin(0).tolist(), cells.amax(0).tolist(), strict=True))


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("down", ["average", "stride", "blur"])
@pytest.mark.parametrize("block", ["plain", "residual"])
def test_reads_the_windows_off_a_network(rank, down, block):
    stem_stride = (2, 1)[:rank]
    plan = plan_for(
        rank,
        down=down,
        block=block,
        activation="tanh",
        stem="convolution",
        stem_stride=stem_stride,
        kernels=((3,) * rank, (2, 5)[:rank]),
    )
    network = lived(build(plan))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Convolution):  # positive, so that no path cancels another
                module.weight.uniform_(0.001, 0.01)
    *_, field = fields_of(network).values()
    assert field.stride == tuple(4 * s for s in stem_stride)
    index = tuple(-(u // s) for u, s in zip(field.first, field.stride, strict=True))
    assert first_gradient(network, index) == field.window(index)


def test_names_are_paths_of_layers():
    network = build(plan_for(2, block="residual", depths=(1, 3)))
    known = dict(network.backbone.named_modules())
    fields = fields_of(network)
    assert [n for n in fields if n not in known] == ["input", "add"]
    assert "stages.1.blocks.1.blocks.1.convolution" in fields


def test_understands_torchs_own_layers():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 7, 2, 3),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(2, 2, (3, 5), dilation=2, padding="same"),
        nn.Conv2d(2, 2, 3, padding="valid"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 2),
    )
    graph = graph_of(net, 2)
    assert [node.name for node in graph] == ["0", "3", "4", "5"]
    field = receptive_fields(2, graph)["5"]
    assert (field.size, field.stride, field.padding) == ((35, 51), (4, 4), (11, 19))


def test_a_layer_that_is_used_twice_counts_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.again = nn.Conv1d(1, 1, 3)

        def forward(self, x, mask=None):
            y = torch.relu(self.again(x))
            return y if mask else self.again(y) + y

    fields = receptive_fields(1, graph_of(Twice(), 1))
    assert list(fields) == ["input", "again", "again (again_1)", "add"]
    assert fields["add"].size == (5,)
    assert fields["add"].misaligned.startswith("centre")


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.ConvTranspose2d(1, 1, 2), r"0 \(ConvTranspose2d\)"),
        (TransposedConvolution(2, 1, 1, 2), r"0 \(TransposedConvolution\)"),
        (nn.PixelShuffle(2), r"0 \(PixelShuffle\)"),
    ],
)
def test_a_window_that_is_not_known_is_not_guessed(layer, name):
    with pytest.raises(PlanError, match=rf"the window of {name} is not known(.|\n)*by hand"):
        graph_of(nn.Sequential(layer), 2)
