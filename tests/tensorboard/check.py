"""Reads with the real TensorBoard what `nn graph` and nn-train's event writer wrote, and compares it with what they said.

    python check.py NN EVENT_FILE

NN is the program nn, EVENT_FILE nn-train's example of that name, which prints what it wrote as JSON. Each run is read
twice: by TensorBoard's EventAccumulator, and over HTTP from a TensorBoard server, the way its pages get it.
"""

import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from google.protobuf import text_format
from tensorboard import program
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef

# Every list whole, none sampled.
EVERYTHING = {"scalars": 0, "histograms": 0, "graph": 1}
# How long the server may take to have read everything.
SERVER_SECONDS = 60


class Mismatch(Exception):
    """What was read is not what was written."""


def single(x):
    """x in single precision, which is what TensorBoard keeps."""
    return struct.unpack("f", struct.pack("f", x))[0]


def expect(what, found, expected):
    if found != expected:
        raise Mismatch(f"{what}: expected {expected!r}, found {found!r}")


def write_runs(nn, event_file, logs):
    """Writes one run for each picture and one by the example; returns what each should hold."""
    runs = {}
    graphs = {
        "built": ["--stage", "built"],
        "adam": [],
        "by_hand": ["--api", "graph", "--optimizer", "sgd", "--hidden", "32,16", "--l2", "0.001"],
    }
    for run, options in graphs.items():
        command = [nn, "graph", "--format", "tensorboard", "--out", str(logs / run), *options]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        nodes = int(re.match(r"(\d+) nodes in ", said).group(1))
        # The text picture counts on its own.
        text = subprocess.run([nn, "graph", "--format", "text", *options], check=True, capture_output=True, text=True)
        expect(f"{run}: boxes of the text picture", len(re.findall(r"^  #\d+", text.stdout, re.M)), nodes)
        runs[run] = {"nodes": nodes, "scalars": {}, "histograms": {}}
    said = subprocess.run([event_file, str(logs / "example")], check=True, capture_output=True, text=True).stdout
    runs |= {f"example/{run}": expected for run, expected in json.loads(said).items()}
    return runs


def check_graph(run, graph, nodes):
    expect(f"{run}: nodes", len(graph.node), nodes)
    names = {node.name for node in graph.node}
    expect(f"{run}: names", len(names), nodes)
    for node in graph.node:
        for source in node.input:
            if source.lstrip("^") not in names:
                raise Mismatch(f"{run}: {node.name} has the input {source}, which is no node")
    ops = {node.op for node in graph.node}
    missing = {"Placeholder", "VariableV2", "MatMul", "AddV2"} - ops
    if missing:
        raise Mismatch(f"{run}: no {missing} among {ops}")


def check_files(run, expected, logs):
    events = EventAccumulator(str(logs / run), size_guidance=EVERYTHING).Reload()
    expect(f"{run}: scalars", sorted(events.Tags()["scalars"]), sorted(expected["scalars"]))
    expect(f"{run}: histograms", sorted(events.Tags()["histograms"]), sorted(expected["histograms"]))
    for tag, values in expected["scalars"].items():
        found = [(e.step, e.value) for e in events.Scalars(tag)]
        expect(f"{run}: {tag}", found, [(step, single(value)) for step, value in enumerate(values)])
    for tag, counts in expected["histograms"].items():
        found = events.Histograms(tag)
        expect(f"{run}: {tag}", [h.histogram_value.num for h in found], counts)
        expect(f"{run}: buckets of {tag}", [sum(h.histogram_value.bucket) for h in found], counts)
    expect(f"{run}: has a graph", events.Tags()["graph"], expected["nodes"] > 0)
    if expected["nodes"]:
        check_graph(run, events.Graph(), expected["nodes"])


def check_server(runs, logs):
    server = program.TensorBoard()
    server.configure(argv=[None, "--logdir", str(logs), "--port", "0", "--host", "127.0.0.1", "--load_fast", "false"])
    url = server.launch()

    def get(path, **query):
        with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
            return answer.read()

    # The server reads its files in the background, so what is not there yet gets another chance.
    give_up = time.monotonic() + SERVER_SECONDS
    while True:
        try:
            check_answers(get, runs)
            return
        except (Mismatch, urllib.error.HTTPError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)


def check_answers(get, runs):
    expect("server: runs", sorted(json.loads(get("data/runs"))), sorted(runs))
    for run, expected in runs.items():
        if expected["nodes"]:
            graph = text_format.Parse(get("data/plugin/graphs/graph", run=run, conceptual="false"), GraphDef())
            check_graph(f"server: {run}", graph, expected["nodes"])
        for tag, values in expected["scalars"].items():
            points = json.loads(get("data/plugin/scalars/scalars", run=run, tag=tag))
            found = [(step, single(value)) for _, step, value in points]
            expect(f"server: {run}: {tag}", found, [(step, single(value)) for step, value in enumerate(values)])
        for tag, counts in expected["histograms"].items():
            points = json.loads(get("data/plugin/histograms/histograms", run=run, tag=tag))
            found = [sum(count for _, _, count in buckets) for _, _, buckets in points]
            expect(f"server: {run}: {tag}", found, counts)


def main():
    nn, event_file = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        logs = pathlib.Path(folder)
        runs = write_runs(nn, event_file, logs)
        for run, expected in runs.items():
            check_files(run, expected, logs)
        check_server(runs, logs)
    for run, expected in runs.items():
        print(f"{run}: {expected['nodes']} nodes, {len(expected['scalars'])} scalars, "
              f"{len(expected['histograms'])} histograms: as TensorBoard reads them")


if __name__ == "__main__":
    try:
        main()
    except Mismatch as mismatch:
        sys.exit(f"error: {mismatch}")
