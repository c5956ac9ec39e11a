"""JAX: whole steps and whole epochs inside one jit, the weights' buffers given away."""

import jax
import jax.numpy as jnp
import numpy as np

from form import CHUNK, CHUNKED, Form, batch_size, chunked, one_at_a_time, surprise
from problem import CHECKED_STEPS, CLASSES, FULL_BATCH_LR, MINI_BATCH_LR


def logits_of(weights, x):
    w1, b1, w2, b2 = weights
    return jnp.tanh(x @ w1 + b1) @ w2 + b2


def mean_loss(weights, x, hot):
    logits = logits_of(weights, x)
    return -jnp.sum(hot * jax.nn.log_softmax(logits)) / len(x), logits


def update_by_autodiff(weights, x, hot, lr):
    """The new weights, the mean loss and the logits before the update."""
    (loss, logits), grads = jax.value_and_grad(mean_loss, has_aux=True)(weights, x, hot)
    return tuple(w - lr * g for w, g in zip(weights, grads)), loss, logits


def backward(weights, x, hot, scale):
    """The gradients times `scale`, the sum of the losses, and the logits. W2 is held transposed, [10, 512], from which
    XLA makes quicker products."""
    w1, b1, w2t, b2 = weights
    hidden = jnp.tanh(x @ w1 + b1)
    logits = hidden @ w2t.T + b2
    logs = jax.nn.log_softmax(logits)
    error = (jnp.exp(logs) - hot) * scale
    back = (error @ w2t) * (1 - hidden * hidden)
    return (x.T @ back, back.sum(0), error.T @ hidden, error.sum(0)), -jnp.sum(hot * logs), logits


def update_by_hand(weights, x, hot, lr):
    steps, loss, logits = backward(weights, x, hot, lr / len(x))
    return tuple(w - s for w, s in zip(weights, steps)), loss / len(x), logits


def update_in_chunks(weights, x, hot, lr):
    def chunk(sums, rows):
        steps, loss, _ = backward(weights, *rows, lr / len(x))
        return tuple(a + b for a, b in zip(sums, steps)), loss

    rows = [a.reshape(-1, CHUNK, a.shape[1]) for a in (x, hot)]
    steps, losses = jax.lax.scan(chunk, tuple(map(jnp.zeros_like, weights)), tuple(rows))
    return tuple(w - s for w, s in zip(weights, steps)), losses.sum() / len(x), None


def logits_by_hand(weights, x):
    w1, b1, w2t, b2 = weights
    return jnp.tanh(x @ w1 + b1) @ w2t.T + b2


def right(logits, y):
    return jnp.sum(jnp.argmax(logits, 1) == y)


def one_hot(y):
    return (y[:, None] == jnp.arange(CLASSES)).astype(jnp.float32)


class Jax:
    def __init__(self, problem):
        self.problem = problem
        self.x, self.y = jnp.asarray(problem.x), jnp.asarray(problem.y)
        self.x_test, self.y_test = jnp.asarray(problem.x_test), jnp.asarray(problem.y_test)

    def versions(self):
        return {"jax": jax.__version__, "jaxlib": jax.lib.__version__}

    def forms(self, task):
        if task in ("step", "exercise"):
            return ["value_and_grad", "by hand", *chunked(len(self.y))]
        if task.startswith("epoch"):
            return ["scan, all gathered beforehand", "scan, each batch gathered"]
        return ["jit"]

    def make(self, task, form):
        weights = tuple(jnp.asarray(w) for w in self.problem.first_weights())
        if task.startswith("epoch"):
            return self.epoch(batch_size(task), "beforehand" in form, (*weights[:2], weights[2].T, weights[3]))
        if task.startswith("predict"):
            return self.prediction(task, weights)
        logits = logits_by_hand if "by hand" in form else logits_of
        if "by hand" in form:
            weights = (*weights[:2], weights[2].T, weights[3])
            update = update_in_chunks if form == CHUNKED else update_by_hand
        else:
            update = update_by_autodiff
        hot = one_hot(self.y)

        # Images are arguments: as constants of the function they would be folded into the program.
        def step(weights, x, hot):
            return update(weights, x, hot, FULL_BATCH_LR)[:2]

        def exercise(weights, x, hot, y, x_test, y_test):
            weights, loss = step(weights, x, hot)
            shares = [right(logits(weights, x), y) / len(x) for x, y in [(x, y), (x_test, y_test)]]
            return weights, (loss, *shares)

        if task == "step":
            call, arguments = jax.jit(step, donate_argnums=0), (self.x, hot)
        else:
            call = jax.jit(exercise, donate_argnums=0)
            arguments = self.x, hot, self.y, self.x_test, self.y_test

        def run():
            nonlocal weights
            weights, found = jax.block_until_ready(call(weights, *arguments))
            return jax.tree.map(float, found)

        def check():
            if task == "step":
                return {"losses": [run() for _ in range(CHECKED_STEPS)]}
            loss, train, test = run()
            return {"losses": [loss], "train_accuracy": train, "test_accuracy": test}

        return Form(check, run)

    def epoch(self, batch, beforehand, weights):
        n = len(self.problem.y)
        whole = n // batch * batch

        def step(weights, x, y):
            new, loss, logits = update_by_hand(weights, x, one_hot(y), MINI_BATCH_LR)
            return new, (loss * len(y), right(logits, y))

        def epoch(weights, x, y, order):
            groups = order[:whole].reshape(-1, batch)
            if beforehand:
                weights, sums = jax.lax.scan(lambda w, xy: step(w, *xy), weights, (x[groups], y[groups]))
            else:
                weights, sums = jax.lax.scan(lambda w, rows: step(w, x[rows], y[rows]), weights, groups)
            loss, hits = (s.sum() for s in sums)
            if whole < n:
                rows = order[whole:]
                weights, (more, more_hits) = step(weights, x[rows], y[rows])
                loss, hits = loss + more, hits + more_hits
            return weights, (loss / n, hits / n)

        call = jax.jit(epoch, donate_argnums=0)
        rng = np.random.default_rng(1)

        def run(order=None):
            nonlocal weights
            order = rng.permutation(n) if order is None else order
            weights, found = jax.block_until_ready(call(weights, self.x, self.y, order.astype(np.int32)))
            loss, accuracy = map(float, found)
            return {"loss": loss, "train_accuracy": accuracy}

        return Form(lambda: run(np.arange(n)), run)

    def prediction(self, task, weights):
        predict = jax.jit(lambda weights, x: jax.nn.softmax(logits_of(weights, x)))
        labels = self.problem.y_test
        if task == "predict-all":

            def run():
                return np.asarray(predict(weights, self.x_test))

            return Form(lambda: {"loss": surprise(run(), labels)}, run)
        images = [self.x_test[i : i + 1] for i in range(len(labels))]
        return one_at_a_time(lambda i: np.asarray(predict(weights, images[i])), np.asarray, labels)


def open_peer(problem, threads, variant):
    return Jax(problem)
