"""Weights on disk, in 16 bits: safetensors files that also hold the configuration of the network."""

import json
import subprocess
import sys
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from lib import paths


def file(name):
    """Return the path of the weights `name`, such as "pel/PEL"."""
    return paths.CHECKPOINTS / f"{name}.safetensors"


@torch.no_grad()
def save(model, path, config):
    """Write the weights of `model` and `config` (a dict that JSON can hold) to a safetensors file.

    Parameters are rounded to 16 bits (unless one would overflow), also in `model` itself, so that whoever loads the
    file gets exactly the scores of `model`. Buffers are not rounded, because the mean of a frequency may be hundreds of
    times its deviation.
    """
    learned, state = dict(model.named_parameters()), {}
    for key, value in model.state_dict().items():
        half = value.half() if key in learned else value
        state[key] = (half if half.isfinite().all() else value).cpu().contiguous().clone()
        value.copy_(state[key])
    metadata = {key: json.dumps(value) for key, value in config.items()}
    paths.replace(path, lambda temporary: save_file(state, temporary, metadata))


def load(path):
    """Read a file that `save` wrote: (state_dict in 32 bits, config).

    Raises FileNotFoundError that names the stage to run, and ValueError for a file that is not safetensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{paths.show(path)}: no such weights; `{maker(path)}` trains them")
    try:
        state = load_file(path)
        return {k: v.float() if v.dtype == torch.float16 else v for k, v in state.items()}, config(path)
    except SafetensorError as error:
        raise ValueError(
            f"{paths.show(path)}: not a readable safetensors file ({error}); remove it and train again"
        ) from None


def fetched(path):
    """Return the path of weights; those that a fresh clone lacks are first fetched from the remote inside it, once."""
    if not path.is_file() and path.is_relative_to(paths.ROOT / "checkpoints"):
        inside = str(path.relative_to(paths.ROOT))
        subprocess.run([sys.executable, "-m", "dvc", "pull", "--quiet", inside], cwd=paths.ROOT, capture_output=True)
        if path.is_file():
            print(f"{inside}: fetched from bundled/, once", file=sys.stderr)
    return path


def config(path):
    """Return the configuration inside a safetensors file, or {} if there is no file."""
    if not Path(path).is_file():
        return {}
    with safe_open(path, "pt") as weights:
        return {key: json.loads(value) for key, value in (weights.metadata() or {}).items()}


def maker(path):
    """Return the command that makes a file: that of its stage in dvc.yaml, or `make repro` if no stage has it."""
    folders = {"checkpoints": paths.CHECKPOINTS, "results": paths.RESULTS}
    inside = next((Path(k, path.relative_to(f)) for k, f in folders.items() if path.is_relative_to(f)), path)
    for name, stage in yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())["stages"].items():
        outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage.get("outs", ())]
        if any(inside.is_relative_to(out) for out in outs):
            return f"dvc repro {name}"
    return "make repro"
