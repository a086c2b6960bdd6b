"""lib.training.processes: a training that is spread over processes must end where that of one process ends."""

import sys
from dataclasses import dataclass

import pandas as pd
import pytest
import torch

from lib.pel import network
from lib.training.device import seed_everything
from lib.training.fit import fit

ALONE = (sys.executable,)
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def test_two_processes_follow_the_loss_curve_of_one_with_twice_the_batch_each(tmp_path, undisturbed, start, finish):
    launcher = (
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "0",
    )
    history = finish(start(tmp_path, launcher=launcher))
    for ours, alone in zip(history, undisturbed[0], strict=True):
        assert ours["loss"] == pytest.approx(alone["loss"], rel=1e-5)
        assert ours["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-5)


def test_a_training_goes_on_with_another_number_of_processes_as_one_process_would(
    tmp_path, undisturbed, monkeypatch, start, finish
):
    changes = {"fewer": (TORCHRUN, ALONE), "more": (ALONE, TORCHRUN)}
    for name in changes:
        (tmp_path / name).mkdir()
    monkeypatch.setenv("END_IN_EPOCH", "2")
    for process in [start(tmp_path / name, launcher=first) for name, (first, _) in changes.items()]:
        assert process.wait(timeout=120) != 0
    states = [torch.load(tmp_path / name / ".unfinished/rdn.pt", weights_only=True) for name in changes]
    assert [state["epoch"] for state in states] == [1, 1]
    monkeypatch.delenv("END_IN_EPOCH")
    for process in [start(tmp_path / name, launcher=then) for name, (_, then) in changes.items()]:
        for ours, alone in zip(finish(process), undisturbed[0], strict=True):
            assert ours["loss"] == pytest.approx(alone["loss"], rel=1e-5)
            assert ours["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-5)


APART = """
    import os
    os.environ["DEEPFAKE_OUTPUTS"] += os.environ["RANK"]
    from lib.training import processes
    processes.SEEN_WITHIN = 0.5
    try:
        processes.accelerator("rdn", 8)
    except RuntimeError as error:
        print('[{{"told": "%s"}}]' % error, flush=True)
    import torch
    torch.distributed.destroy_process_group()  # or its threads may abort a process that ends before the other
"""


def test_machines_that_do_not_share_a_disk_are_told_before_they_train_for_days(tmp_path, start, finish):
    assert "let DEEPFAKE_OUTPUTS name one on a disk that they share" in finish(
        start(tmp_path, launcher=TORCHRUN, program=APART))[0]["told"]  # fmt: skip


class Faces(torch.utils.data.Dataset):
    """Noise in double precision; what is called fake is brighter."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        rgb = torch.rand(3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(index))
        return {"rgb": rgb * (0.8 + 0.1 * (index % 2)), "label": torch.tensor(index % 2, dtype=torch.float64)}


def cross_entropy(model, batch):
    return torch.nn.functional.binary_cross_entropy_with_logits(model(batch["rgb"]), batch["label"])


def validate_on_others(model):
    others = torch.utils.data.default_collate([Faces()[index] for index in range(8, 16)])
    device = next(model.parameters()).device
    with torch.no_grad():
        return {"val_loss": cross_entropy(model, {key: value.to(device) for key, value in others.items()}).item()}


@dataclass
class Settings:
    epochs: int = 3
    batch_size: int = 8
    learning_rate: float = 1e-3


def train_pel(name="pel", prepare=lambda model: None):
    """Train a PEL with Adam, in double precision: Adam enlarges the rounding errors of gradients that should be 0."""
    seed_everything(1)
    model = network.PEL("tf_efficientnet_lite0", pretrained=False, drop_rate=0).double()
    prepare(model)
    settings = Settings()
    history = fit(model, cross_entropy, Faces(), settings, name, seed=1, depends_on={"code": ("lib.pel.network",)},
                  validate=validate_on_others, monitor="val_loss", mode="min")  # fmt: skip
    return history[["loss", "val_loss"]]


def normalise_by_halves(model):
    """Let each batch norm see the halves of a batch apart, as two processes do; only the first is remembered."""

    def halved(norm, whole):
        def forward(x):
            if not norm.training:
                return whole(x)
            first, second = x.chunk(2)
            first, norm.momentum, momentum = whole(first), 0.0, norm.momentum
            second, norm.momentum = whole(second), momentum
            return torch.cat([first, second])

        return forward

    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.forward = halved(norm, norm.forward)


ONE = """
    from test_processes import normalise_by_halves, train_pel
    halves = train_pel("halves", normalise_by_halves).add_prefix("halves_")
    print(train_pel().join(halves).to_json(orient="records"))
"""
MORE = "import test_processes\nprint(test_processes.train_pel().to_json(orient='records'))"


@pytest.fixture(scope="module")
def one(tmp_path_factory, start, finish):
    """The curves of one process that trains a PEL on a CPU: as usual, and with batch norm over halves of a batch."""
    return pd.DataFrame(finish(start(tmp_path_factory.mktemp("one"), program=ONE)))


def test_two_processes_of_torchrun_differ_from_one_by_their_batch_norm_and_by_nothing_else(
    tmp_path, one, start, finish
):
    two = pd.DataFrame(finish(start(tmp_path, program=MORE, launcher=TORCHRUN)))
    for curve in ("loss", "val_loss"):
        assert (two[curve] - one[f"halves_{curve}"]).abs().max() < 1e-6
        assert (two[curve] - one[curve]).abs().max() > 1e-3


@pytest.mark.gpu
def test_a_gpu_follows_the_curve_of_the_cpu(tmp_path, one, start, finish):
    gpu = pd.DataFrame(finish(start(tmp_path, program=MORE, gpu=True)))
    assert (gpu["loss"] - one["loss"]).abs().max() < 1e-2  # the kernels of the noise block add up in single precision
