"""A form: one way in which one library does one of the tasks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class Form:
    """`check` works from the first weights, compiles what is to be compiled, and gives the figures that are held
    against the reference. `run` does once what is timed and returns when it is done; `calls`: how many things that
    were, whose mean is the time."""

    check: Callable[[], dict[str, float | list[float]]]
    run: Callable[[], object]
    calls: int = 1


# Rows of a chunk in the forms that go through the full batch in chunks and add their gradients up, which is not what
# a user of these libraries writes but keeps the activations in the cache. With JAX on one thread, on a machine with
# 1 MiB of L2 cache per core, chunks of 250 and 1000 rows took alike, 4000 some 5 % and the whole batch 20 % longer.
CHUNK = 1000
CHUNKED = f"by hand, chunks of {CHUNK} rows"


def chunked(rows: int) -> list[str]:
    """That form, where the rows can be divided so."""
    return [CHUNKED] if rows % CHUNK == 0 else []


def batch_size(task: str) -> int | None:
    """Of `epoch-50`: 50."""
    kind, _, size = task.partition("-")
    return int(size) if kind == "epoch" else None


def surprise(probabilities, labels: np.ndarray) -> float:
    """The mean cross-entropy of predictions: what they are checked by."""
    right = np.asarray(probabilities, np.float64)[np.arange(len(labels)), labels]
    return float(-np.log(right).mean())


# Images that are predicted one at a time in a run, and those of them whose answers are checked.
SINGLES, CHECKED_SINGLES = 2000, 200


def one_at_a_time(
    predict: Callable[[int], object], to_numpy: Callable[[object], np.ndarray], labels: np.ndarray
) -> Form:
    """`predict(i)`: the probabilities [1, 10] of test image i, finished."""

    def check():
        answers = np.concatenate([to_numpy(predict(i)) for i in range(CHECKED_SINGLES)])
        return {"loss": surprise(answers, labels[:CHECKED_SINGLES])}

    def run():
        for i in range(SINGLES):
            predict(i)

    return Form(check, run, SINGLES)
