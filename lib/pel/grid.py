"""`python -m lib.pel.grid` tries the same few learning rates for each network of PEL's Tables 1 to 3.

Each network is trained on data.forged once with each of RATES, and judged by the AUC on the validation people, who are
in no table. The result is results/tables/pel_grid.csv; the chosen rates are written into params.yaml by hand.
"""

import functools
import itertools

import pandas as pd

from lib import detectors, paths, preflight
from lib.params import ParamsError, load
from lib.pel import train
from lib.pel.sets import FaceSets
from lib.training.side_by_side import side_by_side

RATES = (0.001, 0.0003)


def attempt(job, table, faces, pel, pel_detectors, seed):
    """Train a network with a learning rate and return its row of the table; job: (name of the network, rate)."""
    name, rate = job
    budget = pel.training.replace(learning_rate=rate)
    _, history = train.train(detectors.entry(name), table, faces, budget, seed, f"pel_grid/{name}_{rate:g}",
                             pel=pel, pel_detectors=pel_detectors)  # fmt: skip
    best = history["val_auc"].idxmax()
    return {"detector": name, "learning_rate": rate, "val_auc": history["val_auc"][best],
            "epoch": history["epoch"][best], "epochs": len(history)}  # fmt: skip


def choose(found):
    """Return the rows of `attempt` as a DataFrame with a column `chosen`, 1 for the best rate of each network."""
    table = pd.DataFrame(found)
    best = table.groupby("detector")["val_auc"].idxmax()
    return table.assign(chosen=table.index.isin(best).astype(int))


def main():
    """Run the command line."""
    params = load()
    preflight.stop(params)
    sets = FaceSets(params.data, params.faces, params.pel_detectors, params.seed)
    work = functools.partial(attempt, table=sets.table(sets.own), faces=sets.seen(sets.own), pel=params.pel,
                             pel_detectors=params.pel_detectors, seed=params.training_seed)  # fmt: skip
    jobs = sorted(itertools.product(detectors.names("pel"), RATES), key=lambda job: job[0] != "PEL")
    table = choose(side_by_side(work, jobs, threads=params.machine.threads))
    file = paths.TABLES / "pel_grid.csv"
    paths.replace(file, lambda temporary: table.to_csv(temporary, index=False, float_format="%.4f"))
    print(table.to_string(index=False))


if __name__ == "__main__":
    try:
        main()
    except (ParamsError, ValueError) as error:
        raise SystemExit(str(error)) from None
