"""Weights of generators and forgers on disk, in half precision: the bundled ones must stay small."""

import copy

from lib import paths
from lib.training import checkpoints


def write(model, path, **config):
    """Write the weights of `model`, with `config` (anything JSON can hold) as metadata."""
    checkpoints.save(copy.deepcopy(model).half(), path, config)


def read(path, remedy):
    """Return (state_dict, config) of a file; raises FileNotFoundError, with the remedy, where there is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{paths.show(path)}: no such weights; {remedy}")
    return checkpoints.load(path)
