"""A folder of pictures becomes a judged, saved model: `python examples/folder.py [FOLDER]`.

Without a folder, scikit-learn's handwritten digits are written to one, class by class.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import foveal


def digits_folder(root: Path, most: int = 60) -> Path:
    """Class folders `0` to `9` with at most ``most`` pictures each."""
    digits = load_digits()
    for i, (picture, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = root / "digits" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        if len(list(folder.iterdir())) < most:
            Image.fromarray((picture * 255 / 16).astype("uint8")).save(folder / f"{i}.png")
    return root / "digits"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(sys.argv[1]) if len(sys.argv) > 1 else digits_folder(Path(scratch))

        card = foveal.look(data)
        print(f"{card.count} pictures of {len(card.classes)} classes, {card.median} cells")
        print("doubts:", *card.doubts or ["none"], sep="\n  ")

        # On your own data give a time instead of epochs: budget="5m".
        model = foveal.fit(data, epochs=10, out=Path(scratch) / "run")
        accuracy = model.report.test["accuracy"]
        print(f"accuracy {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})")
        print(model.report.verdict)

        for answer in model.stream(data):
            print(f"{answer.input}: {answer.label} ({answer.probability:.2f})")
            break

        again = foveal.load(model.save(Path(scratch) / "kept"))
        print("saved and loaded:", again.report.test["accuracy"].value == accuracy.value)


if __name__ == "__main__":
    main()
