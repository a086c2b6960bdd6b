"""The detectors of Beyond the Spectrum's Tables 1 to 3: each is trained against one generator and scores every test.

`python -m lib.bts.score` trains them all, side by side, and writes their scores to
results/scores/bts/DETECTOR/SOURCE.csv, which notebooks 03 and 04 read. Trainings and scores that exist already are not
made again, unless something that they depend on has changed.
"""

import argparse
import functools
import itertools

import pandas as pd
from tqdm.auto import tqdm

from lib import detectors, paths, preflight
from lib.bts import re_synthesis, residuals, sets, testing, wiped
from lib.bts.train import part_file, train, weights
from lib.data import check, layouts
from lib.evaluation import score_files
from lib.evaluation.predict import opinions
from lib.params import ParamsError, load, one_of
from lib.training import checkpoints, staleness
from lib.training.side_by_side import side_by_side

SCENES = ("bedroom", "church")
COLUMNS = ["test", "label", "method", "video", "identity"]  # of a file of scores; those of `opinions` follow
SHOWN = [(name, sets.ALL) for name in ("SR", "Image")]  # trained in addition: notebook 03 shows them


def run(job, *, table, others, size, seed, scene="", sizes=None, residual_detectors, bts_detectors, **sections):
    """Train a detector against a source, score every test with it, and return the scores, as `read` does.

    job: (detector, source); table, others: as in `testing.tests`; size: side of an image in pixels; scene: "" or one of
    SCENES, whose images are then in `table`; sizes: {name in others: another side, at which detectors that take images
    of any size read this test}; the other arguments are sections of params.yaml. A training or a file of scores is made
    again only if something that it depends on has changed.
    """
    name, source = job
    model, _ = train(name, table, source, size, residual_detectors, seed, scene=scene,
                     bts_detectors=bts_detectors, **sections)  # fmt: skip
    key = staleness.key(
        weights=checkpoints.config(checkpoints.file(weights(name, source, scene)))["key"],
        images={test: staleness.images(images) for test, images in {"": table, **others}.items()},
        changes=[bts_detectors.curve_images, list(bts_detectors.curves)],
        seed=seed,
        sizes=sizes,
        code=(testing.__name__, "lib.evaluation.predict", *detectors.entry(name).code),
    )
    if not score_files.fresh(file(name, source, scene), key):
        parts = []
        sizes = sizes if sizes and model.size is None else {}
        all_tests = testing.tests(table, others, source, size, bts_detectors, seed, sizes)
        for test, images, items in tqdm(all_tests, desc="tests", unit="test", leave=False):
            parts.append(pd.concat([images[COLUMNS[1:]], opinions(model, items)], axis=1).assign(test=test))
        scored = pd.concat(parts, ignore_index=True)
        columns = [*COLUMNS, *(column for column in scored if column not in COLUMNS)]
        score_files.write(file(name, source, scene), scored[columns], key)
    return read(name, source, scene)


def run_group(jobs, **options):
    """Return [`run` of each job], within `residuals.keep`, because the jobs of a group read the same residuals."""
    with residuals.keep(options["residual_detectors"].in_memory):
        return [run(job, **options) for job in jobs]


def grouped(jobs, scene=""):
    """Return lists of jobs: jobs whose detectors share a re-synthesizer are in one list, every other job is alone."""
    groups = {}
    for job in jobs:
        shared = detectors.entry(job[0]).shares
        file = part_file(shared, scene)
        group = tuple(staleness.fingerprint(file)) if file.is_file() else shared or job
        groups.setdefault(group, []).append(job)
    return list(groups.values())


def read(name, source, scene=""):
    """Return the scores of a detector: a DataFrame with one row for each image of each test.

    Columns: COLUMNS, then those of `opinions`. Raises FileNotFoundError that names the stage to run.
    """
    return score_files.read(file(name, source, scene))


def file(name, source, scene=""):
    """Return the path of the scores of a detector."""
    return paths.RESULTS / "scores" / "bts" / scene / name / f"{source}.csv"


def further(test_sets, seed, limit=0):
    """Return {name: table} of those sets in the section test_sets whose folders exist."""
    there = {name: data_set for name, data_set in test_sets if check.is_there(data_set)}
    return {name: layouts.images(data_set, seed, limit) for name, data_set in there.items()}


def _remove_others(known, table):
    """Remove the weights, histories and scores of detectors that are no longer in the list `known`."""
    kept = {f"{name}_{source}" for name in known for source in sets.sources(table)}
    for folder in (paths.CHECKPOINTS / "bts", paths.HISTORY / "bts"):
        score_files.keep_only(folder, kept)
    for folder in (paths.RESULTS / "scores" / "bts").iterdir():
        if folder.name not in SCENES:
            score_files.keep_only(folder, sets.sources(table) if folder.name in known else ())


def main(arguments=None):
    """Run the command line; a wrong name or folder ends it with one line, not a traceback."""
    known = detectors.names("bts")
    parser = argparse.ArgumentParser(prog="python -m lib.bts.score", description=__doc__.splitlines()[0])
    parser.add_argument("detectors", metavar="DETECTOR", nargs="*", help=f"all by default: {', '.join(known)}")
    parser.add_argument("--source", nargs="+", help="generators to learn from, or all; those of params.yaml by default")
    parser.add_argument("--scene", default="", help=f"learn from scenes instead of faces: {', '.join(SCENES)}")
    options = parser.parse_args(arguments)
    whole = not (options.detectors or options.source or options.scene)
    try:
        params = load()
        preflight.stop(params)
        one_of("scene", options.scene, ("", *SCENES))
        for name in options.detectors:
            one_of("detector", name, known)
        limit, threads = params.re_synthesizer.limit, params.machine.threads
        roots = {"": params.data.generated, **dict(params.scenes)}
        there = [scene for scene in SCENES if check.is_there(roots[scene])]
        if options.scene and options.scene not in there:
            root = roots[options.scene].root or '""'
            raise FileNotFoundError(f"scenes.{options.scene}.root: no folder at {root}; Table 3 needs LSUN there")
        for scene in ["", *there] if whole else [options.scene]:
            table = layouts.images(roots[scene], params.seed, limit)
            others = {} if scene else further(params.test_sets, params.seed, limit)
            tested = {f"test_sets.{name}": (getattr(params.test_sets, name), other) for name, other in others.items()}
            own = f"scenes.{scene}" if scene else "data.generated"
            check.between({own: (roots[scene], table), **tested}, params.re_synthesizer.size)
            shared = params.re_synthesizer.replace(size=roots[scene].size or params.re_synthesizer.size)
            sources = options.source or ([sets.ALL] if scene else params.bts_detectors.sources)
            for source in sources:
                one_of("source", source, sets.sources(table))
            others = others | wiped.read(table, shared.size, params.seed, scene)
            if scene:  # the re-synthesizers of faces have their own stage in dvc.yaml
                re_synthesis.train_all(shared, table, params.training_seed, f"bts/{scene}/re_synthesizer", threads)
            jobs = list(itertools.product(options.detectors or known, sources))
            jobs = dict.fromkeys([*jobs, *SHOWN]) if whole else jobs
            jobs = sorted(jobs, key=lambda job: -known.index(job[0]))  # the last ones in `known` take longest
            work = functools.partial(
                run_group, table=table, others=others, seed=params.training_seed, scene=scene, size=shared.size,
                sizes={name: data_set.size for name, data_set in params.test_sets if data_set.size},
                re_synthesizer=shared, residual_detectors=params.residual_detectors, bts_detectors=params.bts_detectors,
            )  # fmt: skip
            groups = grouped(jobs, scene)
            found = side_by_side(work, groups, "detectors", threads=threads)
            for (name, source), scored in zip(itertools.chain(*groups), itertools.chain(*found), strict=True):
                for test, part in scored.groupby("test", sort=False):
                    right = ((part[scored.columns[-1]] > 0.5) == part["label"]).mean()
                    print(f"{name} against {source}, {test}: {right:.1%} of {len(part)} right")
            if whole and not scene:
                _remove_others(known, table)
    except (ParamsError, FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
