"""The test images after +E and +P, which wipe the traces of fakes, as files that every detector reads.

`python -m lib.bts.wiped` writes them to wiped/E and wiped/P, those of the scenes to wiped/SCENE/E and wiped/SCENE/P.
The work is done by processes of this machine, or with `--scheduler ADDRESS` by the workers of a running dask cluster.
Images that are up to date are kept, so a killed run continues.
"""

import argparse
import functools
import shutil
from pathlib import Path

import joblib
import numpy as np

from lib import paths
from lib.bts import sets
from lib.data import check, jobs, layouts, perturb
from lib.data.image import read_image, resize
from lib.ops import equalization, spectra
from lib.params import ParamsError, load
from lib.training import staleness

CODE = {"E": ("lib.data.perturb", "lib.ops.equalization"), "P": ("lib.data.perturb",)}
AT_ONCE = 64  # photographs whose spectra are added up in one job


def make(table, size, seed, scene="", **how):
    """Write the test images of a table of photographs and GAN images after +E and +P, unless they are up to date.

    The paper changes the fakes alone. Here photographs are changed, too, to find out whether a detector sees the change
    itself. size: of the images in pixels; seed: of the draws of +P; scene: name of their folder; how: workers, client,
    as in `jobs.run`. Returns what `read` does. Raises ValueError that names an image that cannot be equalized.
    """
    given, changes = _given(table, size, seed, scene), {"E": None, "P": perturb.chain}
    if not _finished(given["E"], "E"):
        changes["E"] = functools.partial(_equalize, spectrum=spectrum(table, size, scene, **how))
    for kind, change in changes.items():
        work = functools.partial(perturb.write_changed, change=change, size=size, seed=seed)
        _finish(work, given[kind], kind, f"+{kind} {size}px", "image", how)
    return _tables(table, given)


def read(table, size, seed, scene=""):
    """Return {"E", "P"}: the table of the test images, with the paths of the files that `make` has written of them.

    Raises FileNotFoundError in one line that names the command, if files are missing or were made of other images.
    """
    given = _given(table, size, seed, scene)
    for kind in given:
        if not _finished(given[kind], kind):
            folder = paths.show(paths.WIPED / scene / kind)
            raise FileNotFoundError(f"{folder}: images are missing or out of date; run `python -m lib.bts.wiped`")
    return _tables(table, given)


def spectrum(table, size, scene="", **how):
    """Return the spectrum that +E imposes: the mean azimuthal power (3, rings) of the training photographs in [0, 1].

    It is computed once and kept next to the images; how: as in `make`.
    """
    photographs, given = sets.rows(table, "train", 0)["path"].tolist(), []
    for number, start in enumerate(range(0, len(photographs), AT_ONCE)):
        part = photographs[start : start + AT_ONCE]
        source = [size, *map(staleness.fingerprint, part)]
        given.append((paths.WIPED / scene / "spectrum" / f"{number:04d}", source, part))
    work = functools.partial(_mean_spectrum, size=size)
    records = _finish(work, given, "E", f"spectra {size}px", "part", how)
    return np.average([r["spectrum"] for r in records], axis=0, weights=[r["count"] for r in records])


def _given(table, size, seed, scene):
    """Return {"E", "P"}: the jobs (folder, source, path, name) of all test images, for `jobs.finish`."""
    wanted, found = staleness.images(sets.rows(table, "train", 0)), {"E": [], "P": []}
    for number, row in enumerate(sets.rows(table, "test").itertuples()):
        name, state = f"{row.method}/{Path(row.path).name}", [size, *staleness.fingerprint(row.path)]
        for kind, source in (("E", [*state, wanted]), ("P", [*state, seed, name])):
            found[kind].append((paths.WIPED / scene / kind / f"{number:06d}", source, row.path, name))
    return found


def _tables(table, given):
    """Return the tables that `read` does, of finished jobs."""
    test, file = sets.rows(table, "test"), perturb.changed_file
    return {kind: test.assign(path=[str(file(folder, path)) for folder, _, path, _ in done])
            for kind, done in given.items()}  # fmt: skip


def _finished(given, kind):
    code = staleness.code(*CODE[kind])
    return all(jobs.fresh_record(job, code) for job in given)


def _finish(work, given, kind, name, unit, how):
    """Call `jobs.finish`, and remove the folders of images that are no longer tested."""
    setting = "LOKY_MAX_CPU_COUNT (processes at a time)"
    records = jobs.finish(work, given, staleness.code(*CODE[kind]), name, unit=unit, setting=setting, **how)
    for folder in {folder.parent for folder, *_ in given}:
        for other in set(folder.iterdir()) - {folder for folder, *_ in given}:
            shutil.rmtree(other)
    return records


def _equalize(image, rng, spectrum):
    return equalization.equalize_image(image, spectrum)


def _mean_spectrum(folder, photographs, size):
    images = (np.moveaxis(resize(read_image(path), size), -1, 0) / 255 for path in photographs)
    return {"spectrum": spectra.mean_spectrum(images).tolist(), "count": len(photographs)}


def main(arguments=None):
    """Run the command line; a mistake in params.yaml or a missing file ends it with one line, not a traceback."""
    parser = argparse.ArgumentParser(prog="python -m lib.bts.wiped", description=__doc__.splitlines()[0])
    parser.add_argument("--scheduler", metavar="ADDRESS", help=jobs.SCHEDULER)
    options = parser.parse_args(arguments)
    try:
        params = load()
        limit = params.re_synthesizer.limit
        client = jobs.client_of(options.scheduler)
        for scene, root in {"": params.data.generated, **dict(params.scenes)}.items():
            if not scene or check.is_there(root):
                table, size = layouts.images(root, params.seed, limit), root.size or params.re_synthesizer.size
                found = make(table, size, params.seed, scene, workers=joblib.cpu_count(), client=client)
                for kind, changed in found.items():
                    print(f"{len(changed)} images of {root.root} after +{kind}")
    except (ParamsError, FileNotFoundError, RuntimeError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
