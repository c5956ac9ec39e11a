"""NumPy with the OpenBLAS of its wheel: gradients by hand, into arrays that are there already."""

import numpy as np

from form import CHUNK, CHUNKED, Form, chunked
from problem import CHECKED_STEPS, CLASSES, FULL_BATCH_LR, HIDDEN


class NumPy:
    def __init__(self, problem):
        self.problem = problem

    def versions(self):
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return {"numpy": np.__version__, blas["name"]: blas["version"]}

    def forms(self, task):
        return ["by hand", *chunked(len(self.problem.y))] if task == "step" else []

    def make(self, task, form):
        x, y = self.problem.x, self.problem.y
        n = len(y)
        size = CHUNK if form == CHUNKED else n
        w1, b1, w2, b2 = weights = self.problem.first_weights()
        hidden, delta = np.empty((2, size, HIDDEN), np.float32)
        logits, rows = np.empty((size, CLASSES), np.float32), np.arange(size)
        sums, parts = ([np.empty_like(w) for w in weights] for _ in range(2))

        def backward(x, y, grads):
            """Writes the gradients of the losses' sum; gives that sum."""
            np.matmul(x, w1, out=hidden)
            np.add(hidden, b1, out=hidden)
            np.tanh(hidden, out=hidden)
            np.matmul(hidden, w2, out=logits)
            np.add(logits, b2, out=logits)
            np.subtract(logits, logits.max(axis=1, keepdims=True), out=logits)
            right = logits[rows, y]
            np.exp(logits, out=logits)
            totals = logits.sum(axis=1, keepdims=True)
            loss = float(np.sum(np.log(totals[:, 0]) - right))
            np.divide(logits, totals, out=logits)
            logits[rows, y] -= 1
            np.matmul(hidden.T, logits, out=grads[2])
            np.sum(logits, axis=0, out=grads[3])
            np.matmul(logits, w2.T, out=delta)
            np.multiply(hidden, hidden, out=hidden)
            np.subtract(1, hidden, out=hidden)
            np.multiply(delta, hidden, out=delta)
            np.matmul(x.T, delta, out=grads[0])
            np.sum(delta, axis=0, out=grads[1])
            return loss

        def step():
            loss = backward(x[:size], y[:size], sums)
            for start in range(size, n, size):
                loss += backward(x[start : start + size], y[start : start + size], parts)
                for total, part in zip(sums, parts):
                    np.add(total, part, out=total)
            for w, g in zip(weights, sums):
                np.multiply(g, np.float32(FULL_BATCH_LR / n), out=g)
                np.subtract(w, g, out=w)
            return loss / n

        return Form(lambda: {"losses": [step() for _ in range(CHECKED_STEPS)]}, step)


def open_peer(problem, threads, variant):
    return NumPy(problem)
