"""`python -m lib.pel.score [DETECTOR ...]` trains detectors of forged faces and writes the score of each test face.

By default these are all detectors of PEL's Tables 1 to 3 (Gu et al., AAAI 2022). Trainings and scores that exist
already are not made again, unless something that they depend on has changed.
"""

import argparse
from pathlib import Path

import pandas as pd

from lib import detectors, paths, preflight
from lib.evaluation import score_files
from lib.params import ParamsError, load, one_of
from lib.pel import testing, train
from lib.pel.sets import FaceSets, spread
from lib.training import checkpoints, staleness
from lib.training.side_by_side import side_by_side


def file(name):
    """Return the path of the scores of a detector."""
    return paths.RESULTS / "scores" / f"{train.weights(name)}.csv"


def run(name, sets, pel, pel_detectors, seed):
    """Train a detector on each training set of a FaceSets, and write the scores of all test faces: testing.COLUMNS.

    The tests: the test faces of each set, and up to `curve_images` test faces of the training set after each change of
    perturb.PEL_TABLE3.
    """
    entry, path = detectors.entry(name), file(name)
    tests = {test: sets.test(test) for test in sets.names}
    models, few, keys = {}, {}, {}
    for source in sets.training():
        own = source == sets.own
        weights = train.weights(name, "" if own else source)
        budget = train.budget(name, pel, pel_detectors)
        sections = {"pel": pel, "pel_detectors": pel_detectors}
        models[source], _ = train.train(entry, sets.table(source), sets.seen(source), budget, seed, weights, **sections)
        few[source] = spread(tests[source], pel_detectors.curve_images)
        keys[source] = [checkpoints.config(checkpoints.file(weights))["key"], staleness.images(few[source])]
    images = {test: staleness.images(table) for test, table in tests.items()}
    sizes = {source: sets.seen(source).size for source in models}
    key = staleness.key(trained=keys, tests=images, size=sizes, seed=sets.seed, code=(testing.__name__, *entry.code))
    if score_files.fresh(path, key):
        return
    parts = []
    for source, model in models.items():
        unchanged = testing.scores(entry, model, tests, sizes[source])
        changed = testing.changed_scores(entry, model, few[source], sizes[source], sets.seed)
        parts.append(pd.concat([unchanged, changed]).assign(train=source))
    score_files.write(path, pd.concat(parts)[testing.COLUMNS], key)


def run_all(names, sets, pel, pel_detectors, seed, threads=1):
    """Call `run` for each detector, PEL first, as it takes longest; threads: as in `side_by_side`."""
    sets.cut()
    names = sorted(names, key=lambda name: name != "PEL")
    side_by_side(lambda name: run(name, sets, pel, pel_detectors, seed), names, threads=threads)


def read(names=None):
    """Return the scores of detectors (default: all of "pel") as one table; its column network names the detector.

    Raises FileNotFoundError that names the stage to run if a detector has no scores.
    """
    names = detectors.names("pel") if names is None else names
    return pd.concat([score_files.read(file(name)).assign(network=name) for name in names], ignore_index=True)


def main(arguments=None):
    tables = detectors.names("pel")
    known = [*tables, *detectors.names("more")]
    parser = argparse.ArgumentParser(prog="python -m lib.pel.score", description=__doc__.splitlines()[0])
    parser.add_argument(
        "detectors", nargs="*", metavar="DETECTOR", help=f"{', '.join(known)}; {', '.join(tables)} by default"
    )
    parser.add_argument("--every", action="store_true", help="also train on the sets of seeds_train_on in params.yaml")
    given = parser.parse_args(arguments)
    if unknown := set(given.detectors) - set(known):
        parser.error(f"{min(unknown)!r} is not one of {', '.join(known)}")
    params = load()
    for name in params.pel_detectors.learning_rates:
        one_of("pel_detectors.learning_rates", name, known)
    preflight.stop(params)
    settings = params.pel_detectors
    if given.every:
        settings = settings.replace(train_on=[*settings.train_on, *settings.seeds_train_on])
    sets = FaceSets(params.data, params.faces, settings, params.seed)
    names, threads = given.detectors or tables, params.machine.threads
    run_all(names, sets, params.pel, settings, params.training_seed, threads)
    if not given.detectors:
        others = [source for source in sets.training() if source != sets.own]
        stems = {Path(train.weights(name, source)).name for name in known for source in ("", *others)}
        for folder in (paths.CHECKPOINTS, paths.HISTORY, paths.RESULTS / "scores"):
            score_files.keep_only(folder / "pel", stems)


if __name__ == "__main__":
    try:
        main()
    except ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
    except ValueError as error:
        raise SystemExit(str(error)) from None
