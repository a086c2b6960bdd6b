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
