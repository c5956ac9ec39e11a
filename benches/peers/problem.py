"""What everybody is given: the images, the first weights, and how to learn."""

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PIXELS, HIDDEN, CLASSES = 784, 512, 10
# The full-batch runs' learning rate is the exercise's, the mini-batches' is Keras' own for SGD.
FULL_BATCH_LR, MINI_BATCH_LR = 0.5, 0.01
# Steps of a full-batch run whose losses are compared: nn warms up for two, and its measurement is the third.
CHECKED_STEPS = 3
# The SHA-256 of the unpacked files of MNIST.
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@dataclass
class Problem:
    """Images as rows of float32 from 0 to 1, classes as int32, and the weights that every run begins with."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    weights: list[np.ndarray]

    def first_weights(self, dtype=np.float32) -> list[np.ndarray]:
        """W1 [784, 512], b1 [512], W2 [512, 10], b2 [10]: copies that may be written to."""
        return [w.astype(dtype) for w in self.weights]


def read(directory: Path, name: str) -> np.ndarray:
    """The bytes of one IDX file after its header."""
    plain, packed = directory / name, directory / f"{name}.gz"
    data = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    if hashlib.sha256(data).hexdigest() != FILES[name]:
        raise SystemExit(f"{directory / name} is not MNIST's file: its SHA-256 is not {FILES[name]}")
    return np.frombuffer(data, np.uint8, offset=16 if "idx3" in name else 8)


def write(data: Path, out: Path, rows: int) -> None:
    """Leaves in `out` what `load` reads, and the first weights as `nn --init` reads them."""
    x, y, x_test, y_test = (read(data, name) for name in FILES)
    rng = np.random.default_rng(0)

    def glorot(inputs: int, outputs: int) -> np.ndarray:
        limit = (6 / (inputs + outputs)) ** 0.5
        return rng.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)

    zeros = [np.zeros(n, np.float32) for n in (HIDDEN, CLASSES)]
    w = [glorot(PIXELS, HIDDEN), zeros[0], glorot(HIDDEN, CLASSES), zeros[1]]
    images = {"x": x.reshape(-1, PIXELS)[:rows], "y": y[:rows], "x_test": x_test.reshape(-1, PIXELS), "y_test": y_test}
    np.savez(out / "problem.npz", **images, w0=w[0], w1=w[1], w2=w[2], w3=w[3])
    names = ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]
    (out / "first.safetensors").write_bytes(safetensors(dict(zip(names, w))))


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """float32 arrays in the format of that name: length and text of a JSON header, then the numbers."""
    header, end = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [end, end + tensor.nbytes]}
        end += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(t.astype("<f4").tobytes() for t in tensors.values())


def load(directory: Path) -> Problem:
    """What `write` left."""
    with np.load(directory / "problem.npz") as file:

        def scaled(name: str) -> np.ndarray:
            return file[name].astype(np.float32) / np.float32(255)

        classes = [file[name].astype(np.int32) for name in ("y", "y_test")]
        weights = [file[f"w{i}"] for i in range(4)]
        return Problem(scaled("x"), classes[0], scaled("x_test"), classes[1], weights)
