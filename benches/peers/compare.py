#!/usr/bin/env python3
"""Times `nn` beside TensorFlow, Keras, JAX, PyTorch and NumPy: the same work, at the same time, on the same cores.

    python benches/peers/compare.py --nn target/release/nn --out DIR

README.md, beside this file, says what is measured and how. Leaves DIR/peers.json and DIR/peers.md.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TASKS = {
    "step": "one full-batch step: loss, gradients and update",
    "exercise": "the exercise's epoch: one full-batch step, then accuracy on the training set, then on the test set",
    "epoch-50": "an epoch in batches of 50, shuffled, with loss and accuracy",
    "epoch-32": "an epoch in batches of 32, shuffled, with loss and accuracy",
    "epoch-128": "an epoch in batches of 128, shuffled, with loss and accuracy",
    "predict-all": "probabilities of the 10,000 test images at once",
    "predict-one": "probabilities of one image, mean of many",
}
PEERS = {
    "numpy": "NumPy",
    "tensorflow": "TensorFlow",
    "keras/tensorflow": "Keras on TensorFlow",
    "jax": "JAX",
    "keras/jax": "Keras on JAX",
    "torch": "PyTorch",
}
OPTIMIZERS = ["sgd", "rmsprop", "adam"]
# Figures may be off by this share of the reference's. float32 through three steps or an epoch is within some 1e-5.
TOLERANCE = 1e-3
# A form that took this many times as long as its library's quickest in the first round is not timed again.
HOPELESS = 3.0
# Seconds between two measurements, in which the threads of the one before stop spinning (OpenMP's do for 0.2 s).
PAUSE = 0.3
# What would change which kernels a library chooses, or how many threads: nobody's setting is to slip in.
TAMPERS = ["_CORETYPE", "CPU_TYPE", "_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY", "XLA_FLAGS"]
TAMPERS += ["NPY_DISABLE_CPU", "NPY_ENABLE_CPU", "TF_ENABLE_ONEDNN_OPTS", "KMP_", "GOMP_", "OMP_", "MKL_", "OPENBLAS_"]
TAMPERS += ["GOTO_", "BLIS_", "TF_XLA_FLAGS", "TF_NUM_", "JAX_", "KERAS_", "TORCH_", "PYTORCH_", "NN_"]


def environment(threads: int) -> dict[str, str]:
    """This process's, without what tampers and with every library's number of threads."""
    kept = {name: value for name, value in os.environ.items() if not any(part in name for part in TAMPERS)}
    counts = ["OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS"]
    kept |= {f"{name}_NUM_THREADS": str(threads) for name in counts}
    # XLA's pool has a thread for each processor that the process may use; NPROC says so outright.
    kept |= {"NPROC": str(threads), "TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    kept["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    return kept | {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2"}


class Worker:
    """A library in a process of its own (worker.py)."""

    def __init__(self, peer: str, work: Path, threads: int, prepare):
        self.peer, self.name = peer, PEERS[peer]
        self.log = open(work / f"{peer.replace('/', '-')}.log", "w")
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), peer, str(work), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment(threads),
            preexec_fn=prepare,
        )
        self.opened = self.answer()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"its process ended; see {self.log.name}"}

    def ask(self, **what) -> dict:
        """{"ok": …} or {"error": text}."""
        try:
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def compare(figures: dict, expected: dict) -> dict:
    """How far the worst figure is off, and whether that is within the tolerance."""
    worst = 0.0
    for name, value in figures.items():
        if name == "last_loss":
            pairs = [(value, expected["losses"][-1])]
        elif name == "losses":
            pairs = list(zip(value, expected["losses"]))
        else:
            pairs = [(value, expected[name])]
        for found, right in pairs:
            off = abs(found - right) / abs(right)
            worst = max(worst, float("inf") if math.isnan(off) else float(off))
    return {"off_by": worst, "right": worst <= TOLERANCE, "figures": figures}


def measure(task, repeat, workers, ours, expected) -> list[dict]:
    """The rows of one task: all forms of all libraries in turns, `repeat` times."""
    rows, running = [], []
    for worker in workers:
        for form in worker.ask(do="forms", task=task).get("ok", []):
            row = {"library": worker.name, "form": form, "seconds": []}
            rows.append(row)
            checked = worker.ask(do="check", task=task, form=form)
            if "error" in checked:
                row["error"] = checked["error"]
                continue
            row |= compare(checked["ok"], expected[task])
            running.append((worker, row))
    own = {}
    if ours:
        for optimizer, form in ours.names(task, OPTIMIZERS):
            label = form if optimizer == "sgd" else f"{form}, {optimizer}"
            own[optimizer, form] = {"library": "nn", "form": label, "seconds": []}
        rows = list(own.values()) + rows
    for turn in range(repeat):
        for optimizer in dict.fromkeys(optimizer for optimizer, _ in own):
            time.sleep(PAUSE)
            for form, found in ours.round(task, optimizer).items():
                row = own[optimizer, form]
                row["seconds"].append(found["seconds"])
                row["loss"] = found["loss"]
        for worker, row in list(running):
            time.sleep(PAUSE)
            timed = worker.ask(do="run", task=task, form=row["form"])
            if "error" in timed:
                row["error"] = timed["error"]
                running.remove((worker, row))
            else:
                row["seconds"].append(timed["ok"])
        if turn == 0:
            best = {}
            for worker, row in running:
                best[worker.name] = min(best.get(worker.name, float("inf")), row["seconds"][0])
            running = [(w, row) for w, row in running if row["seconds"][0] <= HOPELESS * best[w.name]]
    for (optimizer, form), row in own.items():
        figures = ours.check(task, optimizer, form, row.pop("loss"))
        if figures:
            row |= compare(figures, expected[task if optimizer == "sgd" else f"{task} {optimizer}"])
    for worker in workers:
        worker.ask(do="drop")
    for row in rows:
        taken = sorted(row["seconds"])
        if taken and "error" not in row:
            # For one image each number is a mean already, of many images.
            row["best"], row["median"] = taken[0], taken[len(taken) // 2]
            if task == "predict-one":
                row["best"] = sum(taken) / len(taken)
    return rows


def seconds_text(seconds: float) -> str:
    for factor, unit in [(1, "s"), (1e3, "ms")]:
        if seconds * factor >= 1:
            return f"{seconds * factor:.4g} {unit}"
    return f"{seconds * 1e6:.4g} µs"


def table(task: str, rows: list[dict]) -> str:
    """Markdown. Ratios are to nn's plain rows, or to the quickest where nn was not measured."""
    timed = [row for row in rows if "best" in row and row.get("right", True)]
    bases = {f"nn {row['form']}": row["best"] for row in timed if row["library"] == "nn" and "," not in row["form"]}
    if not bases and timed:
        bases = {"the quickest": min(row["best"] for row in timed)}
    head = ["library", "form", "mean" if task == "predict-one" else "min", "median", "times"]
    head += [f"÷ {name}" for name in bases] + ["off by"]
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    for row in sorted(rows, key=lambda row: row.get("best", float("inf"))):
        off = f"{row['off_by']:.0e}" if "off_by" in row else "not compared"
        if "error" in row:
            cells = ["", "", "", *("" for _ in bases), f"**failed**: {row['error'].replace('|', '/')}"]
        else:
            wrong = not row.get("right", True)
            ratios = ["" if wrong else f"{row['best'] / base:.2f}" for base in bases.values()]
            times = [seconds_text(row["best"]), seconds_text(row["median"]), str(len(row["seconds"]))]
            cells = [*times, *ratios, f"**wrong**: {off}" if wrong else off]
        lines.append([row["library"], row["form"], *cells])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def summary(tasks: dict) -> str:
    """Markdown: each library's quickest form of each task, and how many times nn's sparse form's time that is."""
    libraries = ["nn sparse", "nn dense", *PEERS.values()]
    lines = [["task", *libraries], ["---", *["---:"] * len(libraries)]]
    for task, content in tasks.items():
        best = {}
        for row in content["rows"]:
            name = f"nn {row['form']}" if row["library"] == "nn" else row["library"]
            if "best" in row and row.get("right", True):
                best[name] = min(best.get(name, float("inf")), row["best"])
        base = best.get("nn sparse")
        cells = [
            seconds_text(best[name]) + (f" ({best[name] / base:.2f})" if base else "") if name in best else ""
            for name in libraries
        ]
        lines.append([task, *cells])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nn", type=Path, help="the program; left out: the peers alone")
    parser.add_argument("--out", type=Path, required=True, help="where the results and the workers' logs go")
    parser.add_argument(
        "--data", type=Path, help="MNIST's four IDX files, plain or .gz [default: written from the bundle by cargo]"
    )
    parser.add_argument("--peers", default=",".join(PEERS), help="[default: %(default)s]")
    parser.add_argument("--tasks", default=",".join(TASKS), help="[default: %(default)s]")
    parser.add_argument("--threads", type=int, default=2, help="[default: %(default)s]")
    parser.add_argument(
        "--repeat", type=int, default=5, help="times of a step and of predictions [default: %(default)s]"
    )
    parser.add_argument("--epoch-repeat", type=int, default=3, help="times of an epoch [default: %(default)s]")
    parser.add_argument(
        "--rows", type=int, default=60_000, help="training images, to try the script out [default: all]"
    )
    arguments = parser.parse_args()
    arguments.peers, arguments.tasks = arguments.peers.split(","), arguments.tasks.split(",")
    for given, known in [(arguments.peers, PEERS), (arguments.tasks, TASKS)]:
        if unknown := [name for name in given if name not in known]:
            parser.error(f"no {unknown[0]}: there are {', '.join(known)}")
    for name in ("threads", "repeat", "epoch_repeat", "rows"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: expected 1 or more")
    return arguments


def bundled(out: Path) -> Path:
    """MNIST as it is inside `nn`, as files."""
    directory = out / "mnist"
    if not directory.is_dir():
        command = ["cargo", "run", "--release", "--quiet", "-p", "mnist-data", "--example", "write_idx", "--"]
        subprocess.run([*command, str(directory.resolve())], cwd=HERE, check=True)
    return directory


def main() -> None:
    arguments = parse()
    out, threads = arguments.out, arguments.threads
    out.mkdir(parents=True, exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))[:threads] if hasattr(os, "sched_getaffinity") else []
    if cores and len(cores) < threads:
        raise SystemExit(f"--threads {threads}: this process may use {len(cores)} processors")

    def prepare():
        if cores:
            os.sched_setaffinity(0, cores)

    # Numbers of threads must stand before NumPy is imported, here too: it computes the reference.
    for name in set(os.environ) - set(environment(threads)):
        del os.environ[name]
    os.environ.update(environment(threads))
    import problem
    import reference
    from ours import Ours

    problem.write(arguments.data or bundled(out), out, arguments.rows)
    print("reference: NumPy in float64 …", flush=True)
    expected = reference.figures(problem.load(out), arguments.tasks, OPTIMIZERS if arguments.nn else ["sgd"])
    ours = None
    if arguments.nn:
        ours = Ours(arguments.nn.resolve(), out, threads, arguments.rows, prepare, environment(threads))

    workers, versions, missing = [], {}, {}
    for peer in arguments.peers:
        worker = Worker(peer, out, threads, prepare)
        if "ok" in worker.opened:
            workers.append(worker)
            versions[worker.name] = worker.opened["ok"]
            print(f"{worker.name}: {', '.join(f'{k} {v}' for k, v in versions[worker.name].items())}", flush=True)
        else:
            missing[worker.name] = worker.opened["error"]
            print(f"{worker.name}: left out, {worker.opened['error']}", flush=True)
            worker.close()

    machine = {"cpu": processor(), "cores": cores, "threads": threads, "python": platform.python_version()}
    record = {"machine": machine, "versions": versions, "left_out": missing, "rows": arguments.rows, "tasks": {}}
    record["load_average"] = [os.getloadavg()[0]]
    text = []
    for task in arguments.tasks:
        repeat = arguments.epoch_repeat if task == "exercise" or task.startswith("epoch") else arguments.repeat
        begun = time.monotonic()
        rows = measure(task, repeat, workers, ours, expected)
        took = round(time.monotonic() - begun)
        record["tasks"][task] = {"what": TASKS[task], "expected": expected[task], "rows": rows, "took": took}
        text.append(f"## {TASKS[task]}\n\n{table(task, rows)}\n")
        print(f"\n{text[-1]}\n({took} s)", flush=True)
        record["load_average"].append(os.getloadavg()[0])
        (out / "peers.json").write_text(json.dumps(record, indent=1) + "\n")
    for worker in workers:
        worker.close()

    lines = [f"{machine['cpu']}, {threads} threads on processors {cores}; {arguments.rows} training images"]
    lines += [f"{name}: {', '.join(f'{k} {v}' for k, v in found.items())}" for name, found in versions.items()]
    lines += [f"{name}: left out, {why}" for name, why in missing.items()]
    loads = record["load_average"]
    lines.append(f"load average: {loads[0]:.2f} at the beginning, at most {max(loads):.2f} between the tasks")
    if ours:
        peaks = sorted(ours.peaks)
        record["nn"] = ours.engine | {"peak_gflops": peaks}
        lines.append(f"nn {ours.engine['nn']}: simd, {ours.engine['isa']}, {ours.engine['threads']} threads")
        lines.append(f"FMA peak in f32: {peaks[0]:.0f} to {peaks[-1]:.0f} GFLOP/s in {len(peaks)} readings")
    notes = "\n".join(f"- {line}" for line in lines)
    short = summary(record["tasks"])
    legend = "Each library's quickest form, and in brackets its time over that of nn sparse." if ours else ""
    print(f"{notes}\n\n{short}\n\n{legend}")
    (out / "peers.md").write_text(f"# nn and its peers\n\n{notes}\n\n{short}\n\n{legend}\n\n" + "\n".join(text))
    (out / "peers.json").write_text(json.dumps(record, indent=1) + "\n")
    wrong = [row for task in record["tasks"].values() for row in task["rows"] if not row.get("right", True)]
    if wrong:
        raise SystemExit(
            f"{len(wrong)} rows are wrong: {', '.join(row['library'] + ' ' + row['form'] for row in wrong)}"
        )


if __name__ == "__main__":
    main()
