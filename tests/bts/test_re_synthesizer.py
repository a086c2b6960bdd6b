import numpy as np
import pytest
import torch

from lib.bts.re_synthesizer import RDN, box_mean, load_released

SMALL = dict(num_features=8, growth_rate=4, num_blocks=2, num_layers=2)


def released_names(num_blocks, num_layers):
    """The layers of the public RDN-pytorch at x4, written down from its checkpoints' keys."""
    dense = [f"rdbs.{b}.layers.{i}.conv" for b in range(num_blocks) for i in range(num_layers)]
    fusion = [f"rdbs.{b}.lff" for b in range(num_blocks)]
    layers = ["sfe1", "sfe2", *dense, *fusion, "gff.0", "gff.1", "upscale.0", "upscale.2", "output"]
    return {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_the_released_re_synthesizers_fit():
    model = RDN()
    assert sum(p.numel() for p in model.parameters()) == 22_271_107
    assert set(model.state_dict()) == released_names(16, 8)
    assert len(model.state_dict()) == 302
    per_part = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    ends = {"sfe1": 1_792, "sfe2": 36_928, "upscale": 295_424, "output": 1_731}
    assert per_part == {**ends, "rdbs": 21_832_704, "gff": 102_528}


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"epoch": 3, "state_dict": state}])
def test_a_released_checkpoint_loads_bare_or_wrapped(tmp_path, wrap):
    trained, fresh = RDN(**SMALL), RDN(**SMALL)
    torch.save(wrap(trained.state_dict()), tmp_path / "sr.pth")
    low_res = torch.rand(1, 3, 6, 6)
    torch.testing.assert_close(load_released(fresh, tmp_path / "sr.pth")(low_res), trained(low_res))


def test_weights_of_another_network_are_refused_in_one_line(tmp_path):
    torch.save(RDN(**SMALL).state_dict(), tmp_path / "sr.pth")
    with pytest.raises(ValueError, match="re_synthesizer") as error:
        load_released(RDN(**{**SMALL, "num_blocks": 3}), tmp_path / "sr.pth")
    assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"re_synthesizer\.weights"):
        load_released(RDN(**SMALL), tmp_path / "none.pth")


@pytest.mark.parametrize("factor", [2, 4])
def test_an_image_comes_back_at_another_size(factor):
    low_res = torch.rand(1, 3, 24, 20)
    assert RDN(**SMALL, factor=factor)(low_res).shape == (1, 3, 24 * factor, 20 * factor)


def test_an_unknown_factor_is_named():
    with pytest.raises(ValueError, match="factor: 3"):
        RDN(**SMALL, factor=3)


def test_the_forward_pass_is_the_paper_s():
    """A second implementation of Zhang et al.'s Fig. 2-3, from the weights by name."""
    model = RDN(**SMALL)
    weights = model.state_dict()
    low_res = torch.rand(2, 3, 5, 7)

    def conv(name, x):
        weight = weights[f"{name}.weight"]
        return torch.nn.functional.conv2d(x, weight, weights[f"{name}.bias"], padding=weight.shape[-1] // 2)

    shallow = conv("sfe1", low_res)
    x, outputs = conv("sfe2", shallow), []
    for block in range(2):
        first = conv(f"rdbs.{block}.layers.0.conv", x).clamp(min=0)
        second = conv(f"rdbs.{block}.layers.1.conv", torch.cat([x, first], 1)).clamp(min=0)
        x = x + conv(f"rdbs.{block}.lff", torch.cat([x, first, second], 1))
        outputs.append(x)
    x = shallow + conv("gff.1", conv("gff.0", torch.cat(outputs, 1)))
    for name in ("upscale.0", "upscale.2"):
        n, c, h, w = (grown := conv(name, x)).shape
        x = grown.view(n, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)
    torch.testing.assert_close(model(low_res), conv("output", x), rtol=1e-4, atol=1e-5)


def test_training_starts_from_a_plain_enlargement_not_from_noise():
    low_res = torch.rand(1, 3, 8, 6)
    repeated = torch.nn.functional.interpolate(low_res, scale_factor=4)
    torch.testing.assert_close(RDN(**SMALL).start_as_repetition()(low_res), repeated)


def test_x_down_is_the_exact_mean_of_each_box():
    levels = np.random.default_rng(0).integers(0, 256, (1, 3, 16, 24))
    strided = sum(levels[..., i::4, j::4] for i in range(4) for j in range(4)) / 16  # as the released code adds
    down = box_mean(torch.from_numpy(levels).double() / 255)
    np.testing.assert_allclose(down.numpy() * 255, strided, atol=1e-9)


def test_boxes_that_do_not_tile_the_image_are_refused():
    with pytest.raises(ValueError, match="30x32"):
        box_mean(torch.rand(1, 3, 30, 32))


def test_the_re_synthesizer_sees_nothing_but_x_down():
    model, rgb = RDN(**SMALL), torch.rand(1, 3, 16, 16)
    shuffled = rgb.view(1, 3, 4, 4, 4, 4).flip(3, 5).reshape(1, 3, 16, 16)  # other pixels inside each box, same mean
    assert not torch.equal(rgb, shuffled)
    torch.testing.assert_close(model.re_synthesize(rgb), model.re_synthesize(shuffled))


class Kept:
    """Counts the numbers that autograd keeps for the backward pass."""

    count = 0

    def pack(self, x):
        self.count += x.numel()
        return x

    def unpack(self, x):
        return x


def test_training_with_little_memory_gives_the_same_gradients():
    low_res, gradients = torch.rand(1, 3, 8, 8), []
    for checkpoint in (False, True):
        torch.manual_seed(0)
        model = RDN(num_features=8, growth_rate=8, num_blocks=2, num_layers=2, checkpoint=checkpoint)
        kept = Kept()
        with torch.autograd.graph.saved_tensors_hooks(kept.pack, kept.unpack):
            output = model(low_res)
        output.square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
        gradients[-1].append(kept.count)
    (*plain, all_of_it), (*recomputed, little) = gradients
    assert all(torch.equal(a, b) for a, b in zip(plain, recomputed, strict=True))
    assert little < all_of_it / 4
