"""Arrays in, probabilities out; and the same network as a scikit-learn estimator."""

import tempfile

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score

import foveal
from foveal.sklearn import ConvClassifier


def main() -> None:
    digits = load_digits()
    pictures = (digits.images * 255 / 16).astype("uint8")  # (N, 8, 8)
    names = [f"digit {label}" for label in digits.target]

    with tempfile.TemporaryDirectory() as scratch:
        model = foveal.fit(pictures[:1500], names[:1500], epochs=5, out=f"{scratch}/run")
        for answer, name in zip(model.predict(pictures[1500:1505]), names[1500:], strict=False):
            print(f"{name}: {answer.label} ({answer.probability:.2f})")
        print("on the rest:", model.evaluate(pictures[1500:], names[1500:]).test["accuracy"])

    # One row per sample; `shape` says which grid it holds.
    scores = cross_val_score(ConvClassifier((8, 8), epochs=5), digits.data, digits.target, cv=3)
    print("three folds:", scores.round(3))


if __name__ == "__main__":
    main()
