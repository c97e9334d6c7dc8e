"""How often do the rules call something on grids of known truth? False positives and power.

    python -m benchmarks.verdicts          # half an hour on two cores, then helpers/results/made_up_grids.csv

Made-up grids of the laptop's size: two data sets of 2,000 test texts, five seeds, runs that differ by about 2 points by
luck. Planted: max is better (everywhere, or turned round on the second model) by some log-odds.
"""

from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from helpers import course, records, rules
from tools.made_up import DATA, PAIR, results

TABLE = records.RESULTS / "made_up_grids.csv"
GRIDS = {"nothing": 1000, "max everywhere": 100, "max turns round on the second model": 100}
PART = 50  # grids that a process makes at a time, each part from a seed of its own
EFFECTS = (0.1, 0.2, 0.3, 0.5)  # log-odds


def plant(what: str, effect: float) -> dict:
    signs = {"max everywhere": (1, 1), "max turns round on the second model": (1, -1)}[what]
    return {(model, data, "max"): sign * effect for (model, sign), data in product(zip(PAIR, signs, strict=True), DATA)}


def judge(case: tuple[str, float, int]) -> pd.DataFrame:
    """One part of the grids of a case: what each rule called each of them, and max − mean on the first model."""
    what, effect, seed = case
    rng, rows = np.random.default_rng(seed), []
    for _ in range(PART):
        made = results(rng, plant(what, effect) if effect else None, n=2000)
        called = {rule.__name__: rule(made).verdict for rule in rules.JUDGES}
        rows.append(called | {"moved": made.effect("max", "mean", rules.FIRST, rules.AVERAGE).effect.value})
    return pd.DataFrame(rows).assign(planted=what, effect=effect)


def main() -> None:
    kinds = [("nothing", 0.0), *product(list(GRIDS)[1:], EFFECTS)]
    cases = [(what, effect) for what, effect in kinds for _ in range(GRIDS[what] // PART)]
    numbered = [(*case, seed) for seed, case in enumerate(cases)]
    with ProcessPoolExecutor(course.cores()) as workers:
        made = pd.concat(tqdm(workers.map(judge, numbered), total=len(numbered), unit="part"))
    names, rows = [rule.__name__ for rule in rules.JUDGES], []
    for (what, _), part in made.groupby(["planted", "effect"], sort=False):
        effects = ~part[names].isin([rules.NO_DIFFERENCE, rules.EQUAL])
        rows.append({"planted": what, "points on the first model": 100 * part.moved.mean(), "grids": len(part),
                     "any rule": effects.any(axis=1).mean(), **effects.mean(),
                     "shown to be equal": (part[names] == rules.EQUAL).any(axis=1).mean()})  # fmt: skip
    pd.DataFrame(rows).round(3).to_csv(TABLE, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
