"""Keras through `fit` and `train_on_batch`, on TensorFlow or on JAX."""

import importlib
import os

from form import Form, batch_size
from problem import CHECKED_STEPS, FULL_BATCH_LR, MINI_BATCH_LR, PIXELS

# Batches that one call works on in the form that says so: Keras' means against its own cost per call.
STEPS_PER_CALL = 100


class Keras:
    def __init__(self, problem, threads, backend):
        os.environ["KERAS_BACKEND"] = backend
        if backend == "tensorflow":
            import tensorflow as tf

            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        import keras

        self.keras, self.problem, self.backend = keras, problem, backend

    def versions(self):
        return {"keras": self.keras.__version__, self.backend: importlib.import_module(self.backend).__version__}

    def forms(self, task):
        if task == "step":
            return ["train_on_batch"]
        return ["fit", f"fit, {STEPS_PER_CALL} steps per execution"] if task.startswith("epoch") else []

    def make(self, task, form):
        keras, x, y = self.keras, self.problem.x, self.problem.y
        layers = [keras.layers.Dense(512, activation="tanh"), keras.layers.Dense(10, activation="softmax")]
        model = keras.Sequential([keras.Input((PIXELS,)), *layers])
        full = task == "step"
        model.compile(
            optimizer=keras.optimizers.SGD(FULL_BATCH_LR if full else MINI_BATCH_LR),
            loss="sparse_categorical_crossentropy",
            metrics=[] if full else ["accuracy"],
            steps_per_execution=STEPS_PER_CALL if "steps per" in form else 1,
        )
        model.set_weights(self.problem.first_weights())
        if full:

            def step():
                # The loss that Keras gives back is the mean over all calls so far.
                model.reset_metrics()
                return float(model.train_on_batch(x, y))

            return Form(lambda: {"losses": [step() for _ in range(CHECKED_STEPS)]}, step)

        def run(shuffle=True):
            history = model.fit(x, y, batch_size=batch_size(task), epochs=1, shuffle=shuffle, verbose=0).history
            return {"loss": history["loss"][0], "train_accuracy": history["accuracy"][0]}

        return Form(lambda: run(shuffle=False), run)


def open_peer(problem, threads, variant):
    return Keras(problem, threads, variant)
