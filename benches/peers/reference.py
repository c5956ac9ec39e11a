"""The figures that everybody is held to: the same training in NumPy in float64, from the formulas alone."""

import numpy as np

from form import CHECKED_SINGLES, batch_size, surprise
from problem import CHECKED_STEPS, FULL_BATCH_LR, MINI_BATCH_LR, Problem


def forward(weights, x):
    """tanh(x W1 + b1) and the logits."""
    w1, b1, w2, b2 = weights
    hidden = np.tanh(x @ w1 + b1)
    return hidden, hidden @ w2 + b2


def softmax(logits):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def gradients(weights, x, y):
    """The mean loss, the share of right answers, and the gradients, all before the update."""
    hidden, logits = forward(weights, x)
    p, rows = softmax(logits), np.arange(len(y))
    loss, right = -np.log(p[rows, y]).mean(), np.mean(logits.argmax(axis=1) == y)
    p[rows, y] -= 1
    p /= len(y)
    delta = (p @ weights[2].T) * (1 - hidden**2)
    return loss, right, [x.T @ delta, delta.sum(axis=0), hidden.T @ p, p.sum(axis=0)]


class Sgd:
    def update(self, weights, grads, lr):
        for w, g in zip(weights, grads):
            w -= lr * g


class RmsProp:
    """Keras' own, with its defaults."""

    lr, rho, epsilon, squares = 0.001, 0.9, 1e-7, None

    def update(self, weights, grads, lr):
        self.squares = self.squares or [np.zeros_like(w) for w in weights]
        for w, g, s in zip(weights, grads, self.squares):
            s *= self.rho
            s += (1 - self.rho) * g * g
            w -= self.lr * g / np.sqrt(s + self.epsilon)


class Adam:
    """Keras' own, with its defaults."""

    lr, beta_1, beta_2, epsilon, steps, means = 0.001, 0.9, 0.999, 1e-7, 0, None

    def update(self, weights, grads, lr):
        self.means = self.means or [[np.zeros_like(w) for w in weights] for _ in range(2)]
        self.steps += 1
        alpha = self.lr * (1 - self.beta_2**self.steps) ** 0.5 / (1 - self.beta_1**self.steps)
        for w, g, m, s in zip(weights, grads, *self.means):
            m += (1 - self.beta_1) * (g - m)
            s += (1 - self.beta_2) * (g * g - s)
            w -= alpha * m / (np.sqrt(s) + self.epsilon)


OPTIMIZERS = {"sgd": Sgd, "rmsprop": RmsProp, "adam": Adam}


def figures(problem: Problem, tasks: list[str], optimizers: list[str]) -> dict:
    """For each task what its checks must give; `epoch-50 adam` and the like for other optimizers than plain descent."""
    x, x_test = problem.x.astype(np.float64), problem.x_test.astype(np.float64)
    y, y_test = problem.y, problem.y_test

    def share(weights, x, y):
        return float(np.mean(forward(weights, x)[1].argmax(axis=1) == y))

    found, weights = {}, problem.first_weights(np.float64)
    if {"step", "exercise"} & set(tasks):
        losses, after = [], []
        for step in range(CHECKED_STEPS):
            loss, right, grads = gradients(weights, x, y)
            # The accuracy of this forward pass is the one after the step before it.
            after.append(float(right))
            losses.append(float(loss))
            Sgd().update(weights, grads, FULL_BATCH_LR)
            if step == 0:
                test = share(weights, x_test, y_test)
        found["step"] = {"losses": losses}
        found["exercise"] = {"losses": losses, "train_accuracy": after[1], "test_accuracy": test}
    probabilities = softmax(forward(problem.first_weights(np.float64), x_test)[1])
    found["predict-all"] = {"loss": surprise(probabilities, y_test)}
    found["predict-one"] = {"loss": surprise(probabilities[:CHECKED_SINGLES], y_test[:CHECKED_SINGLES])}
    for task in tasks:
        batch = batch_size(task)
        for name in (optimizers if batch == 50 else optimizers[:1]) if batch else []:
            found[task if name == "sgd" else f"{task} {name}"] = epoch(problem, x, y, x_test, batch, OPTIMIZERS[name]())
    return found


def epoch(problem, x, y, x_test, batch, optimizer):
    """One epoch in the order of the file; loss and accuracy as they were on the way, and the test set's loss."""
    weights, total, right = problem.first_weights(np.float64), 0.0, 0.0
    for start in range(0, len(x), batch):
        part = slice(start, start + batch)
        loss, share, grads = gradients(weights, x[part], y[part])
        total += loss * len(y[part])
        right += share * len(y[part])
        optimizer.update(weights, grads, MINI_BATCH_LR)
    test = surprise(softmax(forward(weights, x_test)[1]), problem.y_test)
    return {"loss": total / len(x), "train_accuracy": right / len(x), "test_loss": test}
