"""Weights of generators and forgers on disk, in half precision, because the bundled ones must stay small."""

import copy

from lib import paths
from lib.training import checkpoints


def write(model, path, **config):
    """Write the weights of `model`, with `config` (anything JSON can hold) as metadata."""
    checkpoints.save(copy.deepcopy(model).half(), path, config)


def load(path, remedy, build):
    """Return build(config) with the weights of a file, in evaluation mode and without gradients.

    Raises FileNotFoundError, with the remedy, if there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{paths.show(path)}: no such weights; {remedy}")
    state, config = checkpoints.load(path)
    state = {name.replace("_grey.", "_image."): value for name, value in state.items()}  # the bundled ones: older names
    model = build(config)
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)
