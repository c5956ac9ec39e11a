"""One library in a process of its own, asked by compare.py over pipes: a JSON object a line, one answer to each.

{"do": "forms", "task": T}                names of the forms in which it does a task
{"do": "check", "task": T, "form": F}     builds the form; gives the figures to check
{"do": "run", "task": T, "form": F}       does it once; gives the seconds
{"do": "drop"}                            forgets all forms, and so their memory
"""

import gc
import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path


def main() -> None:
    peer, directory, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(**content):
        answers.write(json.dumps(content) + "\n")

    def attempt(call, *arguments):
        try:
            answer(ok=call(*arguments))
        except Exception as error:  # whatever a library throws is a fact to report, not the end
            traceback.print_exc()
            answer(error=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:300])

    import problem as problems

    problem = problems.load(directory)
    library, forms = None, {}

    def open_library():
        nonlocal library
        module, _, variant = peer.partition("/")
        library = importlib.import_module(f"peer_{module}").open_peer(problem, threads, variant)
        return library.versions()

    def do(ask):
        key = (ask.get("task"), ask.get("form"))
        match ask["do"]:
            case "forms":
                return library.forms(ask["task"])
            case "check":
                forms[key] = library.make(*key)
                return forms[key].check()
            case "run":
                form = forms[key]
                start = time.perf_counter()
                form.run()
                return (time.perf_counter() - start) / form.calls
            case "drop":
                forms.clear()
                gc.collect()

    attempt(open_library)
    for line in sys.stdin:
        attempt(do, json.loads(line))


if __name__ == "__main__":
    main()
