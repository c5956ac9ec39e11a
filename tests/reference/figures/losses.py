"""Losses: their values, with and without weights, and their derivatives by the logits."""

import numpy as np

from .case import Case, Reference, draw

ROWS, CLASSES = 10, 4
# Keras keeps probabilities this far from 0 and 1 before it takes their logarithm.
EPSILON = 1e-7

KINDS = [
    "sparse_categorical_crossentropy, logits",
    "sparse_categorical_crossentropy, softmax",
    "categorical_crossentropy, logits",
    "categorical_crossentropy, softmax",
    "binary_crossentropy, logits",
    "binary_crossentropy, sigmoid",
    "mean_squared_error",
    "mean_absolute_error",
]


def given():
    """Scores, classes, their one-hot rows, rows of zeros and ones, rows of numbers, and a weight for each row."""
    normal, rng = draw(3), np.random.default_rng(4)
    classes = rng.integers(0, CLASSES, ROWS)
    return {
        "scores": normal(ROWS, CLASSES, scale=2.0),
        "classes": classes,
        "one_hot": np.eye(CLASSES)[classes],
        "bits": rng.integers(0, 2, (ROWS, CLASSES)).astype(np.float64),
        "numbers": normal(ROWS, CLASSES, scale=2.0),
        "weights": np.round(rng.uniform(0.0, 2.0, ROWS), 3),
    }


def targets(kind, data):
    """What the loss compares the scores with."""
    if kind.startswith("sparse"):
        return data["classes"]
    if kind.startswith("categorical"):
        return data["one_hot"]
    return data["bits"] if kind.startswith("binary") else data["numbers"]


def with_keras(kind, data):
    """The loss and JAX's derivative of it."""
    import jax
    import keras

    name, _, form = kind.partition(", ")
    options = {} if not form else {"from_logits": form == "logits"}
    loss = {
        "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
        "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
        "binary_crossentropy": keras.losses.BinaryCrossentropy,
        "mean_squared_error": keras.losses.MeanSquaredError,
        "mean_absolute_error": keras.losses.MeanAbsoluteError,
    }[name](**options)
    activation = {"softmax": keras.activations.softmax, "sigmoid": keras.activations.sigmoid}.get(form)
    y, figures = targets(kind, data), {}
    for prefix, weights in [("", None), ("weighted_", data["weights"])]:

        def value(scores, weights=weights):
            return loss(y, activation(scores) if activation else scores, sample_weight=weights)

        figures[f"{prefix}loss"] = np.array(value(data["scores"]))
        figures[f"{prefix}gradient"] = np.array(jax.grad(value)(jax.numpy.array(data["scores"])))
    return figures


def with_numpy(kind, data):
    """The same from the formulas: each row's loss and its derivative, then the weights, then the mean of the rows."""
    z, y = data["scores"], targets(kind, data)
    exact = kind.endswith("logits") or kind.startswith("mean")
    if "categorical" in kind:
        if kind.startswith("sparse"):
            y = np.eye(CLASSES)[y]
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        rows, slopes = -(y * np.log(p)).sum(axis=1), p - y
    elif kind.startswith("binary"):
        p = 1.0 / (1.0 + np.exp(-z))
        rows, slopes = -(y * np.log(p) + (1.0 - y) * np.log(1.0 - p)).mean(axis=1), (p - y) / CLASSES
    elif kind == "mean_squared_error":
        rows, slopes = ((z - y) ** 2).mean(axis=1), 2.0 * (z - y) / CLASSES
    else:
        rows, slopes = np.abs(z - y).mean(axis=1), np.sign(z - y) / CLASSES
    assert exact or (EPSILON < p).all() and (p < 1.0 - EPSILON).all(), "no probability is one that Keras moves"
    figures = {}
    for prefix, w in [("", np.ones(ROWS)), ("weighted_", data["weights"])]:
        figures[f"{prefix}loss"] = (w * rows).sum() / ROWS
        figures[f"{prefix}gradient"] = w[:, None] * slopes / ROWS
    return figures


def reference(data=None) -> Reference:
    """`losses.json`."""
    data = data or given()
    about = (
        "Each loss over the batch: the mean of the rows' losses, the weighted one the sum of weight times loss "
        "divided by the number of rows (not by the weights' sum); a row's loss is the mean over its elements "
        "where it has several. `gradient` is by `scores`, through softmax or sigmoid where the loss takes "
        "probabilities. sparse_categorical: `classes`; categorical: `one_hot`; binary: `bits`; the means: "
        "`numbers`."
    )
    cases = [
        Case(
            kind,
            {"kind": kind.partition(", ")[0], "form": kind.partition(", ")[2]},
            lambda k=kind: with_keras(k, data),
            lambda k=kind: with_numpy(k, data),
        )
        for kind in KINDS
    ]
    return Reference(about, data, cases)
