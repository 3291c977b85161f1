"""Do the parts that a data set brings hold the same classes?"""

from __future__ import annotations

from ..card import Card


def shares(card: Card) -> bool:
    """Whether the data brings a test part whose identities are all in its training part."""
    train, test = (card.counts.get(part, ()) for part in ("train", "test"))
    asked = [i for i, n in enumerate(test) if n]
    return bool(asked) and all(train[i] for i in asked)


def apart(card: Card) -> bool:
    """Whether the data brings a test part without one identity of its training part."""
    train, test = (card.counts.get(part, ()) for part in ("train", "test"))
    asked = [i for i, n in enumerate(test) if n]
    return bool(asked) and not any(train[i] for i in asked)
