import pytest
import timm
import torch

from lib.rivals.multi_att import Attention, MultiAtt, RegionalLoss, TextureEnhancement, hide, loss

LITE = "tf_efficientnet_lite0"
UNUSED = 3_586  # the public code keeps the classifier of its EfficientNet, which nothing reads


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    return {"rgb": torch.rand(4, 3, 64, 64, generator=generator), "label": torch.tensor([0.0, 1, 0, 1])}


@pytest.fixture
def lite():
    torch.manual_seed(0)
    return MultiAtt(LITE, pretrained=False)


def test_each_part_has_the_published_parameters():
    with torch.device("meta"):
        model = MultiAtt(pretrained=False)
        assert model(torch.rand(2, 3, 380, 380, device="meta")).shape == (2,)
    parts = {name: count(part) for name, part in model.named_children() if count(part)}
    assert parts == {
        "trunk": 17_552_202 - UNUSED, "attention": 231_528, "texture": 199_032, "local": 90_624, "final": 459_008,
        "ensemble": 131_842,
    }  # fmt: skip
    assert count(model) == 18_664_236 - UNUSED


def test_features_have_the_published_shapes_and_the_weights_that_timm_offers_fit_name_by_name():
    name, shapes = "tf_efficientnet_b4.ap_in1k", {}
    with torch.device("meta"):
        model, theirs = MultiAtt(name, pretrained=False).eval(), timm.create_model(name)
        for stage in (0, 4):
            keep = lambda module, args, out, stage=stage: shapes.update({stage: tuple(out.shape[1:])})
            model.trunk.blocks[stage].register_forward_hook(keep)
        model.trunk.bn2.register_forward_hook(lambda module, args, out: shapes.update(last=tuple(out.shape[1:])))
        assert model.attention_maps(torch.rand(1, 3, 380, 380, device="meta")).shape == (1, 4, 24, 24)
    # 23 and 11 in the public code, whose padding is that of 380 pixels at every layer
    assert shapes == {0: (24, 190, 190), 4: (160, 24, 24), "last": (1792, 12, 12)}
    ours, theirs = ({key: x.shape for key, x in network.state_dict().items()} for network in (model.trunk, theirs))
    assert {key for key in theirs if ours.get(key) != theirs[key]} == {"classifier.weight", "classifier.bias"}


def test_attention_is_never_negative_and_zero_on_two_of_24_cells_of_the_rim():
    torch.manual_seed(0)
    maps = Attention(5, 4)(torch.randn(2, 5, 24, 24))
    assert maps.shape == (2, 4, 24, 24) and maps.min() == 0
    rim = maps.clone()
    rim[..., 2:-2, 2:-2] = 0
    assert not rim.any() and maps[..., 2:-2, 2:-2].gt(0).all()
    assert Attention(5, 4)(torch.randn(2, 5, 8, 8))[..., 1:-1, 1:-1].gt(0).all()


def test_the_texture_of_each_attention_map_is_its_own():
    block = TextureEnhancement(3, 2).eval()
    x, attention = torch.randn(1, 3, 16, 16), torch.rand(1, 2, 4, 4)
    textures, pooled = block(x, attention)
    assert textures.shape == (1, 2, 3, 16, 16) and pooled.shape == (1, 3, 4, 4)
    other = attention.clone()
    other[:, 1] = 0
    changed, _ = block(x, other)
    assert torch.equal(changed[:, 0], textures[:, 0]) and not torch.equal(changed[:, 1], textures[:, 1])


def test_what_pooling_keeps_is_no_texture():
    block = TextureEnhancement(3, 2).eval()
    flat, brighter = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    torch.nn.init.dirac_(block.extract.weight)
    brighter[:, :, 4:8, 8:12] = 3.0  # one cell of the pooled map
    attention = torch.rand(1, 2, 4, 4)
    torch.testing.assert_close(block(flat, attention)[0], block(brighter, attention)[0])


def test_the_regional_loss_is_the_one_worked_out_by_hand():
    regional = RegionalLoss(2, 1, rate=0.5)
    features = torch.tensor([[[1.0], [0.0]], [[0.0], [0.5]]])  # a real and a fake image, two maps of one feature
    value = regional(features, torch.tensor([0, 1]))
    # Centers: half the mean of (1, 0) of the real and nothing of the fake: (0.25, 0).
    within = ((0.75 - 0.1) + (2 - (0.25**2 + 0.5**2) ** 0.5)) / 2
    between = (0.5 - 0.25) / (2 * 0.5)
    assert value.item() == pytest.approx(within + between)
    assert regional.centers.flatten().tolist() == pytest.approx([0.25, 0.0])


def test_fakes_do_not_move_the_centers_nor_does_evaluation_and_their_rate_falls_each_epoch():
    regional = RegionalLoss(2, 1, rate=0.5, epoch_steps=1)
    features = torch.ones(2, 2, 1)
    regional(features, torch.tensor([1, 1]))
    assert not regional.centers.any()
    regional.eval()(features, torch.tensor([0, 0]))
    assert not regional.centers.any()
    regional.train()(features, torch.tensor([0, 0]))
    assert regional.centers.flatten().tolist() == pytest.approx([0.45, 0.45])  # 0.5 * 0.9: the second step


def test_hiding_blurs_where_one_map_looks_and_nowhere_else():
    torch.manual_seed(0)
    x = torch.rand(3, 3, 64, 64) * 2 - 1
    attention = torch.zeros(3, 2, 8, 8)
    attention[..., 1:3, 1:3] = 1
    hidden, index = hide(x, attention)
    change = (hidden - x).abs().mean(1)
    assert index.shape == (3,) and torch.equal(hidden[..., 40:, :], x[..., 40:, :])
    assert change[:, 9:26, 9:26].mean() > 0.1


def test_the_losses_are_told_one_by_one_and_their_weighted_sum_is_minimised(lite, batch):
    losses = loss(lite, batch)
    parts = [losses[f"loss_{name}"].item() for name in ("class", "regional", "hidden", "match")]
    assert losses["loss"].item() == pytest.approx(parts[0] + 0.5 * parts[1] + parts[2] + 0.1 * parts[3], rel=1e-5)
    assert all(part > 0 for part in parts)


def test_every_parameter_learns(lite, batch):
    loss(lite, batch)["loss"].backward()
    assert [name for name, p in lite.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_scores_do_not_change_from_one_call_to_the_next_once_trained(lite, batch):
    lite.eval()
    with torch.no_grad():
        assert torch.equal(lite(batch["rgb"]), lite(batch["rgb"])) and lite(batch["rgb"]).shape == (4,)
        assert lite.attention_maps(batch["rgb"]).shape == (4, 4, 4, 4)


def test_the_cheaper_texture_runs(batch):
    assert MultiAtt(LITE, pretrained=False, n_maps=2, texture_stage=1)(batch["rgb"]).shape == (4,)


def test_a_wrong_backbone_or_image_gets_one_line_that_names_it(lite):
    with pytest.raises(ValueError, match="resnet18"):
        MultiAtt("resnet18", pretrained=False)
    with pytest.raises(ValueError, match="rgb: needs shape"):
        lite(torch.rand(1, 1, 64, 64))


def test_before_a_training_the_regional_loss_is_told_the_length_of_an_epoch(lite):
    lite.prepare([], 7)
    assert lite.regional.epoch_steps == 7
