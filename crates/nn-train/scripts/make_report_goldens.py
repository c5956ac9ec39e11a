"""Writes tests/golden/report-*.json: labels, predictions and what scikit-learn's classification_report says of them.

    pip install scikit-learn==1.9.1
    python scripts/make_report_goldens.py
"""
import json
import pathlib

import numpy as np
import sklearn
from sklearn.metrics import classification_report, confusion_matrix

OUT = pathlib.Path(__file__).parent.parent / "tests" / "golden"


def guesses(rng, classes, n, skill):
    truth = rng.integers(0, classes, n)
    wrong = rng.integers(0, classes, n)
    return truth, np.where(rng.random(n) < skill, truth, wrong)


def case(name, classes, truth, predicted, digits=2):
    truth, predicted = np.asarray(truth, int), np.asarray(predicted, int)
    labels = range(classes)
    options = dict(labels=labels, zero_division=0)
    hits = (truth == predicted).any()
    scores = classification_report(truth, predicted, output_dict=True, **options)
    golden = {
        "made_by": f"scikit-learn {sklearn.__version__}",
        "classes": classes,
        "digits": digits,
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "confusion_matrix": confusion_matrix(truth, predicted, labels=labels).tolist(),
        "scores": scores,
        # Without a single hit scikit-learn prints the supports as "2.0" (it counts them in floats then): not for us.
        "text": classification_report(truth, predicted, digits=digits, **options) if hits else None,
    }
    (OUT / f"report-{name}.json").write_text(json.dumps(golden) + "\n")


rng = np.random.default_rng(20240229)
OUT.mkdir(parents=True, exist_ok=True)
case("ten-classes", 10, *guesses(rng, 10, 500, 0.9))
case("four-digits", 10, *guesses(rng, 10, 500, 0.6), digits=4)
# Class 2 is never predicted, class 3 never occurs, class 4 neither.
case("empty-classes", 5, [0, 0, 1, 2, 2, 1], [0, 1, 1, 0, 3, 3])
case("all-wrong", 2, [0, 0, 1], [1, 1, 0])
case("perfect", 3, [0, 1, 2, 2], [0, 1, 2, 2])
# Exact halves in the last printed digit: 1/8, 3/8, 5/8.
case("ties", 3, [0] * 8 + [1] * 8 + [2] * 8, [0] + [1] * 7 + [1] * 3 + [2] * 5 + [2] * 5 + [0] * 3)
case("thirteen-digits", 12, *guesses(rng, 12, 300, 0.8), digits=13)
