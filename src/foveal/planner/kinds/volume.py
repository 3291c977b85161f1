"""What volumes need beside what any grid gets: narrow networks, and reasons in their own words.

Strides and kernels per axis already follow the steps between cells (planner/network.py), the box
and its step the scans themselves (datasets/spacing.py).
"""

from __future__ import annotations

from dataclasses import replace

from ...card import Card
from ...plan import Plan, replace_part
from .. import fitting, network
from . import Means

FEW = 1000  # training volumes
WIDEST = 16  # channels of the first stage where there are few


def refine(plan: Plan, card: Card, means: Means) -> Plan:
    """The plan for volumes. Where they are few, the first stage has 16 channels at most."""
    why = {
        **plan.why,
        "net.stem": "whitened patches, frozen: the slow backward pass of a convolution over one "
        "channel in three axes is never run",
        "net.norm": "on 208 MR volumes batch norm explained 0.36 of the variation where group norm "
        "had reached 0.08 after as many short steps; in long trainings of small batches the "
        "latter is the safer one (--set net.norm=group)",
    }
    net = plan.net
    if means.train >= FEW or net.widths[0] <= WIDEST:
        return replace(plan, why=why)
    widths = network.widths(WIDEST, len(net.widths))
    narrow = replace(net, widths=widths)
    why["net.widths"] = (
        f"{means.train} training volumes: wider stages than {WIDEST} learn them by heart"
    )
    plan = replace_part(plan, "net", widths=widths)
    macs = network.macs(narrow, plan.data.size, plan.data.channels, plan.outputs)
    passes, why["fit.epochs"] = fitting.epochs(
        means.train, macs, means.machine.gflops, means.seconds, means.epochs
    )
    batches = max(1, means.train // plan.fit.batch)
    steps = max(1, round(passes * batches))
    why["fit.steps"] = f"{passes:.1f} epochs of {batches} batches"
    plan = replace_part(plan, "fit", epochs=round(passes, 4), steps=steps)
    return replace(plan, why=why)
