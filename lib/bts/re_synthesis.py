"""The re-synthesizers learn from photographs: `python -m lib.bts.re_synthesis` trains SR, SR+C and SR+D."""

import functools

import pandas as pd

from lib import paths, preflight
from lib.bts.degradations import TASKS
from lib.bts.patches import Patches
from lib.bts.perceptual import Perceptual, equations, reconstruction
from lib.bts.re_synthesizer import RDN, load_released, rdn_options
from lib.bts.residuals import TrainedRDN
from lib.bts.sets import rows
from lib.data import check, layouts
from lib.data.items import FaceImages
from lib.params import ParamsError
from lib.params import load as load_params
from lib.training import checkpoints, staleness
from lib.training.device import device, seed_everything
from lib.training.fit import fit
from lib.training.side_by_side import side_by_side

NAMES = {"SR": "", "SR+C": "C", "SR+D": "D"}  # name: the Omega that it learns to undo, a key of TASKS
CODE = ("lib.bts.degradations", "lib.bts.patches", "lib.bts.perceptual", "lib.data.items")  # these decide the result


def train(settings, table, name, seed, folder="re_synthesizer"):
    """Train Phi on the photographs of a table, or load it: (RDN, its history, with the equation of each epoch).

    settings: the section re_synthesizer; name: one of NAMES; folder: where its weights and history are.
    `pixel_epochs` epochs with Eq. 1 (stored as NAME_pixel), then `epochs` with Eq. 3. As in the released code: one
    patch of each photograph an epoch, Adam, and in both parts the learning rate is halved after 30, 60 and 90 % of the
    epochs. The epoch with the smallest loss on the photographs of the validation people is kept, or on `validate_on` of
    them, always the same. If `weights` names released weights, they are loaded instead, and the history has one row,
    epoch 0.
    """
    seed_everything(seed)
    model = RDN(**rdn_options(settings)).start_as_repetition()
    perceptual = Perceptual(settings.perceptual).to(device())
    photographs, others = rows(table, "train", 0), rows(table, "val", 0)
    if settings.validate_on:
        others = others.sample(min(settings.validate_on, len(others)), random_state=seed).reset_index(drop=True)
    held_out = FaceImages(others, settings.size)
    patches = Patches(FaceImages(photographs, settings.size), photographs, settings.patch, seed)
    equation1, equation3 = equations(perceptual, TASKS[NAMES[name]], settings)
    file, config = f"{folder}/{name}", {"options": rdn_options(settings)}

    def validate(model):
        found = reconstruction(model, perceptual, held_out, settings)
        return {f"val_{part}": found[part] for part in ("loss", "pixel", "stages")}

    if settings.weights:
        load_released(model, paths.resolve(settings.weights)).to(device()).eval()
        history = pd.DataFrame([{"epoch": 0, **validate(model)}])
        checkpoints.save(model, checkpoints.file(file), config)
        paths.replace(paths.HISTORY / f"{file}.csv", lambda temporary: history.to_csv(temporary, index=False))
        return model, history.assign(equation="released")
    images = [staleness.images(part) for part in (photographs, others)]
    depends_on = {"images": images, "task": NAMES[name], "code": CODE}
    recipe = {"seed": seed, "depends_on": depends_on, "validate": validate, "mode": "min", "config": config,
              "decay": 0.5, "decay_at": (0.3, 0.6, 0.9)}  # fmt: skip
    parts = {}
    if settings.pixel_epochs:
        first = settings.replace(epochs=settings.pixel_epochs, learning_rate=settings.pixel_learning_rate)
        parts["Eq. 1"] = fit(model, equation1, patches, first, f"{file}_pixel", monitor="val_pixel", **recipe)
    parts["Eq. 3"] = fit(model, equation3, patches, settings, file, monitor="val_loss", **recipe)
    history = pd.concat([part.assign(equation=equation) for equation, part in parts.items()], ignore_index=True)
    return model, history.assign(epoch=history.index + 1)


def train_all(settings, table, seed, folder="re_synthesizer", threads=1):
    """Train all of NAMES and return {name: history}; threads: as in `side_by_side`."""
    work = functools.partial(_history, settings, table, seed=seed, folder=folder)
    return dict(zip(NAMES, side_by_side(work, NAMES, desc="re-synthesizers", threads=threads), strict=True))


def _history(settings, table, name, **options):
    return train(settings, table, name, **options)[1]


def load(name="SR", folder="re_synthesizer"):
    """Return the trained re-synthesizer `name`, without gradients; raises FileNotFoundError that names the stage."""
    state, config = checkpoints.load(checkpoints.file(f"{folder}/{name}"))
    model = TrainedRDN(**config["options"])
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def main():
    """Run the command line; a mistake in params.yaml or a missing file ends it with one line, not a traceback."""
    try:
        params = load_params()
        preflight.stop(params)
        settings = params.re_synthesizer
        table = layouts.images(params.data.generated, params.seed, settings.limit)
        check.between({"data.generated": (params.data.generated, table)}, settings.size)
        for name, history in train_all(settings, table, params.training_seed, threads=params.machine.threads).items():
            print(f"{name}: loss {history['val_loss'].min():.4f} on photographs of other people")
    except (ParamsError, FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
