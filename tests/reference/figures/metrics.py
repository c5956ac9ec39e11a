"""Metrics, over batches of eight rows."""

import numpy as np

from .case import Case, Reference, draw

ROWS, CLASSES, BATCH = 40, 5, 8

KINDS = ["sparse_accuracy", "categorical_accuracy", "binary_accuracy", "top_2", "top_3", "precision", "recall"]
KINDS += ["mean_absolute_error", "mean_squared_error"]


def given():
    """Scores with ties in some rows; the last class is never predicted, the last but one never true; one logit of 0."""
    normal, rng = draw(5), np.random.default_rng(6)
    scores = normal(ROWS, CLASSES, scale=1.5)
    classes = rng.choice([0, 1, 2, 4], ROWS)
    rows = np.arange(ROWS)
    scores[rows % 3 == 0, classes[rows % 3 == 0]] += 2.0
    scores[:, 4] = np.round(scores[:, :4].max(axis=1) - 0.25 - np.abs(scores[:, 4]), 3)
    scores = np.round(scores, 3)
    # Ties of the true class with another: for the first place, for the second, and for the third.
    for row, place in [(2, 0), (7, 0), (11, 0), (5, 1), (13, 1), (19, 1), (17, 2), (23, 2)]:
        others = [c for c in np.argsort(-scores[row]) if c != classes[row]]
        scores[row, classes[row]] = scores[row, others[place]]
    logits = normal(ROWS, 3)
    logits[3, 1] = 0.0
    return {
        "scores": scores,
        "classes": classes,
        "one_hot": np.eye(CLASSES)[classes],
        "logits": logits,
        "bits": rng.integers(0, 2, (ROWS, 3)).astype(np.float64),
    }


def with_keras(kind, data):
    """The metrics' own accumulation over the batches."""
    import keras

    predicted = np.eye(CLASSES)[data["scores"].argmax(axis=1)]
    pair = {
        "sparse_accuracy": ("classes", "scores"),
        "top_2": ("classes", "scores"),
        "top_3": ("classes", "scores"),
        "categorical_accuracy": ("one_hot", "scores"),
        "precision": ("one_hot", None),
        "recall": ("one_hot", None),
    }.get(kind, ("bits", "logits"))
    truth, found = data[pair[0]], predicted if pair[1] is None else data[pair[1]]
    if pair[1] == "logits":
        found = keras.activations.sigmoid(found)
    of = keras.metrics
    make = {
        "sparse_accuracy": of.SparseCategoricalAccuracy,
        "categorical_accuracy": of.CategoricalAccuracy,
        "binary_accuracy": of.BinaryAccuracy,
        "top_2": lambda: of.SparseTopKCategoricalAccuracy(2),
        "top_3": lambda: of.SparseTopKCategoricalAccuracy(3),
        "mean_absolute_error": of.MeanAbsoluteError,
        "mean_squared_error": of.MeanSquaredError,
    }
    if kind in ("precision", "recall"):
        one = of.Precision if kind == "precision" else of.Recall
        metrics = [one(class_id=c) for c in range(CLASSES)]
    else:
        metrics = [make[kind]()]
    for metric in metrics:
        for first in range(0, ROWS, BATCH):
            metric.update_state(truth[first : first + BATCH], found[first : first + BATCH])
    return {"figures": np.array([float(metric.result()) for metric in metrics])}


def with_numpy(kind, data):
    """The same over all rows at once."""
    classes, scores, bits, p = data["classes"], data["scores"], data["bits"], 1.0 / (1.0 + np.exp(-data["logits"]))
    predicted = scores.argmax(axis=1)
    if kind in ("precision", "recall"):
        among = predicted if kind == "precision" else classes
        hits = [((predicted == c) & (classes == c)).sum() for c in range(CLASSES)]
        counts = [(among == c).sum() for c in range(CLASSES)]
        return {"figures": np.array([hit / count if count > 0 else 0.0 for hit, count in zip(hits, counts)])}
    if kind in ("top_2", "top_3"):
        better = (scores > scores[np.arange(ROWS), classes][:, None]).sum(axis=1)
        rows = better < int(kind[-1])
    elif kind == "binary_accuracy":
        rows = ((p > 0.5) == (bits == 1.0)).mean(axis=1)
    elif kind == "mean_absolute_error":
        rows = np.abs(p - bits).mean(axis=1)
    elif kind == "mean_squared_error":
        rows = ((p - bits) ** 2).mean(axis=1)
    else:
        rows = predicted == classes
    return {"figures": np.array([rows.mean()])}


def reference(data=None) -> Reference:
    """`metrics.json`."""
    data = data or given()
    about = (
        "Each metric over 40 rows, in batches of 8. The predicted class is that of the largest score, the first "
        "of equal ones. A row is right in its top k if fewer than k scores are larger than the true class's: a "
        "tie counts for it. Precision and recall, one figure per class, of the predicted classes; 0 where a class "
        "was never predicted or is never true. Binary accuracy: a sigmoid above one half is 1. Accuracies, top k, "
        "precision and recall: `scores` and `classes` (or `one_hot`); binary accuracy and the errors: the sigmoid "
        "of `logits`, and `bits`."
    )
    cases = [
        Case(kind, {"kind": kind}, lambda k=kind: with_keras(k, data), lambda k=kind: with_numpy(k, data))
        for kind in KINDS
    ]
    return Reference(about, data, cases)
