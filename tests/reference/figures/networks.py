"""Small networks trained by Keras' `fit` and `train_on_batch`, and again in NumPy."""

import numpy as np

from . import tape
from .case import Case, Reference, draw


def dense(x, weights, name, activation=None):
    z = x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
    return activation(z) if activation else z


def draw_dense(normal, sizes: dict) -> dict:
    """{"name": (inputs, units)} → kernels and biases, none of them zero."""
    weights = {}
    for name, (inputs, units) in sizes.items():
        weights[f"{name}/kernel"] = normal(inputs, units, scale=0.5)
        weights[f"{name}/bias"] = normal(units, scale=0.2)
    return weights


class Sgd:
    """v ← μ v − lr g, w ← w + v, for weights by name."""

    def __init__(self, weights, lr, momentum=0.0):
        self.weights, self.lr, self.momentum = {n: np.array(w) for n, w in weights.items()}, lr, momentum
        self.slots = {name: 0.0 for name in weights}

    def step(self, loss_of):
        """One update; what `loss_of(variables)` returned: the loss to minimise and anything else."""
        variables = {name: tape.Value(w) for name, w in self.weights.items()}
        loss, *rest = loss_of(variables)
        for name, g in zip(variables, tape.gradients(loss, variables.values())):
            self.slots[name] = self.momentum * self.slots[name] - self.lr * g
            self.weights[name] = self.weights[name] + self.slots[name]
        return (float(loss.data), *rest)


def set_weights(model, weights):
    """Gives every layer of `model`, those of inner models too, the weights of its name."""
    for layer in flat(model):
        if layer.weights:
            layer.set_weights([weights[f"{layer.name}/{w.name}"] for w in layer.weights])


def get_weights(model) -> dict:
    return {f"{layer.name}/{w.name}": np.array(w.value) for layer in flat(model) for w in layer.weights}


def flat(model):
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        yield from flat(layer) if hasattr(layer, "layers") else [layer]


def losses_of_steps(model, batches) -> np.ndarray:
    """`train_on_batch`, each loss by itself."""
    losses = []
    for x, y in batches:
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y)))
    return np.array(losses)


def sparse(from_logits=True):
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)


# Regularisers: Dense(5, relu), Dense(3); five full-batch steps.

REGULARIZERS = {
    "l1": {"hidden/kernel": [0.02, 0.0], "output/kernel": [0.01, 0.0]},
    "l2": {"hidden/kernel": [0.0, 0.03], "output/kernel": [0.0, 0.03]},
    "l1 and l2": {"hidden/kernel": [0.01, 0.02], "output/kernel": [0.02, 0.005]},
    "biases too": {
        "hidden/kernel": [0.01, 0.0],
        "hidden/bias": [0.0, 0.05],
        "output/kernel": [0.0, 0.02],
        "output/bias": [0.03, 0.04],
    },
}


def regularizers(data=None) -> Reference:
    """`regularizers.json`."""
    if data is None:
        normal, rng = draw(7), np.random.default_rng(8)
        data = {"x": normal(24, 6), "classes": rng.integers(0, 3, 24)}
        data["weights"] = draw_dense(normal, {"hidden": (6, 5), "output": (5, 3)})
    lr, steps = 0.3, 5

    def with_keras(terms):
        import keras

        def term(name):
            return keras.regularizers.L1L2(*terms[name]) if name in terms else None

        model = keras.Sequential([keras.Input((6,))])
        for name, units, activation in [("hidden", 5, "relu"), ("output", 3, None)]:
            model.add(
                keras.layers.Dense(
                    units,
                    activation,
                    name=name,
                    kernel_regularizer=term(f"{name}/kernel"),
                    bias_regularizer=term(f"{name}/bias"),
                )
            )
        set_weights(model, data["weights"])
        model.compile(keras.optimizers.SGD(lr), sparse())
        losses = losses_of_steps(model, [(data["x"], data["classes"])] * steps)
        return {"losses": losses, "weights": get_weights(model)}

    def with_numpy(terms):
        def loss_of(v):
            hidden = dense(tape.Value(data["x"]), v, "hidden", tape.relu)
            loss = tape.cross_entropy(dense(hidden, v, "output"), data["classes"])
            for name, (l1, l2) in terms.items():
                loss += tape.scaled(tape.total(tape.absolute(v[name])), l1)
                loss += tape.scaled(tape.total(tape.power(v[name], 2)), l2)
            return (loss,)

        sgd = Sgd(data["weights"], lr)
        losses = np.array([sgd.step(loss_of)[0] for _ in range(steps)])
        return {"losses": losses, "weights": sgd.weights}

    about = (
        "Dense(5, relu) `hidden`, Dense(3) `output`, sparse softmax cross-entropy from logits, all 24 rows in "
        "each of five SGD steps. `terms`: l1, l2 of each regularised tensor, l1 sum |w| + l2 sum w^2, part of the "
        "loss. `losses`: before each step."
    )
    cases = [
        Case(
            name,
            {"lr": lr, "steps": steps, "terms": terms},
            lambda t=terms: with_keras(t),
            lambda t=terms: with_numpy(t),
        )
        for name, terms in REGULARIZERS.items()
    ]
    return Reference(about, data, cases)


def batch_normalization(data=None) -> Reference:
    """`batch_normalization.json`: Dense, BatchNormalization, relu, Dense, over small batches and over large ones."""
    if data is None:
        normal, rng = draw(9), np.random.default_rng(10)
        data = {"x": normal(640, 6), "classes": rng.integers(0, 3, 640), "test_x": normal(6, 6)}
        data["test_classes"] = rng.integers(0, 3, 6)
        data["weights"] = {
            **draw_dense(normal, {"hidden": (6, 5)}),
            "normalization/gamma": 1.0 + normal(5, scale=0.1),
            "normalization/beta": normal(5, scale=0.1),
            "normalization/moving_mean": np.zeros(5),
            "normalization/moving_variance": np.ones(5),
            **draw_dense(normal, {"output": (5, 3)}),
        }
    lr, momentum, epsilon = 0.2, 0.9, 1e-3

    def batches(rows, size):
        return [(data["x"][i : i + size], data["classes"][i : i + size]) for i in range(0, rows, size)]

    def with_keras(rows, size):
        import keras

        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(5, name="hidden"),
                layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name="normalization"),
                layers.Activation("relu"),
                layers.Dense(3, name="output"),
            ]
        )
        set_weights(model, data["weights"])
        model.compile(keras.optimizers.SGD(lr), sparse())
        losses = losses_of_steps(model, batches(rows, size))
        return {
            "losses": losses,
            "weights": get_weights(model),
            "test_loss": float(model.evaluate(data["test_x"], data["test_classes"], verbose=0)),
            "test_logits": model.predict(data["test_x"], verbose=0),
        }

    def with_numpy(rows, size):
        moving = {n: np.array(data["weights"][f"normalization/moving_{n}"]) for n in ("mean", "variance")}
        sgd = Sgd({n: w for n, w in data["weights"].items() if "moving" not in n}, lr)

        def network(v, x, mean=None, variance=None):
            z = dense(tape.Value(x), v, "hidden")
            if mean is None:
                mean = tape.mean_of_rows(z)
                variance = tape.mean_of_rows(tape.power(z - mean, 2))
            spread = tape.power(variance + tape.Value(np.full(5, epsilon)), -0.5)
            normal = (z - mean) * spread * v["normalization/gamma"] + v["normalization/beta"]
            return dense(tape.relu(normal), v, "output"), mean, variance

        losses = []
        for x, classes in batches(rows, size):

            def loss_of(v):
                logits, mean, variance = network(v, x)
                return tape.cross_entropy(logits, classes), mean.data, variance.data

            loss, mean, variance = sgd.step(loss_of)
            losses.append(loss)
            moving["mean"] = momentum * moving["mean"] + (1.0 - momentum) * mean
            moving["variance"] = momentum * moving["variance"] + (1.0 - momentum) * variance
        v = {name: tape.Value(w) for name, w in sgd.weights.items()}
        logits, _, _ = network(v, data["test_x"], tape.Value(moving["mean"]), tape.Value(moving["variance"]))
        return {
            "losses": np.array(losses),
            "weights": {**sgd.weights, **{f"normalization/moving_{n}": w for n, w in moving.items()}},
            "test_loss": float(tape.cross_entropy(logits, data["test_classes"]).data),
            "test_logits": logits.data,
        }

    about = (
        "Dense(5) `hidden`, BatchNormalization `normalization`, relu, Dense(3) `output`, sparse softmax "
        "cross-entropy from logits; SGD over the first `rows` rows in batches. The batch's variance is the biased "
        "one (divided by the number of rows), for the normalisation and for the moving variance alike. `losses`: "
        "of each batch, before its update. `test_…`: afterwards, with the moving statistics."
    )
    cases = [
        Case(
            name,
            {"lr": lr, "rows": rows, "batch_size": size, "momentum": momentum, "epsilon": epsilon},
            lambda n=rows, s=size: with_keras(n, s),
            lambda n=rows, s=size: with_numpy(n, s),
        )
        for name, rows, size in [("batches of 8", 48, 8), ("batches of 320", 640, 320)]
    ]
    return Reference(about, data, cases)


def unrolled(data=None) -> Reference:
    """`unrolled.json`: one Dense applied three times, with the input added each time."""
    if data is None:
        normal, rng = draw(11), np.random.default_rng(12)
        data = {"x": normal(24, 5), "classes": rng.integers(0, 3, 24)}
        data["weights"] = draw_dense(normal, {"step": (5, 5), "output": (5, 3)})
    lr, steps, times = 0.1, 4, 3

    def with_keras():
        import keras

        x = keras.Input((5,))
        step, h = keras.layers.Dense(5, "tanh", name="step"), x
        for _ in range(times):
            h = keras.layers.Add()([step(h), x])
        model = keras.Model(x, keras.layers.Dense(3, name="output")(h))
        set_weights(model, data["weights"])
        model.compile(keras.optimizers.SGD(lr), sparse())
        losses = losses_of_steps(model, [(data["x"], data["classes"])] * steps)
        return {"losses": losses, "weights": get_weights(model), "logits": model.predict(data["x"], verbose=0)}

    def with_numpy():
        def network(v):
            x = tape.Value(data["x"])
            h = x
            for _ in range(times):
                h = dense(h, v, "step", tape.tanh) + x
            return dense(h, v, "output")

        sgd = Sgd(data["weights"], lr)
        losses = [sgd.step(lambda v: (tape.cross_entropy(network(v), data["classes"]),))[0] for _ in range(steps)]
        logits = network({name: tape.Value(w) for name, w in sgd.weights.items()}).data
        return {"losses": np.array(losses), "weights": sgd.weights, "logits": logits}

    about = (
        "h = x; three times h = tanh(h W + b) + x with the one Dense(5) `step`; Dense(3) `output`; sparse softmax "
        "cross-entropy from logits; four SGD steps over all 24 rows. `losses`: before each step; `logits`: after "
        "the last."
    )
    settings = {"lr": lr, "steps": steps, "times": times}
    return Reference(about, data, [Case("trained", settings, with_keras, with_numpy)])
