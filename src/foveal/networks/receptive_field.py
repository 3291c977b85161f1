"""Which input cells a feature can see: closed form, per axis, for any rank and any branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..errors import PlanError

INPUT = "input"
Cells = int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One node of a graph: a window that slides, or a join of branches (add, concat).

    Args:
        name: its own name, for those who read from it.
        inputs: names of earlier operations, or "input". Two or more are joined first.
        kernel, stride, dilation: of the window, one int or one per axis; 1 for a join.
        padding: cells put in front of the first one (those behind the last change nothing).
    """

    name: str
    inputs: tuple[str, ...] = (INPUT,)
    kernel: Cells = 1
    stride: Cells = 1
    padding: Cells = 0
    dilation: Cells = 1


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Feature ``i`` of an axis reads input cells ``first + i * stride`` to ``last + i * stride``.

    ``misaligned`` is "" or says which branches disagree on stride or centre. Where the strides
    differ there is no one window (``first`` and ``last`` hold for feature 0 alone); where the
    centres differ the window is the smallest that holds all branches.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    stride: tuple[int, ...]
    misaligned: str = ""

    @property
    def size(self) -> tuple[int, ...]:
        """Cells seen along each axis."""
        return tuple(v - u + 1 for u, v in zip(self.first, self.last, strict=True))

    @property
    def padding(self) -> tuple[int, ...]:
        """Cells of the first feature's window that lie before the grid begins."""
        return tuple(-u for u in self.first)

    @property
    def centre(self) -> tuple[Fraction, ...]:
        """Middle of the first feature's window, in input cells."""
        return tuple(Fraction(u + v, 2) for u, v in zip(self.first, self.last, strict=True))

    def window(self, index: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """First and last input cell that feature ``index`` reads, per axis; may leave the grid.

        Raises: PlanError where branches differ in stride, for then no such window exists.
        """
        if self.misaligned.startswith("stride"):
            raise PlanError(
                f"no single window: {self.misaligned}",
                where="receptive field",
                mend="ask for a layer before the branches join",
            )
        axes = zip(self.first, self.last, self.stride, index, strict=True)
        return tuple((u + i * s, v + i * s) for u, v, s, i in axes)


def receptive_fields(rank: int, graph: Sequence[Operation]) -> dict[str, ReceptiveField]:
    """The receptive field of every operation, by name; ``"input"`` is there too.

    Args:
        rank: number of axes.
        graph: operations, each after those that it reads.

    Raises: PlanError for a name that is not known yet or is used twice, or a bad window.
    Source: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks",
        distill.pub 2019, here with any number of axes, dilation and per-axis windows.
    """
    zero, one = (0,) * rank, (1,) * rank
    fields = {INPUT: ReceptiveField(zero, zero, one)}
    for node in graph:
        unknown = [name for name in node.inputs if name not in fields]
        if unknown or node.name in fields or not node.inputs:
            raise PlanError(
                f"{node.name!r} reads {unknown[0]!r}, which does not stand before it"
                if unknown
                else f"{node.name!r} stands twice in the graph, or reads nothing",
                where="receptive field",
                mend="list every operation once, after those that it reads",
            )
        joined = _join(node.inputs, [fields[name] for name in node.inputs])
        fields[node.name] = _slide(joined, node, rank)
    return fields


def _slide(field: ReceptiveField, node: Operation, rank: int) -> ReceptiveField:
    """One window further: the closed form, axis by axis."""
    kernel, stride = _axes(node, "kernel", rank, 1), _axes(node, "stride", rank, 1)
    padding, dilation = _axes(node, "padding", rank, 0), _axes(node, "dilation", rank, 1)
    first, last = list(field.first), list(field.last)
    for axis, jump in enumerate(field.stride):
        reach = dilation[axis] * (kernel[axis] - 1)
        first[axis] -= padding[axis] * jump
        last[axis] += (reach - padding[axis]) * jump
    jumps = tuple(a * b for a, b in zip(field.stride, stride, strict=True))
    return ReceptiveField(tuple(first), tuple(last), jumps, field.misaligned)


def _join(names: Sequence[str], fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """The union of branches that are added or laid side by side, cell by cell."""
    one = fields[0]
    faults = [field.misaligned for field in fields if field.misaligned]
    for name, other in zip(names[1:], fields[1:], strict=True):
        if other.stride != one.stride:
            faults.append(f"stride {one.stride} of {names[0]!r} meets {other.stride} of {name!r}")
        elif other.centre != one.centre:
            near, far = _plain(one.centre), _plain(other.centre)
            faults.append(f"centre {near} of {names[0]!r} meets {far} of {name!r}")
    # Different strides outweigh different centres: they leave no window at all.
    misaligned = min(faults, key=lambda fault: not fault.startswith("stride"), default="")
    first = tuple(min(us) for us in zip(*(f.first for f in fields), strict=True))
    last = tuple(max(vs) for vs in zip(*(f.last for f in fields), strict=True))
    return ReceptiveField(first, last, one.stride, misaligned)


def _plain(centre: tuple[Fraction, ...]) -> tuple[float, ...]:
    return tuple(float(c) for c in centre)


def _axes(node: Operation, field: str, rank: int, least: int) -> tuple[int, ...]:
    value: Cells = getattr(node, field)
    cells = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(cells) != rank or min(cells) < least:
        raise PlanError(
            f"{field} {value} does not fit a grid of rank {rank}",
            where=f"receptive field: operation {node.name!r}",
            mend=f"give one int >= {least}, or {rank} of them",
        )
    return cells
