"""Writes tests/callbacks/keras.json: series of figures, and what Keras' own callbacks do as they see them.

    pip install keras==3.15.1 jax
    KERAS_BACKEND=jax python scripts/make_callback_goldens.py

The callbacks are driven by hand, epoch by epoch, over a model that does nothing but remember what they do to it.
"""
import json
import math
import pathlib
import random

import keras
from keras.callbacks import EarlyStopping, ReduceLROnPlateau

OUT = pathlib.Path(__file__).parent.parent / "tests" / "callbacks" / "keras.json"


class Optimizer:
    def __init__(self):
        self.learning_rate = 1.0


class Model:
    """Its one weight is the number of epochs that it was trained for."""

    metrics = []

    def __init__(self):
        self.optimizer = Optimizer()
        self.weights = 0
        self.stop_training = False

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def drive(callback, monitor, series, first):
    model = Model()
    callback.set_model(model)
    callback.on_train_begin()
    rates, epochs = [], 0
    for i, value in enumerate(series):
        rates.append(model.optimizer.learning_rate)
        model.weights = epochs = i + 1
        callback.on_epoch_end(first + i, {monitor: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return epochs, model.weights, rates


def series(rng):
    """Mostly falling, with plateaus, ties, steps of exactly min_delta and, now and then, a NaN or an infinity.

    The first that is looked at is no NaN: to Keras nothing is better than that, to us any number is.
    """
    values, value = [], 8.0
    for _ in range(rng.randrange(1, 16)):
        value += rng.choice([-2.0, -1.0, -0.25, -0.25, 0.0, 0.0, 0.25, 0.5, 1.0])
        odd = math.nan if len(values) > 2 and rng.random() < 0.5 else math.inf
        values.append(odd if rng.random() < 0.08 else value)
    return values


def main():
    rng = random.Random(7)
    stopping, plateaus = [], []
    for _ in range(150):
        mode = rng.choice(["min", "max"])
        values = [v if mode == "min" else -v for v in series(rng)]
        first = rng.choice([0, 0, 0, 3])
        baseline = rng.choice([None, None, 5.0, 7.5])
        options = {
            "min_delta": rng.choice([0.0, 0.0, 0.25, 1.0]),
            "patience": rng.randrange(0, 5),
            "mode": mode,
            "baseline": baseline if mode == "min" or baseline is None else -baseline,
            "start_from_epoch": rng.choice([0, 0, 2]),
        }
        callback = EarlyStopping("figure", restore_best_weights=True, **options)
        epochs, restored, _ = drive(callback, "figure", values, first)
        stopping.append({"values": values, "first": first, **options, "epochs": epochs, "restored": restored})
    for _ in range(150):
        mode = rng.choice(["min", "max"])
        values = [v if mode == "min" else -v for v in series(rng)]
        # Factors and bounds are powers of two: Keras compares in float32.
        options = {
            "factor": rng.choice([0.5, 0.25]),
            "patience": rng.randrange(0, 4),
            "mode": mode,
            "min_delta": rng.choice([0.0, 0.25, 1.0]),
            "cooldown": rng.randrange(0, 3),
            "min_lr": rng.choice([0.0, 0.0625, 0.1875]),
        }
        _, _, rates = drive(ReduceLROnPlateau("figure", **options), "figure", values, 0)
        plateaus.append({"values": values, **options, "rates": rates})

    def plain(value):
        """JSON has no NaN and no infinity: as strings."""
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        if isinstance(value, list):
            return [plain(v) for v in value]
        return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value

    def lines(cases):
        return "[\n" + ",\n".join(json.dumps(plain(c)) for c in cases) + "\n]"

    OUT.write_text(
        f'{{"made_by": "Keras {keras.__version__}",\n"early_stopping": {lines(stopping)},\n'
        f'"reduce_on_plateau": {lines(plateaus)}}}\n'
    )
    stopped = sum(case["epochs"] < len(case["values"]) for case in stopping)
    reduced = sum(case["rates"][-1] < 1.0 for case in plateaus)
    print(f"{stopped} of {len(stopping)} stopped, {reduced} of {len(plateaus)} reduced")


main()
