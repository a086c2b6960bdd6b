"""The detectors of Beyond the Spectrum's Tables 1 to 3: each is trained against one generator and scored on every test.

`python -m lib.bts.score` does so with all of them, side by side, and writes results/scores/bts/DETECTOR/SOURCE.csv,
which notebooks 03 and 04 read. What is trained and scored already, and depends on nothing that has changed, stays.
"""

import argparse
import functools
import itertools

import pandas as pd
from tqdm.auto import tqdm

from lib import detectors, paths
from lib.bts import re_synthesis, sets, testing, wiped
from lib.bts.train import train, weights
from lib.data import layouts
from lib.evaluation import score_files
from lib.evaluation.predict import opinions
from lib.params import ParamsError, load, one_of
from lib.training import checkpoints, staleness
from lib.training.side_by_side import side_by_side

SCENES = ("bedroom", "church")
COLUMNS = ["test", "label", "method", "video", "identity"]  # of a file of scores, before those of `opinions`
SHOWN = [(name, sets.ALL) for name in ("SR", "Image")]  # trained beside those of the tables: notebook 03 shows them


def run(job, *, table, others, size, seed, scene="", residual_detectors, bts_detectors, **sections):
    """Train a detector against a source and score every test, or what of that is not fresh: the table of `read`.

    job: (detector, source); table, others: as of `tests`; scene: "" or one of SCENES, whose images the table holds; the
    others are sections of params.yaml.
    """
    name, source = job
    model, _ = train(name, table, source, size, residual_detectors, seed, scene=scene,
                     bts_detectors=bts_detectors, **sections)  # fmt: skip
    key = staleness.key(
        weights=checkpoints.config(checkpoints.file(weights(name, source, scene)))["key"],
        images={test: staleness.images(images) for test, images in {"": table, **others}.items()},
        changes=[bts_detectors.curve_images, list(bts_detectors.curves)],
        seed=seed,
        code=(testing.__name__, "lib.evaluation.predict", *detectors.entry(name).code),
    )
    if not score_files.fresh(file(name, source, scene), key):
        parts = []
        all_tests = testing.tests(table, others, source, size, bts_detectors, seed)
        for test, images, items in tqdm(all_tests, desc="tests", unit="test", leave=False):
            parts.append(pd.concat([images[COLUMNS[1:]], opinions(model, items)], axis=1).assign(test=test))
        scored = pd.concat(parts, ignore_index=True)
        columns = [*COLUMNS, *(column for column in scored if column not in COLUMNS)]
        score_files.write(file(name, source, scene), scored[columns], key)
    return read(name, source, scene)


def read(name, source, scene=""):
    """Return the scores of a detector: a DataFrame of COLUMNS and those of `opinions`, one row an image a test.

    Raises FileNotFoundError, in one line that names the stage, where they are not there.
    """
    return score_files.read(file(name, source, scene))


def file(name, source, scene=""):
    """Return the path of the scores of a detector."""
    return paths.RESULTS / "scores" / "bts" / scene / name / f"{source}.csv"


def further(test_sets, seed, limit=0):
    """Return {name: table} of the sets of a section test_sets whose folders are there."""
    there = {name: data_set for name, data_set in test_sets if paths.resolve(data_set.root).is_dir()}
    return {name: layouts.images(data_set, seed, limit) for name, data_set in there.items()}


def _remove_others(known, table):
    """Remove weights, histories and scores of detectors that are on the list no longer."""
    kept = {f"{name}_{source}" for name in known for source in sets.sources(table)}
    for folder in (paths.CHECKPOINTS / "bts", paths.HISTORY / "bts"):
        score_files.keep_only(folder, kept)
    for folder in (paths.RESULTS / "scores" / "bts").iterdir():
        if folder.name not in SCENES:
            score_files.keep_only(folder, sets.sources(table) if folder.name in known else ())


def main(arguments=None):
    """Run the command line; ends with a line instead of a trace where a name or a folder is wrong."""
    known = detectors.names("bts")
    parser = argparse.ArgumentParser(prog="python -m lib.bts.score", description=__doc__.splitlines()[0])
    parser.add_argument("detectors", metavar="DETECTOR", nargs="*", help=f"all by default: {', '.join(known)}")
    parser.add_argument("--source", nargs="+", help="generators to learn from, or all; those of params.yaml by default")
    parser.add_argument("--scene", default="", help=f"learn from scenes instead of faces: {', '.join(SCENES)}")
    options = parser.parse_args(arguments)
    whole = not (options.detectors or options.source or options.scene)
    try:
        params = load()
        one_of("scene", options.scene, ("", *SCENES))
        for name in options.detectors:
            one_of("detector", name, known)
        limit, threads = params.re_synthesizer.limit, params.machine.threads
        roots = {"": params.data.generated, **dict(params.scenes)}
        there = [scene for scene in SCENES if paths.resolve(roots[scene].root).is_dir()]
        if options.scene and options.scene not in there:
            root = roots[options.scene].root
            raise FileNotFoundError(f"scenes.{options.scene}.root: no folder at {root}; Table 3 needs LSUN there")
        for scene in ["", *there] if whole else [options.scene]:
            table = layouts.images(roots[scene], params.seed, limit)
            sources = options.source or ([sets.ALL] if scene else params.bts_detectors.sources)
            for source in sources:
                one_of("source", source, sets.sources(table))
            others = further(params.test_sets, params.seed, limit)
            others |= wiped.read(table, params.re_synthesizer.size, params.seed, scene)
            if scene:  # those of the faces have a stage of their own
                re_synthesis.train_all(
                    params.re_synthesizer, table, params.seed, f"bts/{scene}/re_synthesizer", threads
                )
            jobs = list(itertools.product(options.detectors or known, sources))
            jobs = dict.fromkeys([*jobs, *SHOWN]) if whole else jobs
            jobs = sorted(jobs, key=lambda job: -known.index(job[0]))  # the last of the list take longest
            work = functools.partial(
                run, table=table, others=others, seed=params.seed, scene=scene,
                size=params.re_synthesizer.size, re_synthesizer=params.re_synthesizer,
                residual_detectors=params.residual_detectors, bts_detectors=params.bts_detectors,
            )  # fmt: skip
            for (name, source), scored in zip(
                jobs, side_by_side(work, jobs, "detectors", threads=threads), strict=True
            ):
                for test, part in scored.groupby("test", sort=False):
                    right = ((part[scored.columns[-1]] > 0.5) == part["label"]).mean()
                    print(f"{name} against {source}, {test}: {right:.1%} of {len(part)} right")
            if whole and not scene:
                _remove_others(known, table)
    except (ParamsError, FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
