"""lib.training.fit: a training that was killed or repeated must end where a plain one ends."""

import os
import signal
import time
import types
from dataclasses import dataclass

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lib import paths
from lib.pel import network
from lib.training import checkpoints
from lib.training.device import seed_everything
from lib.training.fit import EpochSampler, fit, learning_rate_factor


def test_a_training_killed_in_the_middle_of_an_epoch_ends_as_if_it_had_not_been(tmp_path, undisturbed, start, finish):
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


def test_processes_wait_for_a_long_validation_and_a_batch_that_they_cannot_share_is_one_line(outputs, monkeypatch):
    given = {}
    several = lambda **options: given.update(options) or types.SimpleNamespace(num_processes=8)
    monkeypatch.setattr("accelerate.Accelerator", several)
    with pytest.raises(ValueError, match="^line: batch_size 4 is not shared .* 8 processes; start one of 1, 2, 4$"):
        train_line()
    assert given["kwargs_handlers"][0].timeout.days >= 1


def test_the_best_epoch_is_kept_not_the_last(outputs):
    scores = iter([0.5, 0.9, 0.7, 0.6])
    seen = []

    def validate(model):
        seen.append(model.weight.item())
        return {"val_auc": next(scores)}

    model = linear()
    fit(model, squared, Numbers(), Settings(learning_rate=0.05), "line", validate=validate, **PLAIN)
    assert [torch.tensor(w).half().item() == model.weight.item() for w in seen] == [False, True, False, False]


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
