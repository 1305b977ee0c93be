"""Fits the weights that turn evidence about a phrase into a score, and says how good they are on the other half.

    belvedere-evidence --pictures DIR --half both --form each --check-every-region --dump evidence.jsonl
    python fit_scores.py evidence.jsonl

Fitted on the even scenes, reported on the odd ones. Logistic regression with a little weight decay, over phrases that
got a box (without one the score is 0); then the bias is moved so that the default threshold 0.4 lies where one absent
phrase in a hundred of the fitted half alarms. Prints the constants for models/src/evidence/score.rs. Needs numpy only.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np

FLOOR, SPREAD = -12.0, 8.0
CHEAP = ["location", "label", "contrast"]
FULL = [*CHEAP, "region", "margin"]
THRESHOLD = 0.4
FALSE_ALARMS = 0.01


def parts(evidence: dict) -> dict[str, float]:
    """As score.rs reads them."""
    region = max(evidence.get("region") or 0.0, FLOOR)
    rival = evidence.get("rival")
    return {
        "location": max(math.log(max(evidence["location"], 1e-30)), FLOOR),
        "label": max(evidence["label"], FLOOR),
        "contrast": min(max(evidence["contrast"], -SPREAD), SPREAD),
        "region": region,
        "margin": 0.0 if rival is None else min(max(region - max(rival, FLOOR), -SPREAD), SPREAD),
    }


def fit(x: np.ndarray, y: np.ndarray, decay: float = 1.0) -> np.ndarray:
    """Weights, the bias last: Newton's method on the penalised likelihood of standardised parts. No part may count
    against its own sign: all of them are larger for what is there."""
    mean, scale = x.mean(0), x.std(0) + 1e-6
    active = list(range(x.shape[1]))
    while True:
        design = np.c_[(x - mean)[:, active] / scale[active], np.ones(len(x))]
        weights = np.zeros(design.shape[1])
        for _ in range(50):
            p = 1 / (1 + np.exp(-design @ weights))
            penalty = np.full(design.shape[1], decay)
            penalty[-1] = 0
            gradient = design.T @ (p - y) + penalty * weights
            hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty + 1e-9)
            weights -= np.linalg.solve(hessian, gradient)
        negative = [part for part, weight in zip(active, weights) if weight < 0]
        if not negative:
            break
        active = [part for part in active if part not in negative]
    full = np.zeros(x.shape[1] + 1)
    full[active] = weights[:-1] / scale[active]
    full[-1] = weights[-1] - (full[:-1] * mean).sum()
    return full


def area(present: np.ndarray, absent: np.ndarray) -> float:
    wins = (present[:, None] > absent[None]).mean() + 0.5 * (present[:, None] == absent[None]).mean()
    return float(wins)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump", type=Path)
    args = parser.parse_args()
    frames = [json.loads(line) for line in args.dump.read_text().splitlines()]
    truth = np.array([frame["is_there"] for frame in frames])
    even = np.array([frame["scene"] % 2 == 0 for frame in frames])
    has_box = np.array([frame["evidence"] is not None for frame in frames])
    empty = dict.fromkeys(FULL, 0.0)
    rows = [parts(frame["evidence"]) if frame["evidence"] else empty for frame in frames]
    print(f"{even.sum()} phrases fitted, {(~even).sum()} reported")
    sums = {}
    for name, used in (("cheap", CHEAP), ("full", FULL)):
        x = np.array([[row[part] for part in used] for row in rows])
        chosen = even & has_box
        weights = fit(x[chosen], truth[chosen].astype(float))
        total = x @ weights[:-1] + weights[-1]
        total[~has_box] = -np.inf
        absent = np.sort(total[even & ~truth])
        limit = absent[math.ceil((1 - FALSE_ALARMS) * len(absent)) - 1]
        # Halfway to the lowest present phrase above it, so that the limit is not one picture's.
        above = total[even & truth & (total > limit)]
        limit = (limit + above.min()) / 2 if len(above) else limit
        weights[-1] += math.log(THRESHOLD / (1 - THRESHOLD)) - limit
        total += math.log(THRESHOLD / (1 - THRESHOLD)) - limit
        sums[name] = total
        values = dict(zip([*used, "bias"], weights))
        fields = ", ".join(f"{part}: {values.get(part, 0.0):.3f}" for part in ["bias", *FULL])
        print(f"{name}: Weights {{ {fields} }},")
    doubt = (0.02, 0.98)
    score = {name: 1 / (1 + np.exp(-total)) for name, total in sums.items()}
    doubtful = (score["cheap"] >= doubt[0]) & (score["cheap"] <= doubt[1])
    score["gated"] = np.where(doubtful, score["full"], score["cheap"])
    for name, values in score.items():
        for half, of in (("fitted", even), ("reported", ~even)):
            present, absent = values[of & truth], values[of & ~truth]
            print(
                f"{name:6} {half:9} area {area(present, absent):.4f}  alarms at {THRESHOLD}: "
                f"{(present >= THRESHOLD).mean():.3f} of present, {(absent >= THRESHOLD).mean():.4f} of absent"
            )
    print(f"in doubt: {doubtful[has_box].mean():.3f} of those with a box")


if __name__ == "__main__":
    main()
