"""Weights on disk: safetensors files with their configuration inside."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from lib import paths


def save(model, path, config):
    """Write the weights of `model` to a safetensors file, `config` (anything JSON can hold) inside it."""
    state = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    metadata = {key: json.dumps(value) for key, value in config.items()}
    paths.replace(path, lambda temporary: save_file(state, temporary, metadata))


def load(path):
    """Read a file that `save` wrote: (state_dict, config).

    Raises FileNotFoundError, with what makes the file, and ValueError for a file that is not safetensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{paths.show(path)}: no such weights; `make repro` trains them, or give another file")
    try:
        return load_file(path), _config(path)
    except SafetensorError as error:
        raise ValueError(
            f"{paths.show(path)}: not a readable safetensors file ({error}); remove it and train again"
        ) from None


def _config(path):
    with safe_open(path, "pt") as file:
        return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
