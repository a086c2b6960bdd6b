import pytest
import torch

from lib.rivals.meso_net import Inception, MesoNet, loss


@pytest.mark.parametrize(
    ("kind", "whole", "trainable"), [("meso4", 28_073, 27_977), ("meso_inception4", 28_725, 28_615)]
)
def test_the_published_parameters_are_there(kind, whole, trainable):
    model = MesoNet(kind)
    running = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    assert sum(p.numel() for p in model.parameters()) == trainable
    assert trainable + running == whole  # Keras counts the running statistics
    assert model.eval()(torch.rand(2, 3, 256, 256)).shape == (2,)


def test_an_inception_layer_keeps_the_size_and_concatenates_its_branches():
    assert Inception(3, (1, 4, 4, 2))(torch.rand(2, 3, 9, 7)).shape == (2, 11, 9, 7)


@pytest.mark.parametrize("kind", ["meso4", "meso_inception4"])
def test_every_parameter_learns_at_the_bundled_size(kind):
    torch.manual_seed(0)
    model = MesoNet(kind, size=64, drop_rate=0)
    value = loss(model, {"rgb": torch.rand(8, 3, 64, 64), "label": torch.tensor([0.0, 1] * 4)})
    value.backward()
    assert 0 < value < 1
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_the_loss_is_the_squared_error_of_the_probability():
    model = lambda rgb: torch.tensor([0.0, 0.0])
    assert loss(model, {"rgb": None, "label": torch.tensor([0, 1])}) == pytest.approx(0.25)


def test_a_wrong_option_or_image_gets_one_line_that_names_it():
    with pytest.raises(ValueError, match="kind: 'meso5' is not one of meso4, meso_inception4"):
        MesoNet("meso5")
    with pytest.raises(ValueError, match="size: .*multiple of 32, has 100"):
        MesoNet(size=100)
    with pytest.raises(ValueError, match=r"rgb: needs shape \(N, 3, 64, 64\)"):
        MesoNet(size=64)(torch.rand(1, 3, 32, 32))
