"""A plan is data: read it, read why, edit a number, write it down."""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import foveal
from foveal.record import write_json


def main() -> None:
    digits = load_digits()
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "digits.npz"
        np.savez(data, x=(digits.images * 255 / 16).astype("uint8"), y=digits.target)

        plan = foveal.plan(data, epochs=5)
        for key in ("data.size", "net.strides", "net.widths", "fit.batch", "augment.flip"):
            print(f"{key:14} {plan.why[key]}")

        edited = plan.edited({"net.dropout": "0.1", "fit.label_smoothing": "0"})
        print("net.dropout", edited.net.dropout, "-", edited.why["net.dropout"])

        try:
            plan.edited({"net.droput": "0.1"})
        except foveal.PlanError as error:
            print(error)

        write_json(Path(scratch) / "plan.json", edited.to_dict())


if __name__ == "__main__":
    main()
