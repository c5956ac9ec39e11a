"""A few operations on arrays that remember how to take their derivatives: enough for small networks, and no more.

Every rule is written from its formula: given dL/dy of y = f(a, b), a function returns dL/da and dL/db.
"""

import numpy as np


class Value:
    """An array, where it came from, and how a derivative goes back there."""

    def __init__(self, data, parents=(), back=None):
        self.data, self.parents, self.back = np.asarray(data, np.float64), parents, back

    def __add__(self, other):
        return Value(self.data + other.data, (self, other), lambda d: (d, d))

    def __sub__(self, other):
        return Value(self.data - other.data, (self, other), lambda d: (d, -d))

    def __mul__(self, other):
        a, b = self.data, other.data
        return Value(a * b, (self, other), lambda d: (d * b, d * a))

    def __matmul__(self, other):
        a, b = self.data, other.data
        return Value(a @ b, (self, other), lambda d: (d @ b.T, a.T @ d))


def relu(z):
    return Value(np.maximum(z.data, 0.0), (z,), lambda d: (d * (z.data > 0),))


def sigmoid(z):
    y = 1.0 / (1.0 + np.exp(-z.data))
    return Value(y, (z,), lambda d: (d * y * (1.0 - y),))


def tanh(z):
    y = np.tanh(z.data)
    return Value(y, (z,), lambda d: (d * (1.0 - y * y),))


def absolute(z):
    return Value(np.abs(z.data), (z,), lambda d: (d * np.sign(z.data),))


def power(z, p):
    return Value(z.data**p, (z,), lambda d: (d * p * z.data ** (p - 1),))


def total(z):
    return Value(z.data.sum(), (z,), lambda d: (d * np.ones_like(z.data),))


def mean_of_rows(z):
    """[n, m] → [m]"""
    n = len(z.data)
    return Value(z.data.mean(axis=0), (z,), lambda d: (np.tile(d / n, (n, 1)),))


def concatenate(*parts):
    """[n, p], [n, q], … → [n, p + q + …]"""
    cuts = np.cumsum([p.data.shape[1] for p in parts])[:-1]
    joined = np.concatenate([p.data for p in parts], axis=1)
    return Value(joined, parts, lambda d: tuple(np.split(d, cuts, axis=1)))


def scaled(z, factor):
    return Value(z.data * factor, (z,), lambda d: (d * factor,))


def cross_entropy(logits, classes, weights=None):
    """Σᵢ wᵢ (log Σⱼ exp zᵢⱼ − zᵢ,classᵢ) / n"""
    z, n = logits.data, len(classes)
    w = np.ones(n) if weights is None else weights
    shifted = z - z.max(axis=1, keepdims=True)
    sums = np.exp(shifted).sum(axis=1)
    loss = (w * (np.log(sums) - shifted[np.arange(n), classes])).sum() / n
    slope = np.exp(shifted) / sums[:, None]
    slope[np.arange(n), classes] -= 1.0
    return Value(loss, (logits,), lambda d: (d * slope * w[:, None] / n,))


def squared_error(found, wanted):
    """The mean of (found − wanted)² over all elements."""
    off = found.data - wanted
    return Value((off**2).mean(), (found,), lambda d: (d * 2.0 * off / off.size,))


def gradients(loss, variables):
    """dloss/dv for each of `variables`."""
    order, seen = [], set()

    def visit(value):
        if id(value) not in seen:
            seen.add(id(value))
            for parent in value.parents:
                visit(parent)
            order.append(value)

    visit(loss)
    sums = {id(loss): np.ones_like(loss.data)}
    for value in reversed(order):
        if value.back is None or id(value) not in sums:
            continue
        for parent, d in zip(value.parents, value.back(sums[id(value)])):
            # What was spread over rows is summed over them.
            while d.ndim > parent.data.ndim:
                d = d.sum(axis=0)
            sums[id(parent)] = sums.get(id(parent), 0.0) + d
    return [sums[id(v)] for v in variables]
