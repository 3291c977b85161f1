"""Rules for text: what a token is, how many are known, how long a text may be, and its network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...card import Card
from ...datasets.tokens import counted, text_of, vocabulary
from ...forms import TextPart
from ...plan import AugmentPart, NetPart, Plan, replace_part
from . import Means, Rows

MOST_WORDS, LONGEST = 50_000, 2_000  # tokens known, tokens of a text
MOST_TEXTS = 100_000  # training texts that are counted
TRIED = 500  # texts that tell what a token is
WORD_LONG = 16  # letters between two blanks on average, above which blanks part no words
RARE = 0.05  # share of characters that are hardly ever seen, above which bytes are better
AFFIXES = (3, 4, 5)
SEEN = 60_000  # texts that training sees in all, where passes are between these two
PASSES = (6.0, 16.0)
SHORT = 24  # tokens up to which a text leaves time for more patterns
Unit = Literal["words", "characters", "bytes"]


@dataclass(frozen=True, slots=True)
class Found:
    """What training texts told: the unit and why, tokens by how common they are, lengths."""

    unit: Unit
    why_unit: str
    count: Counter[str]
    lengths: tuple[int, ...]


def observe(card: Card, rows: Rows) -> Found:
    """Count the tokens of the training texts; no other text is looked at."""
    chance = np.random.default_rng(rows.seed)
    chosen = np.sort(chance.permutation(rows.rows)[:MOST_TEXTS])
    texts = [
        text_of(x)
        for at in range(0, len(chosen), 1024)
        for x in rows.gather(chosen[at : at + 1024])
    ]
    unit, why = unit_of(texts[:TRIED])
    count, lengths = counted(texts, unit, lower=unit == "words")
    return Found(unit, why, count, tuple(lengths))


def unit_of(texts: list[str]) -> tuple[Unit, str]:
    """What a token is, and why: words where blanks part them, else characters or bytes."""
    runs = [len(run) for text in texts for run in text.split()]
    mean = float(np.mean(runs)) if runs else 0.0
    wide = sum(_unparted(c) for text in texts for c in text)
    letters = max(sum(runs), 1)
    if mean <= WORD_LONG and 10 * wide <= 3 * letters:
        return "words", f"blanks part the text into words of {mean:.1f} letters on average"
    count = Counter(c for text in texts for c in text if not c.isspace())
    rare = sum(n for n in count.values() if n < 3) / max(sum(count.values()), 1)
    told = (
        f"{wide / letters:.0%} of the letters belong to scripts that part no words by blanks"
        if 10 * wide > 3 * letters
        else f"{mean:.0f} letters lie between blanks on average, too many for words"
    )
    if rare > RARE:
        return "bytes", f"{told}; {rare:.0%} of the characters are hardly ever seen, so bytes"
    return "characters", told


def _unparted(c: str) -> bool:
    """Whether a letter belongs to a script that writes without blanks between words."""
    code = ord(c)
    return (
        0x3040 <= code <= 0x30FF  # kana
        or 0x3400 <= code <= 0x9FFF  # Han
        or 0x20000 <= code <= 0x3FFFF
        or 0x0E00 <= code <= 0x0EFF  # Thai, Lao
        or 0x1000 <= code <= 0x109F  # Myanmar
        or 0x1780 <= code <= 0x17FF  # Khmer
    )


def refine(plan: Plan, card: Card, means: Means) -> Plan:
    """The plan for text; before training texts were counted, only what needs no counting."""
    why = dict(plan.why)
    plan = _without_pictures(plan, why)
    found = means.found
    if found is None:
        return replace(plan, why=why)
    text, why_text = text_part(found)
    length, why["data.size"] = length_of(found.lengths)
    why["data.text"] = why_text
    why["data.fit"] = "texts are never scaled: longer ones are cut, behind shorter ones is padding"
    why["data.channels"] = "a token's own id, and those of its pieces"
    why["data.low"] = why["data.high"] = why["data.mean"] = why["data.std"] = "ids have no scale"
    plan = replace_part(
        plan,
        "data",
        text=text,
        size=(length,),
        channels=text.rows,
        fit="ragged",
        low=(0.0,),
        high=(1.0,),
        mean=(0.0,),
        std=(1.0,),
    )
    plan = _network(plan, why)
    return replace(_fit(plan, means, length, why), why=why)


def text_part(found: Found) -> tuple[TextPart, str]:
    """Vocabulary and pieces, and why."""
    words = vocabulary(found.count, MOST_WORDS)
    total = max(sum(found.count.values()), 1)
    covered = sum(found.count[w] for w in words) / total
    unit = found.unit
    affixes = AFFIXES if unit == "words" else ()
    run = {"words": 2, "characters": 3, "bytes": 5}[unit]
    # A run of tokens is rarely seen twice: about one bucket for each, so that few of them meet.
    wanted = total * (run - 1) + 6 * len(words) * bool(affixes)
    buckets = 1 << int(np.clip(np.ceil(np.log2(max(wanted, 2))), 12, 18))
    part = TextPart(unit, unit == "words", words, affixes, run, buckets, unit == "words")
    what = {
        "words": "beginnings and endings of 3 to 5 letters keep unknown words readable, "
        "capitals and digits show names and numbers, pairs of words keep their order",
        "characters": "runs of two and three characters stand for words",
        "bytes": "runs of up to five bytes stand for words",
    }[unit]
    return part, (
        f"{unit}: {found.why_unit}; {len(words):,} of them are known ({covered:.1%} of all in "
        f"training); {what}"
    )


def length_of(lengths: tuple[int, ...]) -> tuple[int, str]:
    """Tokens of a text that are read, and why."""
    whole = int(np.quantile(lengths, 0.98, method="higher")) if lengths else 1
    length = min(max(whole, 4), LONGEST)
    if whole > LONGEST:
        return length, f"the first {LONGEST:,} tokens of a text tell what it is about"
    return length, f"{length} tokens hold 49 of 50 training texts whole"


def _without_pictures(plan: Plan, why: dict[str, str]) -> Plan:
    """Nothing that moves or brightens cells."""
    still = "the order of tokens carries the meaning"
    for key in ("translate", "flip", "alternate", "cutout", "brightness", "contrast"):
        why[f"augment.{key}"] = still
    why["judge.mirror"] = why["judge.shift"] = still
    judge = replace(plan.judge, mirror=False, shift=0)
    augment = AugmentPart((0,), (False,), False, 0, 0.0, 0.0)
    return replace(plan, augment=augment, judge=judge)


def _network(plan: Plan, why: dict[str, str]) -> Plan:
    """Kernels of several widths side by side, each with its largest answer over the text."""
    text = plan.data.text
    assert text is not None, "tokens come before the network"
    spans = {"words": (3, 4, 5), "characters": (2, 3, 5), "bytes": (3, 5, 9)}[text.unit]
    length = plan.data.size[0]
    width, maps = (300, 160 if length <= SHORT else 100) if text.unit == "words" else (16, 64)
    votes = plan.outputs <= 100
    net = replace(
        plan.net,
        stem="embed",
        stem_width=width,
        stem_kernel=(1,),
        stem_stride=(1,),
        block="parallel",
        widths=(maps,) * len(spans),
        depths=(1,) * len(spans),
        strides=((1,),) * len(spans),
        kernels=tuple((span,) for span in spans),
        norm="batch",
        activation="relu",
        gate=False,
        pool="opening" if text.unit == "words" else "max",
        hidden=(),
        dropout=0.5,
        drop_path=0.5 if votes else 0.0,
        scale=0.111,
        votes=votes,
        forget=0.2,
    )
    why.update(_reasons(net, text.unit == "words"))
    return replace(plan, net=net)


def _reasons(net: NetPart, words: bool) -> dict[str, str]:
    """Why the network of a text is as it is."""
    side = "kernels of several widths side by side (Kim 2014, arXiv:1408.5882)"
    return {
        "net.stem": "each token has a vector that is learned",
        "net.stem_width": "of 32, 64 and 128 numbers the most named most questions rightly "
        "(80.4, 81.9, 83.3 % of TREC held back); 300, as published, half a point more"
        if words
        else "characters mean little by themselves",
        "net.stem_kernel": "one token at a time",
        "net.stem_stride": "every token counts",
        "net.block": side,
        "net.widths": f"{net.widths[0]} patterns for each width"
        + (f": up to {SHORT} tokens leave time for more than 100" if net.widths[0] > 100 else ""),
        "net.depths": "deeper ones need more texts than a person labels",
        "net.strides": "the largest answer over the whole text is taken in any case",
        "net.kernels": f"{side}: {', '.join(str(k[0]) for k in net.kernels)} tokens",
        "net.pool": "a pattern counts wherever in the text it stands"
        + (
            ", and once more among the first words (TREC, held-back questions: 85.8 % "
            "without, 86.2 % with)"
            if words
            else ""
        ),
        "net.dropout": "half of the patterns, as published for this network",
        "net.drop_path": "each text goes through votes or convolutions alone, so both learn to "
        "answer; held-back texts then tell how much each counts",
        "net.votes": "each token and piece votes, starting from naive-Bayes counts of the "
        "training texts (Wang and Manning 2012): without it this network lost to them"
        if net.votes
        else "too many answers for a table of votes",
        "net.forget": "votes do without a fifth of the tokens, so that unknown words come as "
        "no surprise; convolutions see all of them",
    }


def _fit(plan: Plan, means: Means, length: int, why: dict[str, str]) -> Plan:
    """Small batches, few passes: the votes begin near their best, and more passes overfit."""
    batch = int(np.clip(means.train // 100, 16, 64))
    per_pass = max(1, means.train // batch)
    few, many = PASSES
    worth = float(np.clip(round(SEEN / max(means.train, 1)), few, many))
    passes = plan.fit.epochs if means.epochs is not None else worth
    lr, other = round(0.08 * (batch / 500) ** 0.25, 4), round(0.4 * (batch / 500) ** 0.5, 4)
    why["fit.batch"] = f"{means.train} training texts: small steps, many of them"
    why["fit.lr"] = why["fit.other_lr"] = f"scaled to {batch} samples a step"
    if means.epochs is None:
        why["fit.epochs"] = f"{worth:g} passes: more were never worth their time, texts overfit"
    steps = max(1, round(passes * per_pass))
    why["fit.steps"] = f"{passes:g} epochs of {per_pass} batches"
    return replace_part(
        plan,
        "fit",
        batch=batch,
        lr=lr,
        other_lr=other,
        epochs=passes,
        steps=steps,
        coarse=0.0,
        coarse_size=(length,),
    )
