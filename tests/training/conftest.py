"""Trainings in processes of their own, alone or by a launcher of several."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lib import paths

PROGRAM = """
    import dataclasses, os, sys, time
    import torch
    from lib.bts.re_synthesizer import RDN
    from lib.training.device import seed_everything
    from lib.training.fit import fit, learning_rate_factor

    class Pictures(torch.utils.data.Dataset):
        def __len__(self): return 16
        def __getitem__(self, index):
            time.sleep({pause})
            return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(index))

    @dataclasses.dataclass
    class Settings:
        epochs: int = 3
        batch_size: int = 8
        learning_rate: float = 1e-3

    def loss(model, high_res):
        low_res = torch.nn.functional.avg_pool2d(high_res, 4)
        return (model(low_res) - high_res).abs().mean()

    seed_everything(1)
    model = RDN(num_features=8, growth_rate=8, num_blocks=2, num_layers=2)
    validated = []

    def validate(model):
        validated.append(float(loss(model.cpu(), Pictures()[99][None]).detach()))
        if len(validated) == int(os.environ.get("END_IN_EPOCH", 0)):
            os._exit(1)
        return {{"val_loss": validated[-1]}}

    code = {{"code": ("lib.bts.re_synthesizer",)}}
    history = fit(model, loss, Pictures(), Settings(), "rdn", seed=1, depends_on=code, validate=validate,
                  monitor="val_loss", mode="min")
    print(history.to_json(orient="records"))
"""


@pytest.fixture(scope="session")
def start():
    """A function that starts PROGRAM, or another one, with outputs in a folder, and returns the process."""

    def start_it(folder, pause=0.0, launcher=(sys.executable,), program=PROGRAM, gpu=False):
        file = folder / "program.py"
        file.write_text(textwrap.dedent(program.format(pause=pause)))
        environment = {
            **os.environ,
            "DEEPFAKE_OUTPUTS": str(folder),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (paths.ROOT, Path(__file__).parent))),
            **({} if gpu else {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}),
        }
        return subprocess.Popen(
            [*launcher, str(file)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start_it


@pytest.fixture(scope="session")
def finish():
    """A function that waits for such a process and returns the history that it prints."""

    def finish_it(process):
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return json.JSONDecoder().raw_decode(out, out.index("[{"))[0]  # two processes may write on one line

    return finish_it


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, start, finish):
    """The history and the weights of PROGRAM in one process that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return finish(start(folder)), load_file(folder / "checkpoints/rdn.safetensors")
