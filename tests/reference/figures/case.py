"""What a file of figures is made of, and how two sources of them are compared."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

# Two computations of the same formula in float64, some thousands of roundings apart at most.
SAME = 1e-12


@dataclass
class Case:
    """One table of figures, by two sources that share nothing but what they are given."""

    name: str
    settings: dict
    keras: Callable[[], dict]
    numpy: Callable[[], dict]


@dataclass
class Reference:
    """One file: what every case of it is given, and the cases."""

    about: str
    given: dict
    cases: list[Case] = field(default_factory=list)


def plain(value):
    """Arrays, and numbers of NumPy's types, as what JSON has."""
    if isinstance(value, dict):
        return {str(name): plain(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value


def difference(a, b) -> float:
    """The largest difference of two tables; that of an array's elements is relative to the largest of them."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), f"{sorted(a)} and {sorted(b)}"
        return max((difference(a[name], b[name]) for name in a), default=0.0)
    p, q = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert p.shape == q.shape, f"shapes {p.shape} and {q.shape}"
    scale = np.abs(q).max()
    return float(np.abs(p - q).max() / scale) if scale > 0 else float(np.abs(p).max())


def draw(seed: int):
    """A function that draws N(0, scale) in thousandths: short to write down, and exactly what was used."""
    rng = np.random.default_rng(seed)
    return lambda *shape, scale=1.0: np.round(rng.normal(0.0, scale, shape), 3)


def arrays(given: dict) -> dict:
    """What was read from JSON: lists as arrays again."""
    return {name: arrays(v) if isinstance(v, dict) else np.asarray(v) for name, v in given.items()}
