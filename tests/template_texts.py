"""Texts from templates: one word in each tells its class."""

import numpy as np

WORDS = {"good": ["fine", "lovely", "splendid"], "bad": ["poor", "dreadful", "sorry"]}


def made(count=160, seed=0):
    """Template texts of two classes: one word in eight tells."""
    rng = np.random.default_rng(seed)
    rest = ["the", "film", "was", "a", "long", "story", "of", "two", "people", ","]
    found = []
    for i in range(count):
        name = ("good", "bad")[i % 2]
        text = [str(w) for w in rng.choice(rest, rng.integers(4, 12))]
        text.insert(int(rng.integers(len(text))), str(rng.choice(WORDS[name])))
        found.append((name, " ".join(text)))
    return found


def lines(path, count=160):
    path.write_text("".join(f"{name} {text}\n" for name, text in made(count)))
    return path
