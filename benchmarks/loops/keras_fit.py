"""(b) Keras 3 on its default CPU backend: `model.fit` on arrays, Adam, batch 128.

No augmentation: Keras' random layers cost it much on a CPU, so it is spared them.
"""

from __future__ import annotations

import os
import time
from typing import Any

import spec

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH = 128


def network(keras: Any, base: int) -> Any:
    layers = keras.layers

    def block(x: Any, width: int, halve: bool = False) -> Any:
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D(2)(x) if halve else x
        return layers.ReLU()(layers.BatchNormalization()(x))

    start = keras.Input((spec.SIZE, spec.SIZE, spec.CHANNELS), dtype="uint8")
    x = layers.Rescaling(1 / 63.75, offset=-2.0)(start)
    x = block(x, spec.STEM)
    for width in spec.widths(base):
        x = block(block(x, width, halve=True), width)
    x = layers.Dense(spec.CLASSES)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(start, layers.Activation("linear", dtype="float32")(x))


def main() -> None:
    given = spec.arguments()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    import keras

    keras.utils.set_random_seed(0)
    if given.precision == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = network(keras, given.width)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    x, y = spec.pictures()
    # The first call traces the graph; the second gives the rate that sizes the timed one.
    model.fit(x[: 3 * BATCH], y[: 3 * BATCH], batch_size=BATCH, verbose=0)
    start = time.perf_counter()
    model.fit(x[: 2 * BATCH], y[: 2 * BATCH], batch_size=BATCH, verbose=0)
    rate = 2 * BATCH / (time.perf_counter() - start)
    count = max(2 * BATCH, int(rate * given.seconds) // BATCH * BATCH)
    epochs, count = max(1, round(count / len(x))), min(count, len(x) // BATCH * BATCH)
    start = time.perf_counter()
    model.fit(x[:count], y[:count], batch_size=BATCH, epochs=epochs, verbose=0)
    spent = time.perf_counter() - start
    parameters = sum(int(w.shape.num_elements()) for w in model.trainable_weights)
    spec.answer(
        rate=epochs * count / spent,
        parameters=parameters,
        batch=BATCH,
        precision=given.precision,
        version=f"Keras {keras.__version__}, {keras.backend.backend()} {tf.__version__}",
    )


if __name__ == "__main__":
    main()
