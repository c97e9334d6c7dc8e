"""How often do the rules call something on grids of known truth? False positives and power.

    python -m benchmarks.verdicts          # then benchmarks/verdicts.csv

Made-up grids of the laptop's size: two data sets of 2,000 test texts, five seeds, runs that differ by about 2 points by
luck. Planted: max is better (everywhere, or turned round on the second model) by some log-odds.
"""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from helpers import rules
from tools.made_up import DATA, PAIR, results

TABLE = Path(__file__).with_name("verdicts.csv")
GRIDS = {"nothing": 1000, "max everywhere": 200, "max turns round on the second model": 200}
EFFECTS = (0.1, 0.2, 0.3, 0.5)  # log-odds


def plant(what: str, effect: float) -> dict:
    signs = {"max everywhere": (1, 1), "max turns round on the second model": (1, -1)}[what]
    return {(model, data, "max"): sign * effect for (model, sign), data in product(zip(PAIR, signs, strict=True), DATA)}


def main() -> None:
    rng, rows = np.random.default_rng(0), []
    cases = [("nothing", 0.0), *product(list(GRIDS)[1:], EFFECTS)]
    for what, effect in cases:
        called, moved = [], []
        for _ in tqdm(range(GRIDS[what]), desc=f"{what}, {effect}"):
            made = results(rng, plant(what, effect) if effect else None, n=2000)
            called.append([rule(made).verdict for rule in rules.JUDGES])
            moved.append(made.effect("max", "mean", rules.FIRST, rules.AVERAGE).effect.value)
        frame = pd.DataFrame(called, columns=[rule.__name__ for rule in rules.JUDGES])
        effects = ~frame.isin([rules.NO_DIFFERENCE, rules.EQUAL])
        rows.append({"planted": what, "points on the first model": 100 * np.mean(moved), "grids": len(frame),
                     "any rule": effects.any(axis=1).mean(), **effects.mean(),
                     "shown to be equal": (frame == rules.EQUAL).any(axis=1).mean()})  # fmt: skip
    pd.DataFrame(rows).round(3).to_csv(TABLE, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
