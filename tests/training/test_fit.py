"""lib.training.fit: a training that was killed, repeated or spread over processes must end where a plain one ends."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lib import paths
from lib.pel import network
from lib.training import checkpoints
from lib.training.device import seed_everything
from lib.training.fit import EpochSampler, fit, learning_rate_factor

PROGRAM = """
    import dataclasses, sys, time
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
    validate = lambda model: {{"val_loss": float(loss(model.cpu(), Pictures()[99][None]).detach())}}
    code = {{"code": ("lib.bts.re_synthesizer",)}}
    history = fit(model, loss, Pictures(), Settings(), "rdn", seed=1, depends_on=code, validate=validate,
                  monitor="val_loss", mode="min")
    print(history.to_json(orient="records"))
"""


def start(folder, pause=0.0, launcher=(sys.executable,), program=PROGRAM, gpu=False):
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


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.JSONDecoder().raw_decode(out, out.index("[{"))[0]  # two processes may write on one line


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return finish(start(folder)), load_file(folder / "checkpoints/rdn.safetensors")


def test_a_training_killed_in_the_middle_of_an_epoch_ends_as_if_it_had_not_been(tmp_path, undisturbed):
    process = start(tmp_path, pause=0.05)
    state = tmp_path / ".unfinished/rdn.pt"
    deadline = time.time() + 60
    while not state.exists() and time.time() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)  # into the second epoch
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert state.exists() and not (tmp_path / "checkpoints/rdn.safetensors").exists()
    history, weights = finish(start(tmp_path)), load_file(tmp_path / "checkpoints/rdn.safetensors")
    assert history == undisturbed[0]
    assert all(torch.equal(weights[key], value) for key, value in undisturbed[1].items())
    assert not state.exists()


def test_two_processes_follow_the_loss_curve_of_one_with_twice_the_batch_each(tmp_path, undisturbed):
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


def train_pel(name="pel", prepare=lambda model: None):
    """Train a PEL with Adam, in double precision: Adam enlarges the rounding errors of gradients that should be 0."""
    seed_everything(1)
    model = network.PEL("tf_efficientnet_lite0", pretrained=False, drop_rate=0).double()
    prepare(model)
    settings = Settings(epochs=3, batch_size=8, learning_rate=1e-3)
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
    from test_fit import normalise_by_halves, train_pel
    halves = train_pel("halves", normalise_by_halves).add_prefix("halves_")
    print(train_pel().join(halves).to_json(orient="records"))
"""
MORE = "import test_fit\nprint(test_fit.train_pel().to_json(orient='records'))"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The curves of one process that trains a PEL on a CPU: as usual, and with batch norm over halves of a batch."""
    return pd.DataFrame(finish(start(tmp_path_factory.mktemp("one"), program=ONE)))


def test_two_processes_of_torchrun_differ_from_one_by_their_batch_norm_and_by_nothing_else(tmp_path, one):
    two = pd.DataFrame(finish(start(tmp_path, program=MORE, launcher=TORCHRUN)))
    for curve in ("loss", "val_loss"):
        assert (two[curve] - one[f"halves_{curve}"]).abs().max() < 1e-6
        assert (two[curve] - one[curve]).abs().max() > 1e-3


@pytest.mark.gpu
def test_a_gpu_follows_the_curve_of_the_cpu(tmp_path, one):
    gpu = pd.DataFrame(finish(start(tmp_path, program=MORE, gpu=True)))
    assert (gpu["loss"] - one["loss"]).abs().max() < 1e-2  # the kernels of the noise block add up in single precision


@dataclass
class Settings:
    epochs: int = 4
    batch_size: int = 4
    learning_rate: float = 0.1


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.tensor([float(index)])


def squared(model, batch):
    return (model(batch) - 2 * batch).square().mean()


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    for name in ("CHECKPOINTS", "HISTORY", "UNFINISHED"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    return tmp_path


PLAIN = {"seed": 0, "depends_on": {}}


def linear():
    seed_everything(0)
    return torch.nn.Linear(1, 1)


def train_line(loss=squared, settings=None, **more):
    """Train a line, or load it; more: other arguments of `fit` than PLAIN."""
    return fit(linear(), loss, Numbers(), settings or Settings(), "line", **PLAIN | more)


def test_the_best_epoch_is_kept_not_the_last(outputs):
    scores = iter([0.5, 0.9, 0.7, 0.6])
    seen = []

    def validate(model):
        seen.append(model.weight.item())
        return {"val_auc": next(scores)}

    model = linear()
    fit(model, squared, Numbers(), Settings(), "line", validate=validate, **PLAIN)
    assert model.weight.item() == seen[1] != seen[-1]


def test_a_finished_training_is_loaded_and_a_changed_one_is_repeated(outputs):
    first = train_line(config={"model": {"in": 1}})
    written = (outputs / "checkpoints/line.safetensors").stat().st_mtime_ns
    again = train_line(config={"model": {"in": 1}})
    pd.testing.assert_frame_equal(first, again)
    assert (outputs / "checkpoints/line.safetensors").stat().st_mtime_ns == written
    other = train_line(settings=Settings(learning_rate=0.2), config={"model": {"in": 1}})
    assert not other.equals(first)


def test_the_configuration_travels_inside_the_weights(outputs):
    train_line(config={"model": {"in": 1}})
    state, config = checkpoints.load(outputs / "checkpoints/line.safetensors")
    assert config["model"] == {"in": 1} and set(state) == {"weight", "bias"}


def test_a_loss_that_is_not_a_number_stops_the_run_and_leaves_no_weights(outputs):
    with pytest.raises(RuntimeError, match="lower learning_rate"):
        train_line(lambda model, batch: model(batch).sum() * float("nan"))
    assert not (outputs / "checkpoints/line.safetensors").exists()


def test_the_learning_rate_warms_up_and_drops_where_the_recipe_says():
    factor = lambda epoch: learning_rate_factor(epoch, 30, warmup_epochs=3, decay=0.1, decay_at=(1 / 3, 2 / 3))
    assert factor(1.5) == pytest.approx(0.5)
    assert factor(9.9) == pytest.approx(1.0)
    assert factor(10) == pytest.approx(0.1)
    assert factor(20) == pytest.approx(0.01)


def test_images_come_in_another_order_each_epoch_and_with_each_seed():
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0)):
        sampler = EpochSampler(range(20), seed)
        sampler.set_epoch(epoch)
        orders.append(tuple(sampler))
    assert len(set(orders)) == 3 and orders[0] == orders[3] and sorted(orders[0]) == list(range(20))


def test_what_a_training_depends_on_is_trained_again_when_it_changes(outputs):
    train_line()
    changed = [{"depends_on": {"size": 64}}, {"seed": 1}, {"config": {"drop": 0.5}}, {"optimizer": "sgd"}, {}]
    weights = outputs / "checkpoints/line.safetensors"
    for more in changed:
        before = weights.stat().st_mtime_ns
        train_line(**more)
        assert weights.stat().st_mtime_ns != before, more
        again = weights.stat().st_mtime_ns
        train_line(**more)
        assert weights.stat().st_mtime_ns == again, more


def test_code_that_is_left_out_of_what_a_training_depends_on_is_an_error_before_it_starts(outputs):
    model = network.ChannelAttention(4)
    with pytest.raises(ValueError, match="^depends_on: its code leaves out lib.pel.network, which this training runs"):
        fit(model, squared, Numbers(), Settings(), "attention", seed=0, depends_on={"code": ("lib.data.items",)})


def test_the_files_of_a_training_can_be_read_by_a_colleague(outputs):
    train_line()
    mask = os.umask(0)
    os.umask(mask)
    for file in (outputs / "checkpoints/line.safetensors", outputs / "history/line.csv"):
        assert file.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_network_scores_the_same_fresh_from_its_training_as_loaded_from_disk(outputs, monkeypatch):
    monkeypatch.setattr("lib.training.fit.lower_precision", lambda device: torch.autocast("cpu", torch.bfloat16))
    model, loaded, dtypes, numbers = linear(), linear(), set(), torch.rand(9, 1)

    def low(model, batch):
        dtypes.add(model(batch).dtype)
        return squared(model, batch)

    fit(model, low, Numbers(), Settings(), "line", **PLAIN)
    loaded.load_state_dict(checkpoints.load(outputs / "checkpoints/line.safetensors")[0])
    assert dtypes == {torch.bfloat16}, "it was not trained under autocast"
    assert torch.equal(model(numbers), loaded(numbers))
