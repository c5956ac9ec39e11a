#!/usr/bin/env python3
"""Makes `summaries/*.txt`: what Keras 3 prints of three models, and the order in which it lists their weights.

    python3 -m venv venv && venv/bin/pip install keras jax
    KERAS_BACKEND=jax venv/bin/python tests/reference/summaries.py

`tests/models.rs` builds the same models and holds `Model::summary` to the text, white space and widths aside. Layers are
made in the same order there, as the names of those without a name are numbered by it.
"""

import os
from pathlib import Path

import keras
from keras import Input, Model, Sequential, layers

HERE = Path(__file__).resolve().parent / "summaries"
# Wide enough that nothing is broken into lines.
LINE_LENGTH = 180
os.environ["COLUMNS"] = str(LINE_LENGTH + 4)


def sequential():
    return Sequential(
        [
            Input((28, 28)),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(64, name="features"),
            layers.Activation("tanh"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def chain():
    x = Input((784,), name="pixels")
    hidden = layers.Dense(512, activation="relu")(x)
    return Model(x, layers.Dense(10, activation="softmax")(hidden), name="chain")


def functional():
    """Two inputs, a layer called at three depths, a model called twice, branches of different lengths, two outputs."""
    joined = Input((6,), name="joined")
    hidden = layers.Dense(5, activation="tanh", name="inner_1")(joined)
    inner = Model(joined, layers.Dense(3, name="inner_2")(hidden), name="inner")

    left, right = Input((4,), name="left"), Input((4,), name="right")
    short = layers.Dense(6)(right)
    shared = layers.Dense(4, activation="relu", name="shared")
    first = shared(left)
    second = shared(first)
    third = shared(right)
    normal = layers.BatchNormalization()(second)
    dropped = layers.Dropout(0.5)(normal)
    total = layers.Add()([dropped, third])
    wide = layers.Dense(6)(total)
    of_wide, of_short = inner(wide), inner(short)
    both = layers.Concatenate()([of_wide, of_short, left])
    size = layers.Dense(1, name="size")(of_short)
    digit = layers.Dense(10, activation="softmax", name="digit")(both)
    return Model([left, right], [digit, size], name="two_ways")


def main():
    HERE.mkdir(exist_ok=True)
    for make in (sequential, chain, functional):
        keras.utils.clear_session()
        model = make()
        lines = []
        model.summary(line_length=LINE_LENGTH, print_fn=lines.append)
        text = "\n".join(line.rstrip() for line in "\n".join(lines).splitlines())
        weights = "".join(f"{'/'.join(w.path.split('/')[-2:])} {list(w.shape)}\n" for w in model.weights)
        (HERE / f"{make.__name__}.txt").write_text(f"{text}\n\nWeights:\n{weights}", encoding="utf-8")


if __name__ == "__main__":
    main()
