import pytest
import torch

from lib.rivals.add_net import ADDNet, loss
from lib.rivals.xception import Xception


def slim():
    torch.manual_seed(0)
    return ADDNet(pretrained=False, width=0.125).eval()


def test_a_mask_of_ones_is_xception_bit_for_bit():
    model, plain = slim(), Xception(pretrained=False, width=0.125).eval()
    plain.load_state_dict(model.state_dict())
    rgb = torch.rand(2, 3, 75, 75)
    with torch.no_grad():
        wanted = plain(rgb)
        assert torch.equal(model(rgb, torch.ones(2, 1, 75, 75)), wanted) and torch.equal(model(rgb), wanted)


def test_the_mask_adds_no_parameter_to_the_papers_size():
    with torch.device("meta"):
        model = ADDNet(pretrained=False)
    assert sum(p.numel() for p in model.parameters()) == 20_809_001


def test_the_mask_multiplies_in_five_places_averaged_to_each_size(monkeypatch):
    places, masked = [], ADDNet._masked

    def record(x, mask):
        places.append(tuple(x.shape[1:]))
        return masked(x, mask)

    monkeypatch.setattr(ADDNet, "_masked", staticmethod(record))
    with torch.device("meta"):
        model = ADDNet(pretrained=False)
        model(torch.rand(1, 3, 299, 299, device="meta"), torch.rand(1, 1, 299, 299, device="meta"))
    assert places == [(3, 299, 299), (64, 147, 147), (128, 74, 74), (256, 37, 37), (728, 19, 19)]
    mask = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert masked(torch.ones(1, 2, 2, 2), mask)[0, 1].flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_what_the_mask_hides_does_not_count():
    model, rgb = slim(), torch.rand(1, 3, 64, 64)
    mask = torch.ones(1, 1, 64, 64)
    mask[..., :32] = 0
    other = rgb.clone()
    other[..., :32] = torch.rand(1, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(model(rgb, mask), model(other, mask)) and not torch.equal(model(rgb), model(other))


def test_it_learns_from_batches_with_and_without_masks():
    model = slim().train()
    batch = {"rgb": torch.rand(4, 3, 64, 64), "label": torch.tensor([0.0, 1, 0, 1])}
    plain = loss(model, batch)
    masked = loss(model, {**batch, "mask": torch.rand(4, 1, 64, 64)})
    masked.backward()
    assert plain != masked and all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_mask_of_another_shape_is_named():
    with pytest.raises(ValueError, match=r"mask: needs shape \(2, 1, 64, 64\), has \(2, 64, 64\)"):
        slim()(torch.rand(2, 3, 64, 64), torch.rand(2, 64, 64))
