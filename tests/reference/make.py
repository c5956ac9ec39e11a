#!/usr/bin/env python3
"""Makes and verifies the reference figures beside this file: `optimizers.json`, `schedules.json`, `losses.json`, …

    python3 -m venv venv && venv/bin/pip install numpy keras jax
    venv/bin/python tests/reference/make.py verify            # recompute in NumPy alone, compare with what stands here
    venv/bin/python tests/reference/make.py write             # make with Keras, write what NumPy confirms
    venv/bin/python tests/reference/make.py write losses      # one file

Each file holds what its cases are given (`given`, drawn in thousandths, so that what is written is exactly what was
used) and, for each case, how it is set up (`settings`) and what comes of it (`expected`).

Every figure is computed twice: by Keras 3 in float64 on JAX, through its own optimizers, losses, metrics, layers and
`fit`; and in NumPy from the formulas alone, derivatives included (`figures/tape.py`). `write` writes Keras' figures
and refuses to write what NumPy does not confirm to 1e-12; `agreement` says for each case how far NumPy's are: the
largest difference within an array, relative to its largest element.

As it comes, Keras is not float64 throughout, whatever `set_floatx` says: outside TensorFlow its type promotion turns
float64 into float32 (a table, `BIT64_TO_BIT32_DTYPE`), and tanh, cos, means and batch normalization go through it.
They came out up to 6e-8 off. `keras_in_float64` makes float64 stay float64 in that table; with this one entry changed
every figure agrees to some units of float64's last place.

Dropout has no figures here, because its masks are the engine's own. It is held to its statistics: the share of zeros
is the rate, what is left is scaled by 1/(1 - rate), so that the mean is kept; every step has another mask; a
prediction has none.
"""

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

from figures import fits, losses, metrics, networks, optimizers, schedules
from figures.case import SAME, arrays, difference, plain

HERE = Path(__file__).resolve().parent
FILES = {
    "optimizers": optimizers.reference,
    "schedules": schedules.reference,
    "losses": losses.reference,
    "metrics": metrics.reference,
    "regularizers": networks.regularizers,
    "batch_normalization": networks.batch_normalization,
    "functional": fits.functional,
    "unrolled": networks.unrolled,
    "weighted": fits.weighted,
}
# What `verify` allows NumPy on another machine, or of another version, to differ by.
VERIFIED = 1e-11


def keras_in_float64() -> str:
    """Sets Keras up, and says what it is."""
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["JAX_ENABLE_X64"] = "1"
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import keras
    import numpy

    keras.config.set_floatx("float64")
    promotion = importlib.import_module("keras.src.backend.common.dtypes")
    promotion.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    assert keras.ops.cos(keras.ops.convert_to_tensor(0.5)).dtype == "float64"
    return f"Keras {keras.__version__} on JAX {jax.__version__} in float64, NumPy {numpy.__version__}"


def write(name: str, made_with: str) -> bool:
    """Makes one file; says whether it was written."""
    reference, cases, confirmed = FILES[name](), [], True
    for case in reference.cases:
        keras, numpy = plain(case.keras()), plain(case.numpy())
        off = difference(keras, numpy)
        confirmed &= off <= SAME
        print(f"{name}, {case.name}: {'confirmed' if off <= SAME else 'NOT CONFIRMED'}, difference {off:.1e}")
        agreement = float(f"{off:.1e}")
        cases.append({"name": case.name, "settings": case.settings, "agreement": agreement, "expected": keras})
    if confirmed:
        table = {"about": reference.about, "made_with": made_with, "given": plain(reference.given), "cases": cases}
        (HERE / f"{name}.json").write_text(pretty(table) + "\n")
    return confirmed


def pretty(table: dict) -> str:
    """JSON with one row of numbers to a line."""

    def text(value, indent):
        if isinstance(value, dict):
            inner = [f"{indent} {json.dumps(k, ensure_ascii=False)}: {text(v, indent + ' ')}" for k, v in value.items()]
            return "{\n" + ",\n".join(inner) + f"\n{indent}}}" if inner else "{}"
        if isinstance(value, list) and any(isinstance(v, (list, dict)) for v in value):
            return "[\n" + ",\n".join(f"{indent} {text(v, indent + ' ')}" for v in value) + f"\n{indent}]"
        return json.dumps(value, ensure_ascii=False)

    return text(table, "")


def verify(name: str) -> bool:
    """Recomputes one file from what it says it was given; says whether it is met."""
    table = json.loads((HERE / f"{name}.json").read_text())
    cases = {case.name: case for case in FILES[name](arrays(table["given"])).cases}
    assert cases.keys() == {case["name"] for case in table["cases"]}, f"{name}: the cases have changed; write it anew"
    met = True
    for found in table["cases"]:
        case = cases[found["name"]]
        assert plain(case.settings) == found["settings"], f"{name}, {case.name}: the settings have changed"
        off = difference(plain(case.numpy()), found["expected"])
        met &= off <= VERIFIED
        print(f"{name}, {case.name}: {'met' if off <= VERIFIED else 'NOT MET'}, difference {off:.1e}")
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["verify", "write"])
    parser.add_argument("files", nargs="*", default=[], help=f"of {', '.join(FILES)}; all if none is named")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.files if name not in FILES]
    if unknown:
        parser.error(f"no file {unknown[0]}: there are {', '.join(FILES)}")
    names = arguments.files or list(FILES)
    if arguments.what == "write":
        made_with = keras_in_float64()
        done = [write(name, made_with) for name in names]
    else:
        done = [verify(name) for name in names]
    sys.exit(not all(done))


if __name__ == "__main__":
    main()
