#!/usr/bin/env python3
"""Makes and verifies the golden trajectories beside this file.

    python3 -m venv venv && venv/bin/pip install numpy safetensors keras tensorflow-cpu
    venv/bin/python tests/golden/make.py verify l2-relu       # recompute in NumPy, compare with expected.json
    venv/bin/python tests/golden/make.py keras l2-relu        # train with Keras, compare with expected.json
    venv/bin/python tests/golden/make.py write my-case        # train with Keras, write expected.json if NumPy agrees

A case is a folder: `case.json` (how to train), `init.safetensors` (the weights at the start; drawn from
N(0, std) in float32, biases 0, if the file is not there) and `expected.json` (what comes of it).

How the figures are defined:
- `Dense(units, activation)` for each of `hidden`, then `Dense(10)`; sparse softmax cross-entropy from logits;
  `kernel_regularizer=L1L2(l1, l2)` on every layer; the penalty is part of every reported loss.
- The first `train_rows` training images, pixels / 255 in float64, in their order (`shuffle=False`); the last
  `validation_split` of them held back. After each epoch the 10,000 test images are evaluated.
- `history` as `fit` reports it: means over an epoch's batches weighted by their rows, each batch before its update.
- SGD: v <- mu v - lr g, w <- w + v (nesterov: w <- w + mu v - lr g). RMSprop: v <- rho v + (1 - rho) g^2,
  w <- w - lr g / sqrt(v + 1e-7). `decay`: lr / (1 + decay * iterations).

Keras 3 is not float64 throughout on any of its backends: TensorFlow rounds the constants of regularisers and of
learning-rate schedules to float32, JAX's float64 tanh is good to 1e-8, torch rounds more. So cases with tanh come from
TensorFlow (`KERAS_BACKEND=tensorflow`) and cases with a regulariser from JAX (`KERAS_BACKEND=jax`, which needs
`pip install jax`); a case with both, or with a decay, has to come from `numpy`. Never trust one source to more than
1e-7: `write` refuses to write what NumPy does not confirm to 1e-12.

What was run with this script (Keras 3.15.1, TensorFlow 2.21, JAX 0.10.2, NumPy 2.4.6, x86-64), and how far the largest
figure was from the `expected.json` that stands here:

    case                  verify (NumPy)   keras
    l2-relu               4.7e-16          9.0e-16 (JAX)
    mini-batch            3.4e-15          1.6e-16 (TensorFlow)
    notebook-full-batch   1.5e-14          3.4e-16 (TensorFlow)
    rmsprop-validation    9.0e-16          0       (TensorFlow)

`write` was run for l2-relu from `case.json` alone: the weights it drew are those of `init.safetensors`, byte by byte.
"""

import argparse
import gzip
import json
import os
import struct
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
EPSILON = 1e-7


def read_idx(path: Path) -> np.ndarray:
    """An unsigned-byte IDX file, gzip or plain, as an array."""
    raw = path.read_bytes()
    data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    rank = data[3]
    assert data[:3] == b"\0\0\x08", f"{path}: not an IDX file of unsigned bytes"
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def mnist(directory: Path):
    """(x, y, x_test, y_test): rows of 784 float64 in [0, 1], and classes."""

    def read(stem):
        for name in (f"{stem}-ubyte.gz", f"{stem}-ubyte"):
            if (directory / name).exists():
                return read_idx(directory / name)
        sys.exit(f"{directory}: no {stem}-ubyte(.gz); `nn data fetch` gets the four files, --data says where they are")

    images = [read(f"{part}-images-idx3").reshape(-1, 784) / 255.0 for part in ("train", "t10k")]
    labels = [read(f"{part}-labels-idx1").astype(np.int64) for part in ("train", "t10k")]
    return images[0], labels[0], images[1], labels[1]


def initial_weights(folder: Path, case: dict) -> dict[str, np.ndarray]:
    """The weights at the start, in float64; drawn and saved if there are none."""
    from safetensors.numpy import load_file, save_file

    path = folder / "init.safetensors"
    if not path.exists():
        rng = np.random.default_rng(case["seed"])
        sizes = [784, *case["hidden"], 10]
        drawn = {}
        for i, (m, n) in enumerate(zip(sizes, sizes[1:])):
            layer = "dense" if i == 0 else f"dense_{i}"
            drawn[f"{layer}/kernel"] = rng.normal(0, case["std"], (m, n)).astype(np.float32)
            drawn[f"{layer}/bias"] = np.zeros(n, np.float32)
        save_file(drawn, path)
    return {name: w.astype(np.float64) for name, w in load_file(path).items()}


def layers(weights: dict[str, np.ndarray]) -> list[str]:
    """The layers' names from the first to the last."""
    names = {name.split("/")[0] for name in weights}
    return sorted(names, key=lambda n: int(n.split("_")[1]) if "_" in n else 0)


class Numpy:
    """The network in NumPy, written from the formulas alone."""

    def __init__(self, case, weights):
        self.case, self.names = case, layers(weights)
        self.w = {name: w.copy() for name, w in weights.items()}
        self.slot = {name: np.zeros_like(w) for name, w in weights.items()}
        self.iterations = 0

    def forward(self, x):
        values = [x]
        for name in self.names:
            z = values[-1] @ self.w[f"{name}/kernel"] + self.w[f"{name}/bias"]
            if name != self.names[-1]:
                z = np.tanh(z) if self.case["activation"] == "tanh" else np.maximum(z, 0.0)
            values.append(z)
        return values

    def penalty(self):
        kernels = [self.w[f"{name}/kernel"] for name in self.names]
        return sum(self.case["l1"] * np.abs(k).sum() + self.case["l2"] * (k * k).sum() for k in kernels)

    def losses(self, logits, y):
        shifted = logits - logits.max(axis=1, keepdims=True)
        total = np.exp(shifted).sum(axis=1)
        return np.log(total) - shifted[np.arange(len(y)), y], np.exp(shifted) / total[:, None]

    def measure(self, x, y):
        logits = self.forward(x)[-1]
        return self.losses(logits, y)[0].mean() + self.penalty(), (logits.argmax(axis=1) == y).mean()

    def step(self, x, y):
        case, values = self.case, self.forward(x)
        losses, p = self.losses(values[-1], y)
        stats = losses.mean() + self.penalty(), (values[-1].argmax(axis=1) == y).mean()
        delta = p
        delta[np.arange(len(y)), y] -= 1.0
        delta /= len(y)
        gradients = {}
        for i in range(len(self.names) - 1, -1, -1):
            kernel = self.w[f"{self.names[i]}/kernel"]
            term = case["l1"] * np.sign(kernel) + 2.0 * case["l2"] * kernel
            gradients[f"{self.names[i]}/kernel"] = values[i].T @ delta + term
            gradients[f"{self.names[i]}/bias"] = delta.sum(axis=0)
            if i > 0:
                y_i = values[i]
                slope = 1.0 - y_i * y_i if case["activation"] == "tanh" else (y_i > 0).astype(y_i.dtype)
                delta = (delta @ kernel.T) * slope
        lr = case["lr"] / (1.0 + case["decay"] * self.iterations)
        self.iterations += 1
        for name, g in gradients.items():
            w, v = self.w[name], self.slot[name]
            if case["optimizer"] == "rmsprop":
                v *= case["rho"]
                v += (1.0 - case["rho"]) * g * g
                w -= lr * g / np.sqrt(v + EPSILON)
            elif case["momentum"] == 0.0:
                w -= lr * g
            else:
                v *= case["momentum"]
                v -= lr * g
                w += case["momentum"] * v - lr * g if case["nesterov"] else v
        return stats

    def fit(self, x, y, x_val, y_val, x_test, y_test):
        history = {}
        for _ in range(self.case["epochs"]):
            total, rows = np.zeros(2), self.case["batch_size"]
            for first in range(0, len(x), rows):
                batch = slice(first, first + rows)
                total += np.array(self.step(x[batch], y[batch])) * len(y[batch])
            figures = {"": total / len(x), "test_": self.measure(x_test, y_test)}
            if len(x_val):
                figures["val_"] = self.measure(x_val, y_val)
            for prefix, (loss, accuracy) in figures.items():
                history.setdefault(f"{prefix}loss", []).append(float(loss))
                history.setdefault(f"{prefix}accuracy", []).append(float(accuracy))
        return history, self.forward(x_test)[-1].argmax(axis=1), self.w


class Keras:
    """The same through Keras' own `fit`."""

    def __init__(self, case, weights):
        os.environ.setdefault("KERAS_BACKEND", "jax" if case["l1"] or case["l2"] else "tensorflow")
        os.environ["JAX_ENABLE_X64"] = "1"
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import keras

        keras.config.set_floatx("float64")
        self.keras, self.case, self.weights = keras, case, weights

    def fit(self, x, y, x_val, y_val, x_test, y_test):
        keras, case = self.keras, self.case
        units = [*case["hidden"], 10]
        model = keras.Sequential([keras.Input((784,))])
        for i, n in enumerate(units):
            regularizer = keras.regularizers.L1L2(case["l1"], case["l2"]) if case["l1"] or case["l2"] else None
            activation = case["activation"] if i + 1 < len(units) else None
            model.add(keras.layers.Dense(n, activation, kernel_regularizer=regularizer))
        for name, layer in zip(layers(self.weights), model.layers):
            layer.set_weights([self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]])
        lr = case["lr"]
        if case["decay"]:
            lr = keras.optimizers.schedules.InverseTimeDecay(lr, 1, case["decay"])
        optimizer = (
            keras.optimizers.RMSprop(lr, rho=case["rho"])
            if case["optimizer"] == "rmsprop"
            else keras.optimizers.SGD(lr, momentum=case["momentum"], nesterov=case["nesterov"])
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
        history = {}

        class AfterEpoch(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                test = model.evaluate(x_test, y_test, batch_size=1000, verbose=0, return_dict=True)
                figures = {**logs, **{f"test_{name}": value for name, value in test.items()}}
                for name, value in figures.items():
                    history.setdefault(name, []).append(float(value))

        model.fit(
            x, y, batch_size=case["batch_size"], epochs=case["epochs"], shuffle=False, verbose=0,
            validation_data=(x_val, y_val) if len(x_val) else None, callbacks=[AfterEpoch()],
        )  # fmt: skip
        predicted = model.predict(x_test, batch_size=1000, verbose=0).argmax(axis=1)
        named = {}
        for name, layer in zip(layers(self.weights), model.layers):
            named[f"{name}/kernel"], named[f"{name}/bias"] = layer.get_weights()
        return history, predicted, named


def figures(kind, case, weights, data):
    """What `expected.json` holds, computed by one of the two."""
    x, y, x_test, y_test = data
    x, y = x[: case["train_rows"]], y[: case["train_rows"]]
    kept = len(x) - round(len(x) * case["validation_split"])
    history, predicted, final = kind(case, weights).fit(x[:kept], y[:kept], x[kept:], y[kept:], x_test, y_test)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (y_test, predicted), 1)
    return {
        "history": history,
        "test_confusion_rows_true": confusion.tolist(),
        "final_weights": {
            name: {"l2": float(np.sqrt((w * w).sum())), "sum": float(w.sum())} for name, w in final.items()
        },
    }


def difference(a, b) -> float:
    """The largest relative difference of two such tables; sums, which cancel, relative to their norms."""
    assert a["history"].keys() == b["history"].keys(), (a["history"].keys(), b["history"].keys())
    worst = 0.0
    for name in a["history"]:
        p, q = np.array(a["history"][name]), np.array(b["history"][name])
        worst = max(worst, float(np.abs(p - q).max() / np.abs(q).min()))
    for name, p in a["final_weights"].items():
        q = b["final_weights"][name]
        worst = max(worst, abs(p["l2"] - q["l2"]) / q["l2"], abs(p["sum"] - q["sum"]) / q["l2"])
    return worst if a["test_confusion_rows_true"] == b["test_confusion_rows_true"] else float("inf")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["verify", "keras", "write"])
    parser.add_argument("cases", nargs="+", help="folders beside this file")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where MNIST's four files are")
    arguments = parser.parse_args()
    data = mnist(arguments.data)
    failed = False
    for name in arguments.cases:
        folder = HERE / name
        case = json.loads((folder / "case.json").read_text())
        weights = initial_weights(folder, case)
        found = figures(Numpy if arguments.what == "verify" else Keras, case, weights, data)
        if arguments.what == "write":
            off, allowed = difference(found, figures(Numpy, case, weights, data)), 1e-12
            if off <= allowed:
                (folder / "expected.json").write_text(json.dumps(found, indent=1) + "\n")
        else:
            off, allowed = difference(found, json.loads((folder / "expected.json").read_text())), 1e-11
        failed |= not off <= allowed
        print(f"{name}: {'met' if off <= allowed else 'NOT MET'}, largest difference {off:.1e}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
