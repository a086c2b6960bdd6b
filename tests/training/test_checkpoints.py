"""lib.training.checkpoints: weights that cannot be read are one line that says what makes them."""

import pytest
import torch

from lib.training import checkpoints


def test_missing_weights_are_named_with_the_stage_that_makes_them(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"^checkpoints/pel/None\.safetensors: no .* `dvc repro pel_detectors` tr"
    ):
        checkpoints.load(checkpoints.file("pel/None"))
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors: no such weights; `make repro` trains them"):
        checkpoints.load(tmp_path / "nothing.safetensors")


def test_weights_that_are_a_text_file_are_named(tmp_path):
    (tmp_path / "bad.safetensors").write_text("not weights")
    with pytest.raises(ValueError, match=r"bad\.safetensors: not a readable safetensors file"):
        checkpoints.load(tmp_path / "bad.safetensors")


def test_weights_come_back_with_their_configuration(tmp_path):
    model = torch.nn.Linear(2, 1)
    checkpoints.save(model, tmp_path / "line.safetensors", {"options": {"in": 2}})
    state, config = checkpoints.load(tmp_path / "line.safetensors")
    assert config == {"options": {"in": 2}}
    assert torch.equal(state["weight"], model.weight) and torch.equal(state["bias"], model.bias)
    assert checkpoints.config(tmp_path / "nothing.safetensors") == {}


def test_what_is_loaded_gives_the_very_scores_of_what_was_saved_in_half_the_bytes(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.BatchNorm1d(64)).eval()
    model[1].running_var.fill_(1 / 3)  # statistics are kept in 32 bits
    model[1].weight.data.fill_(1e6)  # beyond 16 bits
    before = model(torch.ones(3, 64)).clone()
    checkpoints.save(model, tmp_path / "model.safetensors", {})
    twin = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.BatchNorm1d(64)).eval()
    twin.load_state_dict(checkpoints.load(tmp_path / "model.safetensors")[0])
    assert torch.equal(twin(torch.ones(3, 64)), model(torch.ones(3, 64)))
    assert twin[1].running_var[0] == torch.tensor(1 / 3) and twin[1].weight[0] == 1e6
    torch.testing.assert_close(model(torch.ones(3, 64)), before, atol=0, rtol=5e-3)
    assert (tmp_path / "model.safetensors").stat().st_size < 2 * 64 * 64 + 3000
