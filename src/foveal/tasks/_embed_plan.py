"""What a plan for vectors has beside that of its data: each change with its reason."""

from __future__ import annotations

import dataclasses

from ..card import Card
from ..plan import Plan, replace_part
from ._parts import shares

# Numbers of a vector. Equal error on five held-back of 20 ORL people, as the first weights give
# it: 0.079 with 32, 0.073 with 64, 0.065 with 128, 0.061 with 256.
LENGTH = 256
FEW = 100  # identities under which deep stages do not carry over to others
WIDTHS = (32, 64)  # at least, of the stages that are kept then
COMPARED = 5  # identities at least that a drawn part should hold: ten pairs of them, not three
MOST_HELD = 0.34  # of the training samples, for that
SLOW = 0.1  # share of the usual rates then


def planned(plan: Plan, card: Card) -> Plan:
    """The plan for vectors instead of classes."""
    few = _trained(card) < FEW
    least = min(COMPARED / max(_trained(card), 1), MOST_HELD)
    held = {n: max(getattr(plan.data, n), least) for n in ("validation", "test")}
    plan = replace_part(plan, "data", **{n: s for n, s in held.items() if getattr(plan.data, n)})
    plan = _network(plan, few)
    plan = _fit(plan, few)
    plan = _changes(plan, card)
    shift = max(plan.judge.shift, round(min(plan.data.size) / 32))
    why = {
        **plan.why,
        "judge.shift": f"vectors of views shifted by {shift} cells are averaged in",
        **_split(plan, card),
    }
    return dataclasses.replace(replace_part(plan, "judge", shift=shift), why=why)


def _trained(card: Card) -> int:
    return sum(n > 0 for n in card.counts.get("train", ()))


def _network(plan: Plan, few: bool) -> Plan:
    pool = plan.net.pool if plan.data.fit == "ragged" else "grid"
    why = {
        "net.vector": f"{LENGTH} numbers hold a few thousand identities apart",
        "net.pool": "where something lies tells identities apart: the average of each part"
        if pool == "grid"
        else plan.why.get("net.pool", ""),
        "net.hidden": "one fully connected layer, which has a start in closed form",
        "net.scale": "vectors have length one",
        "net.votes": "tokens vote for no vector",
    }
    net = dataclasses.replace(
        plan.net, vector=LENGTH, pool=pool, hidden=(), scale=1.0, votes=False, dropout=0.0
    )
    why["net.dropout"] = "the start in closed form needs all features"
    if few and net.block == "plain" and len(net.widths) >= len(WIDTHS):
        widths = tuple(max(n, w) for n, w in zip(net.widths, WIDTHS, strict=False))
        net = dataclasses.replace(
            net,
            widths=widths,
            depths=(1,) * len(widths),
            strides=net.strides[: len(widths)],
            kernels=net.kernels[: len(widths)],
        )
        told = (
            f"under {FEW} identities only the first {len(WIDTHS)} stages: what deeper ones learn "
            "of few does not hold for others (equal error on 20 unseen ORL faces 0.07 against 0.10)"
        )
        why |= {f"net.{n}": told for n in ("widths", "depths", "strides", "kernels")}
    return dataclasses.replace(plan, net=net, why={**plan.why, **why})


def _fit(plan: Plan, few: bool) -> Plan:
    fit = dataclasses.replace(plan.fit, label_smoothing=0.0, weights=())
    why = {
        "fit.label_smoothing": "the margin already keeps certainty in bounds",
        "fit.weights": "an identity counts as often as it is seen",
    }
    if few:
        fit = dataclasses.replace(fit, lr=SLOW * fit.lr, other_lr=SLOW * fit.other_lr)
        told = f"a tenth of the usual rate: with under {FEW} identities the first weights are close"
        why |= {"fit.lr": told, "fit.other_lr": told}
    return dataclasses.replace(plan, fit=fit, why={**plan.why, **why})


def _changes(plan: Plan, card: Card) -> Plan:
    if card.data != "picture" or plan.data.fit == "ragged":
        return plan
    why = {
        "augment.warp": "faces and things come a little nearer or further: 5 % along each axis",
        "augment.brightness": "light is no part of an identity",
        "augment.contrast": "light is no part of an identity",
    }
    plan = replace_part(plan, "augment", warp=(0.05,) * plan.rank, brightness=0.1, contrast=0.1)
    return dataclasses.replace(plan, why={**plan.why, **why})


def _split(plan: Plan, card: Card) -> dict[str, str]:
    told = {
        "data.validation": f"{plan.data.validation:.1%} of the training part, whole identities, to "
        "choose weights and the threshold on ones never trained on",
        "data.test": f"{plan.data.test:.1%} of the samples, whole identities: none is on two sides",
    }
    if not plan.data.test:
        who = "the same identities: the training part is the gallery" if shares(card) else "others"
        told["data.test"] = f"the data brings its own test part, of {who}"
    if not plan.data.validation:
        told["data.validation"] = "the data brings its own validation part"
    return told
