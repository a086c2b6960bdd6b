"""The weights that MesoNet's authors published: `python -m lib.rivals.meso_official Meso4_DF.h5 ...`.

Each file, written by Keras as HDF5, becomes checkpoints/official/NAME.safetensors, which `python -m lib.detect
--checkpoint` reads. With --score, the test faces of params.yaml are scored, too, into results/scores/official.
Source: the folder weights of github.com/DariusAf/MesoNet, Apache-2.0.
"""

import argparse
import re
from pathlib import Path

import h5py
import torch
from torch import nn

from lib import detectors, paths
from lib.evaluation import score_files
from lib.params import load
from lib.pel import testing
from lib.pel.sets import FaceSets
from lib.rivals.meso_net import KINDS, MesoNet
from lib.training import checkpoints, staleness
from lib.training.device import device

SIZE = 256
LAYERS = {"conv2d": nn.Conv2d, "batch_normalization": nn.BatchNorm2d, "dense": nn.Linear}
NAMES = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
         "moving_variance": "running_var"}  # fmt: skip


def read(path):
    """Return (kind, MesoNet in eval mode) whose weights lie in an HDF5 file of Keras.

    Keras keeps a kernel as (height, width, in, out), flattens maps as (height, width, channels), and numbers layers in
    the order of their creation. In the published networks real = 1, so the signs of the last layer are changed.
    Raises FileNotFoundError, and ValueError with the path for a file that holds other weights.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with h5py.File(path) as file:
            layers = _layers(file)
        for kind in KINDS:
            model = MesoNet(kind, SIZE)
            modules = [module for layer in LAYERS.values() for module in model.modules() if isinstance(module, layer)]
            if len(modules) == len(layers):
                for module, layer in zip(modules, layers, strict=True):
                    module.load_state_dict(_ours(layer), strict=False)
                last = model.classifier[-1]
                with torch.no_grad():
                    last.weight.neg_(), last.bias.neg_()
                return kind, model.eval()
        raise ValueError(f"{len(layers)} layers")
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise ValueError(f"{path}: not the weights of Meso-4 or MesoInception-4 ({line})") from None


def _layers(file):
    """Return the arrays of each layer, [{name of Keras: array}], kind by kind as in LAYERS."""
    found = {}

    def add(name, item):
        match = re.search(r"(conv2d|batch_normalization|dense)_(\d+)/(\w+):0$", name)
        if match and isinstance(item, h5py.Dataset):
            kind, number, part = match.groups()
            found.setdefault((list(LAYERS).index(kind), int(number)), {})[part] = torch.tensor(item[()])

    file.visititems(add)
    return [found[place] for place in sorted(found)]


def _ours(layer):
    """Return the arrays of a layer with PyTorch's names and order of dimensions."""
    turned = {}
    if "kernel" in layer:
        kernel, channels = layer["kernel"], 16  # of the last maps, and of the hidden layer
        of_places = lambda: kernel.unflatten(0, (-1, channels)).permute(2, 1, 0).flatten(1)
        turned["kernel"] = kernel.permute(3, 2, 0, 1) if kernel.dim() == 4 else of_places()
    return {NAMES[name]: array for name, array in (layer | turned).items()}


def convert(path, faces):
    """Write the weights of an HDF5 file as a checkpoint of this project, and return its path.

    faces: the section of params.yaml that tells `lib.detect` how to cut faces for it; their size becomes SIZE.
    """
    (kind, model), file = read(path), checkpoints.file(f"official/{Path(path).stem}")
    cut = faces.replace(size=SIZE).model_dump(exclude={"workers"})
    config = {"detector": "MesoNet", "options": {"kind": kind, "size": SIZE}, "faces": cut}
    checkpoints.save(model, file, config)
    return file


def score(file, sets):
    """Write the scores of the test faces of a FaceSets by a checkpoint to results/scores/official; returns the path."""
    entry, model = detectors.entry("MesoNet"), detectors.restore(*checkpoints.load(file)).to(device())
    tests = {name: sets.test(name) for name in sets.names}
    table = testing.scores(entry, model, tests, SIZE).assign(train="official")
    path = paths.RESULTS / "scores" / "official" / f"{file.stem}.csv"
    score_files.write(path, table[testing.COLUMNS], staleness.key(weights=staleness.fingerprint(file)))
    return path


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lib.rivals.meso_official", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="such as Meso4_DF.h5")
    parser.add_argument("--score", action="store_true", help="score the test faces of params.yaml with each")
    given, params = parser.parse_args(arguments), load()
    sets = FaceSets(params.data, params.faces, params.pel_detectors, params.seed) if given.score else None
    for path in given.files:
        try:
            file = convert(path, params.faces)
        except (FileNotFoundError, ValueError) as error:
            raise SystemExit(str(error)) from None
        print(f"{paths.show(file)}: python -m lib.detect --checkpoint {paths.show(file)} PATH")
        if sets:
            print(f"{paths.show(score(file, sets))}: the scores of its test faces")


if __name__ == "__main__":
    main()
