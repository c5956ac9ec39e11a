"""Learning-rate schedules: their values, and SGD along them."""

import math

import numpy as np

from .case import Case, Reference, draw

ITERATIONS = 21

SETTINGS = {
    "inverse time": dict(kind="inverse_time", lr=0.1, decay=0.3, steps=4, staircase=False),
    "inverse time, staircase": dict(kind="inverse_time", lr=0.1, decay=0.3, steps=4, staircase=True),
    "inverse time, every iteration": dict(kind="inverse_time", lr=0.1, decay=0.05, steps=1, staircase=False),
    "exponential": dict(kind="exponential", lr=0.1, rate=0.7, steps=4, staircase=False),
    "exponential, staircase": dict(kind="exponential", lr=0.1, rate=0.7, steps=4, staircase=True),
    "step": dict(kind="step", lr=0.2, factor=0.5, every=5),
    "piecewise constant": dict(kind="piecewise", boundaries=[3, 9, 15], values=[0.1, 0.03, 0.05, 0.007]),
    "cosine": dict(kind="cosine", lr=0.1, steps=15, alpha=0.0),
    "cosine, alpha": dict(kind="cosine", lr=0.1, steps=15, alpha=0.05),
    "cosine, warmup": dict(kind="cosine", lr=0.01, steps=12, alpha=0.1, warmup_target=0.1, warmup_steps=5),
}


def given():
    """A vector and a gradient for each iteration."""
    normal = draw(2)
    return {"vector": normal(4), "gradients": normal(ITERATIONS, 4)}


def with_keras(s, data):
    """The learning rates, and the vector after all updates."""
    import keras

    of = keras.optimizers.schedules
    schedule = {
        "inverse_time": lambda: of.InverseTimeDecay(s["lr"], s["steps"], s["decay"], s["staircase"]),
        "exponential": lambda: of.ExponentialDecay(s["lr"], s["steps"], s["rate"], s["staircase"]),
        "step": lambda: of.ExponentialDecay(s["lr"], s["every"], s["factor"], staircase=True),
        "piecewise": lambda: of.PiecewiseConstantDecay(s["boundaries"], s["values"]),
        "cosine": lambda: of.CosineDecay(
            s["lr"],
            s["steps"],
            alpha=s["alpha"],
            warmup_target=s.get("warmup_target"),
            warmup_steps=s.get("warmup_steps", 0),
        ),
    }[s["kind"]]()
    optimizer, vector = keras.optimizers.SGD(schedule), keras.Variable(data["vector"])
    rates = [float(schedule(t)) for t in range(ITERATIONS)]
    for g in data["gradients"]:
        optimizer.apply([g], [vector])
    return {"rates": np.array(rates), "vector": np.array(vector.value)}


def rate(s, t):
    """The learning rate of iteration t, counted from 0."""
    if s["kind"] == "inverse_time":
        p = t // s["steps"] if s["staircase"] else t / s["steps"]
        return s["lr"] / (1 + s["decay"] * p)
    if s["kind"] == "exponential":
        return s["lr"] * s["rate"] ** (t // s["steps"] if s["staircase"] else t / s["steps"])
    if s["kind"] == "step":
        return s["lr"] * s["factor"] ** (t // s["every"])
    if s["kind"] == "piecewise":
        return s["values"][sum(t > b for b in s["boundaries"])]
    top, warm = s.get("warmup_target", s["lr"]), s.get("warmup_steps", 0)
    if t < warm:
        return s["lr"] + (top - s["lr"]) * t / warm
    p = min(t - warm, s["steps"]) / s["steps"]
    return top * ((1 - s["alpha"]) * 0.5 * (1 + math.cos(math.pi * p)) + s["alpha"])


def with_numpy(s, data):
    """The same from the formulas."""
    rates = np.array([rate(s, t) for t in range(ITERATIONS)])
    return {"rates": rates, "vector": data["vector"] - rates @ data["gradients"]}


def reference(data=None) -> Reference:
    """`schedules.json`."""
    data = data or given()
    about = (
        "Learning rates of the iterations 0 to 20, and a vector after 21 SGD updates along them. A boundary of "
        "the piecewise constant schedule is the last iteration of the piece before it; `step` is lr "
        "factor^floor(t/every); `cosine` with a warm-up rises in a line from lr to warmup_target over "
        "warmup_steps and decays from there."
    )
    cases = [
        Case(
            name,
            settings,
            lambda s=settings: with_keras(s, data),
            lambda s=settings: with_numpy(s, data),
        )
        for name, settings in SETTINGS.items()
    ]
    return Reference(about, data, cases)
