"""`nn bench`, a process for each round, and what its records say."""

import json
import subprocess
from pathlib import Path

from form import batch_size
from problem import CHECKED_STEPS, FULL_BATCH_LR, MINI_BATCH_LR

FORMS = ["dense", "sparse"]


class Ours:
    """The program at `path`, run in `environment`; `prepare` is called in its process before it begins."""

    def __init__(self, path: Path, work: Path, threads: int, rows: int, prepare, environment):
        self.path, self.work, self.threads, self.rows = path, work, threads, rows
        self.prepare, self.environment = prepare, environment
        self.peaks: list[float] = []
        self.engine: dict = {}

    def names(self, task: str, optimizers: list[str]) -> list[tuple[str, str]]:
        """Optimizer and form of each row."""
        used = optimizers if batch_size(task) == 50 else optimizers[:1]
        return [(optimizer, form) for optimizer in used for form in FORMS]

    def call(self, *arguments: str) -> dict:
        """Runs it, and reads what it wrote."""
        record = self.work / "nn.json"
        command = [str(self.path), *arguments, "--json", str(record), "--backend", "simd"]
        command += ["--threads", str(self.threads), "--init", str(self.work / "first.safetensors")]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.environment, preexec_fn=self.prepare, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\nexited with {done.returncode}: {done.stderr.strip()}")
        return json.loads(record.read_text())

    def round(self, task: str, optimizer: str) -> dict[str, dict]:
        """Form → seconds and loss, of one time after those that don't count."""
        batch = batch_size(task)
        rows = ["--rows", str(self.rows)]
        match task:
            case "step":
                arguments = ["step", "--batch-size", "full", "--lr", str(FULL_BATCH_LR), *rows]
            case "exercise":
                arguments = ["epoch", "--exercise", "--lr", str(FULL_BATCH_LR), *rows]
            case "predict-all" | "predict-one":
                arguments = ["predict"]
            case _:
                arguments = ["epoch", "--batch-size", str(batch), *learning(optimizer), *rows]
        record = self.call("bench", *arguments, "--repeat", "1")
        steps = record["config"]["warm_up_rounds"] + 1
        if steps != CHECKED_STEPS:
            raise SystemExit(f"nn measures step {steps}, the reference ends with {CHECKED_STEPS}: set CHECKED_STEPS")
        peak = record["peak"]
        self.peaks += [peak[when]["all_threads"]["f32"] for when in ("before", "after")]
        series = record["series"]
        if task.startswith("predict"):
            series = [one for one in series if (one["what"] == "one image") == (task == "predict-one")]
        first = series[0]
        self.engine = {"nn": record["environment"]["nn_version"], "isa": first["isa"], "threads": first["threads"]}
        time = "mean" if task == "predict-one" else "min"
        return {one["input"]: {"seconds": one["seconds"][time], "loss": one["loss"]} for one in series}

    def check(self, task: str, optimizer: str, form: str, seen_loss: float | None) -> dict | None:
        """The figures to hold against the reference: from the measurement itself where all is the same, and for
        mini-batches, whose order is the program's own, from an epoch of `nn train` in the order of the file."""
        batch = batch_size(task)
        if task in ("step", "exercise"):
            return {"last_loss": seen_loss}
        if not batch:
            return None
        record = self.call(
            *["train", "--quiet", "--no-out", "--no-shuffle", "--epochs", "1", "--batch-size", str(batch)],
            *["--train-rows", str(self.rows), "--input", form, *learning(optimizer)],
        )
        history = record["history"]
        loss, accuracy, test = (history[name][0] for name in ("loss", "accuracy", "test_loss"))
        return {"loss": loss, "train_accuracy": accuracy, "test_loss": test}


def learning(optimizer: str) -> list[str]:
    """Plain descent's rate is said; the others' are Keras' own."""
    return ["--optimizer", optimizer, *(["--lr", str(MINI_BATCH_LR)] if optimizer == "sgd" else [])]
