"""`fit` as a whole: its history, its weights, and what the model predicts afterwards."""

import math

import numpy as np

from . import tape
from .case import Case, Reference, draw
from .networks import Sgd, dense, draw_dense, get_weights, set_weights, sparse

BATCH = 8


class Means:
    """Figures of batches, averaged with a weight each, as `fit` averages them."""

    def __init__(self):
        self.sums, self.weights = {}, {}

    def add(self, weight, **figures):
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + weight * value
            self.weights[name] = self.weights.get(name, 0.0) + weight

    def result(self, prefix=""):
        return {f"{prefix}{name}": self.sums[name] / self.weights[name] for name in self.sums}


def batches(rows):
    """Index ranges of at most BATCH rows, in their order."""
    return [np.arange(i, min(i + BATCH, rows)) for i in range(0, rows, BATCH)]


def history_of(epochs) -> dict:
    """A table for each epoch as a list for each figure."""
    return {name: np.array([float(epoch[name]) for epoch in epochs]) for name in epochs[0]}


def functional(data=None) -> Reference:
    """`functional.json`: two inputs, a shared layer, a model in the model, two outputs."""
    if data is None:
        normal, rng = draw(13), np.random.default_rng(14)
        data = {"a": normal(40, 6), "b": normal(40, 6), "test_a": normal(5, 6), "test_b": normal(5, 6)}
        data["class"], data["value"] = rng.integers(0, 4, 40), normal(40, 2)
        sizes = {"shared": (6, 7), "inner_1": (14, 8), "inner_2": (8, 6), "class": (13, 4), "value": (13, 2)}
        data["weights"] = draw_dense(normal, sizes)
    lr, momentum, epochs, split = 0.05, 0.9, 3, 0.25
    loss_weights = {"class": 1.0, "value": 0.3}

    def with_keras():
        import keras

        layers = keras.layers
        joined = keras.Input((14,), name="joined")
        hidden = layers.Dense(8, "tanh", name="inner_1")(joined)
        inner = keras.Model(joined, layers.Dense(6, "sigmoid", name="inner_2")(hidden), name="inner")
        a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
        shared = layers.Dense(7, "relu", name="shared")
        of_a, of_b = shared(a), shared(b)
        features = inner(layers.Concatenate()([of_a, of_b]))
        trunk = layers.Concatenate()([features, layers.Add()([of_a, of_b])])
        outputs = {"class": layers.Dense(4, name="class")(trunk), "value": layers.Dense(2, name="value")(trunk)}
        model = keras.Model({"a": a, "b": b}, outputs)
        set_weights(model, data["weights"])
        model.compile(
            keras.optimizers.SGD(lr, momentum=momentum),
            loss={"class": sparse(), "value": keras.losses.MeanSquaredError()},
            loss_weights=loss_weights,
            metrics={"class": ["accuracy"], "value": ["mean_absolute_error"]},
        )
        x, y = {n: data[n] for n in ("a", "b")}, {n: data[n] for n in ("class", "value")}
        history = model.fit(
            x, y, batch_size=BATCH, epochs=epochs, shuffle=False, validation_split=split, verbose=0
        ).history
        test = model.predict({"a": data["test_a"], "b": data["test_b"]}, verbose=0)
        return {
            "history": {name: np.array(values) for name, values in history.items()},
            "weights": get_weights(model),
            "predictions": test,
        }

    def with_numpy():
        def network(v, a, b):
            of_a, of_b = (dense(tape.Value(x), v, "shared", tape.relu) for x in (a, b))
            hidden = dense(tape.concatenate(of_a, of_b), v, "inner_1", tape.tanh)
            features = dense(hidden, v, "inner_2", tape.sigmoid)
            trunk = tape.concatenate(features, of_a + of_b)
            return dense(trunk, v, "class"), dense(trunk, v, "value")

        def loss_of(v, rows):
            logits, value = network(v, data["a"][rows], data["b"][rows])
            classes, wanted = data["class"][rows], data["value"][rows]
            one, two = tape.cross_entropy(logits, classes), tape.squared_error(value, wanted)
            loss = tape.scaled(one, loss_weights["class"]) + tape.scaled(two, loss_weights["value"])
            figures = {
                "loss": loss.data,
                "class_loss": one.data,
                "value_loss": two.data,
                "class_accuracy": (logits.data.argmax(axis=1) == classes).mean(),
                "value_mean_absolute_error": np.abs(value.data - wanted).mean(),
            }
            return loss, figures

        sgd, kept, all_rows = Sgd(data["weights"], lr, momentum), math.floor(40 * (1 - split)), np.arange(40)
        table = []
        for _ in range(epochs):
            train, validation = Means(), Means()
            for rows in batches(kept):
                _, figures = sgd.step(lambda v: loss_of(v, rows))
                train.add(len(rows), **figures)
            v = {name: tape.Value(w) for name, w in sgd.weights.items()}
            for rows in [all_rows[kept:][r] for r in batches(40 - kept)]:
                validation.add(len(rows), **loss_of(v, rows)[1])
            table.append({**train.result(), **validation.result("val_")})
        v = {name: tape.Value(w) for name, w in sgd.weights.items()}
        logits, value = network(v, data["test_a"], data["test_b"])
        return {
            "history": history_of(table),
            "weights": sgd.weights,
            "predictions": {"class": logits.data, "value": value.data},
        }

    about = (
        "Inputs `a` and `b`; `shared` = Dense(7, relu), applied to both; `inner`, a model of Dense(8, tanh) "
        "`inner_1` and Dense(6, sigmoid) `inner_2`, applied to the two concatenated; its output concatenated with "
        "their sum; outputs Dense(4) `class` (sparse softmax cross-entropy from logits, accuracy) and Dense(2) "
        "`value` (mean squared error, mean absolute error), losses weighted. SGD with momentum, batches of 8 in "
        "order, the last quarter of the rows held back. `history` as `fit` reports it: means over an epoch's "
        "batches weighted by their rows, each batch before its update; the outputs' losses without their weights."
    )
    settings = {
        "lr": lr,
        "momentum": momentum,
        "epochs": epochs,
        "batch_size": BATCH,
        "validation_split": split,
        "loss_weights": loss_weights,
    }
    return Reference(about, data, [Case("trained", settings, with_keras, with_numpy)])


def weighted(data=None) -> Reference:
    """`weighted.json`: class weights and sample weights."""
    if data is None:
        normal, rng = draw(15), np.random.default_rng(16)
        data = {"x": normal(38, 6), "classes": rng.integers(0, 3, 38)}
        data["sample_weights"] = np.round(rng.uniform(0.0, 2.0, 38), 3)
        data["weights"] = draw_dense(normal, {"hidden": (6, 5), "output": (5, 3)})
    lr, class_weights = 0.2, [0.5, 2.0, 1.25]

    def with_keras(kind, epochs, split):
        import keras

        model = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(5, "relu", name="hidden"),
                keras.layers.Dense(3, name="output"),
            ]
        )
        set_weights(model, data["weights"])
        model.compile(keras.optimizers.SGD(lr), sparse(), metrics=["accuracy"])
        by = (
            {"class_weight": dict(enumerate(class_weights))}
            if kind == "class"
            else {"sample_weight": data["sample_weights"]}
        )
        history = model.fit(
            data["x"],
            data["classes"],
            batch_size=BATCH,
            epochs=epochs,
            shuffle=False,
            validation_split=split,
            verbose=0,
            **by,
        ).history
        return {"history": {n: np.array(v) for n, v in history.items()}, "weights": get_weights(model)}

    def with_numpy(kind, epochs, split):
        sgd, kept, all_rows = Sgd(data["weights"], lr), math.floor(38 * (1 - split)), np.arange(38)
        row_weights = np.array(data["sample_weights"])
        if kind == "class":
            row_weights = np.array(class_weights)[data["classes"]]
            row_weights[kept:] = 1.0

        def loss_of(v, rows):
            hidden = dense(tape.Value(data["x"][rows]), v, "hidden", tape.relu)
            logits = dense(hidden, v, "output")
            loss = tape.cross_entropy(logits, data["classes"][rows], row_weights[rows])
            return loss, {"loss": loss.data, "accuracy": (logits.data.argmax(axis=1) == data["classes"][rows]).mean()}

        table = []
        for _ in range(epochs):
            train, validation = Means(), Means()
            for rows in batches(kept):
                train.add(len(rows), **sgd.step(lambda v: loss_of(v, rows))[1])
            v = {name: tape.Value(w) for name, w in sgd.weights.items()}
            for rows in [all_rows[kept:][r] for r in batches(38 - kept)]:
                validation.add(len(rows), **loss_of(v, rows)[1])
            table.append({**train.result(), **(validation.result("val_") if split else {})})
        return {"history": history_of(table), "weights": sgd.weights}

    about = (
        "Dense(5, relu) `hidden`, Dense(3) `output`, sparse softmax cross-entropy from logits, SGD, batches of 8 "
        "in order. A batch's loss is the sum of weight times loss divided by its rows, an epoch's the mean over "
        "its batches weighted by their rows; the accuracy knows no weights. Rows that a validation split holds "
        "back keep their sample weights, but class weights are for training alone."
    )
    cases = [
        Case(
            name,
            {"lr": lr, "epochs": epochs, "batch_size": BATCH, "validation_split": split, "class_weights": classes},
            lambda k=kind, e=epochs, s=split: with_keras(k, e, s),
            lambda k=kind, e=epochs, s=split: with_numpy(k, e, s),
        )
        for name, kind, epochs, split, classes in [
            ("class weights", "class", 1, 0.0, class_weights),
            ("class weights, validation", "class", 2, 0.25, class_weights),
            ("sample weights", "sample", 1, 0.0, None),
            ("sample weights, validation", "sample", 2, 0.25, None),
        ]
    ]
    return Reference(about, data, cases)
