"""Each detector learns the other's fakes: Beyond the Spectrum from forged faces, PEL from images of a generator.

`python -m lib.cross_training` trains both detectors; notebook 10 compares them with all others.
"""

import functools

from lib import detectors, paths, preflight
from lib.bts import residuals, sets
from lib.bts import train as bts_train
from lib.data import layouts
from lib.evaluation import score_files
from lib.params import ParamsError, load
from lib.pel import train as pel_train
from lib.pel.sets import FaceSets
from lib.training.side_by_side import side_by_side

PER_VIDEO = 5  # frames of each video: enough for Beyond the Spectrum


def train(file, *, forged, photos, generator, faces, seed, re_synthesizer, residual_detectors, pel):
    """Train one of the two detectors, or load it: (model, its history).

    file: its name in `files`; forged: table of faces cut out of videos; photos: table of photographs and GAN images;
    generator: whose images PEL learns from; seed: params.training_seed; the others are sections of params.yaml.
    The re-synthesizer is not trained again: it has seen photographs alone, as its paper demands.
    """
    if file == "cross/BTS_forged":
        frames = forged.drop(columns="mask", errors="ignore").groupby("video", sort=False).head(faces.frames_per_video)
        few = frames[frames.groupby("video").cumcount() % max(1, faces.frames_per_video // PER_VIDEO) == 0]
        with residuals.keep(residual_detectors.in_memory):
            return bts_train.train("SR", few, sets.ALL, re_synthesizer.size, residual_detectors, seed, file=file,
                                   re_synthesizer=re_synthesizer)  # fmt: skip
    learned = photos.iloc[sets.of_source(photos, generator)]
    return pel_train.train(detectors.entry("PEL"), learned, faces, pel.training, seed, file, pel=pel)


def files(generator):
    """Return the names of the weights, for `checkpoints.file`: {(detector, what it learns from): name}."""
    return {("BTS", "forged"): "cross/BTS_forged", ("PEL", generator): f"cross/PEL_{generator}"}


def _history(file, options):
    return train(file, **options)[1]


def main():
    """Run the command line; a mistake in params.yaml or a missing file ends it with one line, not a traceback."""
    try:
        params = load()
        preflight.stop(params)
        generator = params.bts_detectors.sources[0]
        face_sets = FaceSets(params.data, params.faces, params.pel_detectors, params.seed)
        options = {
            "forged": face_sets.table(face_sets.own), "generator": generator, "faces": params.faces,
            "photos": layouts.images(params.data.generated, params.seed, params.re_synthesizer.limit),
            "seed": params.training_seed, "re_synthesizer": params.re_synthesizer, "pel": params.pel,
            "residual_detectors": params.residual_detectors,
        }  # fmt: skip
        names = list(files(generator).values())
        work = functools.partial(_history, options=options)
        for name, history in zip(names, side_by_side(work, names, threads=params.machine.threads), strict=True):
            print(f"{name}: best AUC on the validation people {history['val_auc'].max():.3f}")
        for folder in (paths.CHECKPOINTS, paths.HISTORY):
            score_files.keep_only(folder / "cross", {name.removeprefix("cross/") for name in names})
    except (ParamsError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
