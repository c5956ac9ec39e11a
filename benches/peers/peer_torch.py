"""PyTorch: eager with its own gradients, eager with gradients by hand and into arrays that are there, and compiled."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from form import CHUNK, CHUNKED, Form, batch_size, chunked, one_at_a_time, surprise
from problem import CHECKED_STEPS, FULL_BATCH_LR, MINI_BATCH_LR


def logits_of(weights, x):
    w1, b1, w2, b2 = weights
    return torch.addmm(b2, torch.tanh(torch.addmm(b1, x, w1)), w2)


def loss_and_logits(weights, x, y):
    logits = logits_of(weights, x)
    return cross_entropy(logits, y), logits


class Torch:
    def __init__(self, problem, threads):
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.problem = problem
        self.x, self.y = torch.from_numpy(problem.x), torch.from_numpy(problem.y).long()
        self.x_test = torch.from_numpy(problem.x_test)

    def versions(self):
        return {"torch": torch.__version__}

    def forms(self, task):
        if task == "step":
            return ["autograd", "by hand", *chunked(len(self.y)), "torch.compile"]
        if task.startswith("epoch"):
            return ["autograd", "by hand", "torch.compile"]
        return ["inference_mode", "torch.compile"] if task.startswith("predict") else []

    def make(self, task, form):
        weights = [torch.from_numpy(w) for w in self.problem.first_weights()]
        if task.startswith("predict"):
            return self.prediction(task, form, weights)
        if "by hand" in form:
            update = self.by_hand(weights, CHUNK if form == CHUNKED else len(self.y))
        else:
            update = self.by_autograd(weights, "compile" in form)
        if task == "step":

            def run():
                return float(update(self.x, self.y, FULL_BATCH_LR)[0])

            return Form(lambda: {"losses": [run() for _ in range(CHECKED_STEPS)]}, run)
        return self.epoch(batch_size(task), update)

    def by_autograd(self, weights, compiled):
        for w in weights:
            w.requires_grad_()
        function = torch.compile(loss_and_logits) if compiled else loss_and_logits

        def update(x, y, lr):
            loss, logits = function(weights, x, y)
            grads = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                torch._foreach_add_(weights, grads, alpha=-lr)
            return loss.detach(), logits.detach()

        return update

    def by_hand(self, weights, chunk):
        """One chunk is added to the weights straight away, several are summed first."""
        w1, b1, w2, b2 = weights
        buffers = {}

        def backward(x, y, into, scale):
            """Adds the gradients times `scale` to `into`; gives the sum of the losses and the logits."""
            n = len(y)
            if n not in buffers:
                buffers[n] = torch.empty(n, w1.shape[1]), torch.empty(n, w1.shape[1]), torch.arange(n)
            hidden, back, rows = buffers[n]
            torch.addmm(b1, x, w1, out=hidden).tanh_()
            logits = torch.addmm(b2, hidden, w2)
            logs = torch.log_softmax(logits, 1)
            loss = -logs[rows, y].sum()
            error = logs.exp_()
            error[rows, y] -= 1
            torch.mm(error, w2.T, out=back)
            torch.ops.aten.tanh_backward.grad_input(back, hidden, grad_input=back)
            into[2].addmm_(hidden.T, error, alpha=scale)
            into[3].add_(error.sum(0), alpha=scale)
            into[0].addmm_(x.T, back, alpha=scale)
            into[1].add_(back.sum(0), alpha=scale)
            return loss, logits

        @torch.inference_mode()
        def update(x, y, lr):
            n = len(y)
            if n <= chunk:
                loss, logits = backward(x, y, weights, -lr / n)
                return loss / n, logits
            sums, loss = [torch.zeros_like(w) for w in weights], torch.zeros(())
            for rows, classes in zip(x.split(chunk), y.split(chunk)):
                loss += backward(rows, classes, sums, -lr / n)[0]
            torch._foreach_add_(weights, sums)
            return loss / n, None

        return update

    def epoch(self, batch, update):
        n = len(self.y)

        def run(order=None):
            order = torch.randperm(n) if order is None else order
            x, y = self.x[order], self.y[order]
            loss, right = torch.zeros(()), torch.zeros((), dtype=torch.long)
            for part, classes in zip(x.split(batch), y.split(batch)):
                mean, logits = update(part, classes, MINI_BATCH_LR)
                loss += mean * len(classes)
                right += (logits.argmax(1) == classes).sum()
            return {"loss": float(loss) / n, "train_accuracy": int(right) / n}

        return Form(lambda: run(torch.arange(n)), run)

    def prediction(self, task, form, weights):
        labels = self.problem.y_test

        def probabilities(x):
            return torch.softmax(logits_of(weights, x), 1)

        function = torch.compile(probabilities) if "compile" in form else probabilities

        @torch.inference_mode()
        def predict(x):
            return function(x).numpy()

        if task == "predict-all":
            return Form(lambda: {"loss": surprise(predict(self.x_test), labels)}, lambda: predict(self.x_test))
        images = [self.x_test[i : i + 1] for i in range(len(labels))]
        return one_at_a_time(lambda i: predict(images[i]), np.asarray, labels)


def open_peer(problem, threads, variant):
    return Torch(problem, threads)
