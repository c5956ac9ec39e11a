"""TensorFlow: variables and operations inside tf.function, as a graph and through XLA."""

import numpy as np
import tensorflow as tf

from form import CHUNK, CHUNKED, Form, batch_size, chunked, one_at_a_time, surprise
from problem import CHECKED_STEPS, FULL_BATCH_LR, MINI_BATCH_LR


class TensorFlow:
    def __init__(self, problem, threads):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.problem = problem
        self.x, self.y = tf.constant(problem.x), tf.constant(problem.y)
        self.x_test, self.y_test = tf.constant(problem.x_test), tf.constant(problem.y_test)

    def versions(self):
        return {"tensorflow": tf.__version__}

    def forms(self, task):
        if task in ("step", "exercise"):
            return ["GradientTape", "by hand", *chunked(len(self.problem.y)), "by hand, XLA"]
        if task.startswith("epoch"):
            return ["loop inside tf.function"]
        return ["tf.function", "tf.function, XLA"]

    def make(self, task, form):
        weights = [tf.Variable(w) for w in self.problem.first_weights()]
        function = tf.function(jit_compile=True) if "XLA" in form else tf.function

        def hidden_and_logits(x):
            hidden = tf.tanh(tf.matmul(x, weights[0]) + weights[1])
            return hidden, tf.matmul(hidden, weights[2]) + weights[3]

        def backward(x, y):
            """The gradients of the losses' sum, that sum, and the logits."""
            hidden, logits = hidden_and_logits(x)
            losses, error = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=y)
            back = tf.raw_ops.TanhGrad(y=hidden, dy=tf.matmul(error, weights[2], transpose_b=True))
            products = tf.matmul(x, back, transpose_a=True), tf.matmul(hidden, error, transpose_a=True)
            grads = [products[0], tf.reduce_sum(back, 0), products[1], tf.reduce_sum(error, 0)]
            return grads, tf.reduce_sum(losses), logits

        def summed(x, y):
            sums, loss = [tf.zeros(w.shape) for w in weights], tf.constant(0.0)
            for start in tf.range(0, tf.shape(x)[0], CHUNK):
                grads, more, _ = backward(x[start : start + CHUNK], y[start : start + CHUNK])
                sums, loss = [a + b for a, b in zip(sums, grads)], loss + more
            return sums, loss, None

        def update(x, y, lr):
            """The mean loss and the logits, before the update."""
            if "GradientTape" in form:
                with tf.GradientTape() as tape:
                    logits = hidden_and_logits(x)[1]
                    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
                    loss = tf.reduce_mean(losses)
                grads, scale = tape.gradient(loss, weights), lr
            else:
                grads, loss, logits = summed(x, y) if form == CHUNKED else backward(x, y)
                n = tf.cast(tf.shape(x)[0], tf.float32)
                loss, scale = loss / n, lr / n
            for w, g in zip(weights, grads):
                w.assign_sub(scale * g)
            return loss, logits

        def right(logits, y):
            return tf.equal(tf.argmax(logits, 1, output_type=tf.int32), y)

        if task.startswith("epoch"):
            return self.epoch(batch_size(task), update, right)
        if task.startswith("predict"):
            predict = function(lambda x: tf.nn.softmax(hidden_and_logits(x)[1]))
            return self.prediction(task, predict)

        step = function(lambda x, y: update(x, y, FULL_BATCH_LR)[0])
        if task == "step":

            def run():
                return float(step(self.x, self.y))

            return Form(lambda: {"losses": [run() for _ in range(CHECKED_STEPS)]}, run)

        accuracy = function(lambda x, y: tf.reduce_mean(tf.cast(right(hidden_and_logits(x)[1], y), tf.float32)))

        def three_runs():
            loss = float(step(self.x, self.y))
            return loss, float(accuracy(self.x, self.y)), float(accuracy(self.x_test, self.y_test))

        def check():
            loss, train, test = three_runs()
            return {"losses": [loss], "train_accuracy": train, "test_accuracy": test}

        return Form(check, three_runs)

    def epoch(self, batch, update, right):
        n = len(self.problem.y)

        @tf.function
        def epoch(order):
            total, hits = tf.constant(0.0), tf.constant(0.0)
            for start in tf.range(0, n, batch):
                rows = order[start : start + batch]
                x, y = tf.gather(self.x, rows), tf.gather(self.y, rows)
                loss, logits = update(x, y, MINI_BATCH_LR)
                total += loss * tf.cast(tf.shape(rows)[0], tf.float32)
                hits += tf.reduce_sum(tf.cast(right(logits, y), tf.float32))
            return total / n, hits / n

        rng = np.random.default_rng(1)

        def run(order=None):
            order = rng.permutation(n) if order is None else order
            loss, accuracy = epoch(tf.constant(order.astype(np.int32)))
            return {"loss": float(loss), "train_accuracy": float(accuracy)}

        return Form(lambda: run(np.arange(n)), run)

    def prediction(self, task, predict):
        labels = self.problem.y_test
        if task == "predict-all":
            return Form(
                lambda: {"loss": surprise(predict(self.x_test).numpy(), labels)}, lambda: predict(self.x_test).numpy()
            )
        images = [self.x_test[i : i + 1] for i in range(len(labels))]
        return one_at_a_time(lambda i: predict(images[i]).numpy(), np.asarray, labels)


def open_peer(problem, threads, variant):
    return TensorFlow(problem, threads)
