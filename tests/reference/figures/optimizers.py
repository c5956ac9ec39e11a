"""Optimizers and gradient clipping: prescribed gradients on a matrix and a vector."""

import numpy as np

from .case import Case, Reference, draw

STEPS = 12
SHOWN = [1, 2, 5, 12]

SETTINGS = {
    "sgd": dict(kind="sgd", lr=0.1),
    "sgd, momentum": dict(kind="sgd", lr=0.05, momentum=0.9),
    "sgd, nesterov": dict(kind="sgd", lr=0.05, momentum=0.9, nesterov=True),
    "rmsprop": dict(kind="rmsprop", lr=0.01),
    "rmsprop, rho": dict(kind="rmsprop", lr=0.02, rho=0.7),
    "rmsprop, momentum": dict(kind="rmsprop", lr=0.01, momentum=0.8),
    "rmsprop, centered": dict(kind="rmsprop", lr=0.01, centered=True),
    "rmsprop, momentum, centered": dict(kind="rmsprop", lr=0.01, rho=0.8, momentum=0.5, centered=True, epsilon=1e-5),
    "adam": dict(kind="adam", lr=0.01),
    "adam, betas": dict(kind="adam", lr=0.02, beta_1=0.8, beta_2=0.95, epsilon=1e-4),
    "adamw": dict(kind="adamw", lr=0.01),
    "adamw, decay": dict(kind="adamw", lr=0.02, weight_decay=0.1),
    "adagrad": dict(kind="adagrad", lr=0.05),
    "adagrad, accumulator": dict(kind="adagrad", lr=0.05, initial_accumulator_value=0.5, epsilon=1e-3),
    "sgd, clipnorm": dict(kind="sgd", lr=0.1, clipnorm=2.0),
    "sgd, global_clipnorm": dict(kind="sgd", lr=0.1, global_clipnorm=2.5),
    "sgd, clipvalue": dict(kind="sgd", lr=0.1, clipvalue=0.5),
    "sgd, momentum, clipnorm": dict(kind="sgd", lr=0.1, momentum=0.9, clipnorm=2.0),
    "adam, global_clipnorm": dict(kind="adam", lr=0.01, global_clipnorm=2.5),
    "adamw, clipvalue": dict(kind="adamw", lr=0.01, weight_decay=0.1, clipvalue=0.5),
}  # fmt: skip

# What Keras takes where nothing is said; written to the file, so that nobody has to know.
DEFAULTS = {
    "sgd": dict(momentum=0.0, nesterov=False),
    "rmsprop": dict(rho=0.9, momentum=0.0, epsilon=1e-7, centered=False),
    "adam": dict(beta_1=0.9, beta_2=0.999, epsilon=1e-7),
    "adamw": dict(beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.004),
    "adagrad": dict(initial_accumulator_value=0.1, epsilon=1e-7),
}


def given():
    """Gradients whose norms go up and down over the steps, with some zeros, as a dead unit has."""
    normal = draw(1)
    size = 0.25 + np.abs(np.sin(1.3 * np.arange(STEPS)))
    matrix = np.round(normal(STEPS, 3, 4) * size[:, None, None], 3)
    vector = np.round(normal(STEPS, 4) * size[::-1, None], 3)
    matrix[:, 0, 0] = 0.0
    vector[3:6, 1] = 0.0
    norms = [np.sqrt((g.reshape(STEPS, -1) ** 2).sum(axis=1)) for g in (matrix, vector)]
    for bound, found in [(2.0, norms[0]), (2.0, norms[1]), (2.5, np.hypot(*norms)), (0.5, np.abs(matrix).ravel())]:
        assert found.min() < bound < found.max(), "every bound clips some gradients and leaves others"
    return {
        "matrix": normal(3, 4),
        "vector": normal(4),
        "matrix_gradients": matrix,
        "vector_gradients": vector,
        "shown": np.array(SHOWN),
    }


def with_keras(settings, data):
    """The variables after the shown steps."""
    import keras

    kinds = {
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "adagrad": keras.optimizers.Adagrad,
    }
    options = {name: value for name, value in settings.items() if name not in ("kind", "lr")}
    optimizer = kinds[settings["kind"]](settings["lr"], **options)
    variables = [keras.Variable(data["matrix"]), keras.Variable(data["vector"])]
    shown = {"matrix": [], "vector": []}
    for t in range(STEPS):
        optimizer.apply([data["matrix_gradients"][t], data["vector_gradients"][t]], variables)
        if t + 1 in SHOWN:
            for name, variable in zip(shown, variables):
                shown[name].append(np.array(variable.value))
    return {name: np.array(values) for name, values in shown.items()}


def clipped(gradients, settings):
    """Each by its own norm, all by the norm of all, or each element."""

    def norm(arrays):
        return np.sqrt(sum((g * g).sum() for g in arrays))

    if "clipnorm" in settings:
        bound = settings["clipnorm"]
        return [g * (bound / norm([g])) if norm([g]) > bound else g for g in gradients]
    if "global_clipnorm" in settings:
        bound, total = settings["global_clipnorm"], norm(gradients)
        return [g * (bound / total) if total > bound else g for g in gradients]
    if "clipvalue" in settings:
        return [np.clip(g, -settings["clipvalue"], settings["clipvalue"]) for g in gradients]
    return gradients


def update(w, g, slots, settings, t):
    """w after the t-th step, counted from 1, along g; `slots` is what is remembered of w."""
    s, lr = settings, settings["lr"]
    if s["kind"] == "sgd":
        slots["v"] = s["momentum"] * slots.get("v", 0.0) - lr * g
        return w + (s["momentum"] * slots["v"] - lr * g if s["nesterov"] else slots["v"])
    if s["kind"] == "rmsprop":
        slots["v"] = s["rho"] * slots.get("v", 0.0) + (1 - s["rho"]) * g**2
        slots["mean"] = s["rho"] * slots.get("mean", 0.0) + (1 - s["rho"]) * g
        variance = slots["v"] - slots["mean"] ** 2 if s["centered"] else slots["v"]
        slots["m"] = s["momentum"] * slots.get("m", 0.0) + lr * g / np.sqrt(variance + s["epsilon"])
        return w - slots["m"]
    if s["kind"] == "adagrad":
        slots["a"] = slots.get("a", s["initial_accumulator_value"]) + g**2
        return w - lr * g / np.sqrt(slots["a"] + s["epsilon"])
    if s["kind"] == "adamw":
        w = w - lr * s["weight_decay"] * w
    slots["m"] = s["beta_1"] * slots.get("m", 0.0) + (1 - s["beta_1"]) * g
    slots["v"] = s["beta_2"] * slots.get("v", 0.0) + (1 - s["beta_2"]) * g**2
    rate = lr * np.sqrt(1 - s["beta_2"] ** t) / (1 - s["beta_1"] ** t)
    return w - rate * slots["m"] / (np.sqrt(slots["v"]) + s["epsilon"])


def with_numpy(settings, data):
    """The same from the formulas."""
    variables = {"matrix": data["matrix"], "vector": data["vector"]}
    slots = {name: {} for name in variables}
    shown = {name: [] for name in variables}
    for t in range(1, STEPS + 1):
        gradients = clipped([data[f"{name}_gradients"][t - 1] for name in variables], settings)
        for (name, w), g in zip(list(variables.items()), gradients):
            variables[name] = update(w, g, slots[name], settings, t)
            if t in SHOWN:
                shown[name].append(variables[name])
    return {name: np.array(values) for name, values in shown.items()}


def reference(data=None) -> Reference:
    """`optimizers.json`."""
    data = data or given()
    about = (
        "Twelve updates of a matrix and a vector along prescribed gradients; `expected` has the variables after "
        "the steps in `shown`, counted from 1. Clipping comes before anything else; AdamW's decay, w <- w - lr wd "
        "w, before the update and for every variable."
    )
    cases = []
    for name, said in SETTINGS.items():
        settings = {**DEFAULTS[said["kind"]], **said}
        cases.append(
            Case(
                name,
                settings,
                lambda s=settings: with_keras(s, data),
                lambda s=settings: with_numpy(s, data),
            )
        )
    return Reference(about, data, cases)
