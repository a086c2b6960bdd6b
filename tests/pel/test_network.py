import pytest
import torch

from lib import detectors, ops, params
from lib.backbones.efficientnet import create_efficientnet, create_trunk
from lib.ops.dct import compose
from lib.pel import network
from lib.pel.network import PEL, ChannelAttention, Enhancement, MutualEnhancement, NoiseEnhancement, loss

LITE, B4 = "tf_efficientnet_lite0", "tf_efficientnet_b4"
CLASSIFIER = {"classifier.weight", "classifier.bias"}


def count(module):
    return sum(p.numel() for p in module.parameters())


def lite(**options):
    return PEL(LITE, pretrained=False, **options)


@pytest.fixture(scope="module")
def b4():
    return PEL(pretrained=False)


def test_the_parameters_of_the_papers_size_are_those_of_the_chosen_reading(b4):
    parts = [part for enhancement in b4.enhancements for part in enhancement.modules()]
    assert count(b4) == 35_173_771
    assert count(b4.trunks["rgb"]) == 17_548_616
    assert count(b4.trunks["freq"]) == 17_574_968
    assert count(b4.frequency_stem) == 12_352
    assert count(b4.classifier) == 3_585
    assert sum(count(p) for p in parts if isinstance(p, NoiseEnhancement)) == 224
    assert sum(count(p) for p in parts if isinstance(p, ChannelAttention)) == 28_960
    assert sum(count(p) for p in parts if isinstance(p, MutualEnhancement)) == 5_066
    assert b4.trunks["freq"].conv_stem.weight.numel() == 27_648


def test_the_blocks_stand_behind_the_stages_that_the_paper_names(b4):
    def behind(kind):
        return [i for i, e in enumerate(b4.enhancements) if any(isinstance(m, kind) for m in e.modules())]

    assert behind(NoiseEnhancement) == [1, 2]
    assert behind(ChannelAttention) == [2, 3, 4, 5, 6]
    assert behind(MutualEnhancement) == [2, 3, 4, 5, 6]
    order = [type(part) for part in b4.enhancements[2].alone[0]]
    assert order == [NoiseEnhancement, ChannelAttention]


@pytest.mark.parametrize("size", [320, 224])
def test_both_streams_meet_at_half_the_image_size_and_keep_the_same_shape_behind_every_block(b4, size):
    shapes = []
    hooks = [e.register_forward_hook(lambda module, args, out: shapes.append(out)) for e in b4.enhancements]
    with torch.inference_mode():
        maps = b4.eval().forward_features(torch.rand(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    channels, shrunk = (48, 24, 32, 56, 112, 160, 272, 448), (2, 2, 4, 8, 16, 16, 32, 32)
    wanted = [(1, count, size // by, size // by) for count, by in zip(channels, shrunk, strict=True)]
    assert [[tuple(x.shape) for x in pair] for pair in shapes] == [[shape] * 2 for shape in wanted]
    assert {stream: x.shape for stream, x in maps.items()} == dict.fromkeys(
        ("rgb", "freq"), (1, 1792, size // 32, size // 32)
    )


def test_the_weights_that_timm_offers_fit_both_streams_name_by_name(b4):
    with torch.device("meta"):
        theirs = {name: x.shape for name, x in create_efficientnet(B4, pretrained=False).state_dict().items()}
    own = {"rgb": set(), "freq": {"conv_stem.weight"}}
    for stream, trunk in b4.trunks.items():
        ours = {name: x.shape for name, x in trunk.state_dict().items()}
        assert {name for name in theirs if ours.get(name) != theirs[name]} == own[stream] | CLASSIFIER
        assert set(ours) <= set(theirs)


def test_with_every_enhancement_off_it_is_two_plain_networks():
    model = lite().eval()
    for module in model.modules():
        if isinstance(module, ChannelAttention):  # the MLP's output -> -infinity, so the attention -> 0
            module.mlp = torch.nn.Sequential(module.mlp, Shift(-1e4))
    rgb = torch.rand(2, 3, 64, 64)
    rgb_trunk = create_efficientnet(LITE, pretrained=False).eval()
    rgb_trunk.load_state_dict(model.trunks["rgb"].state_dict(), strict=False)
    freq_trunk = model.trunks["freq"]
    with torch.no_grad():
        maps = model.forward_features(rgb)
        torch.testing.assert_close(maps["rgb"], rgb_trunk.forward_features(2 * rgb - 1), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            maps["freq"], freq_trunk.forward_features(model._input(rgb, "freq")), atol=1e-4, rtol=1e-4
        )


class Shift(torch.nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return x + self.by


def test_switched_off_modules_leave_two_bare_streams():
    model = lite(self_enhancement=False, mutual_enhancement=False)
    assert count(model.enhancements) == 0
    assert model(torch.rand(2, 3, 64, 64)).shape == (2,)


@pytest.mark.parametrize("stream", ["rgb", "freq"])
def test_a_single_stream_has_spatial_attention_instead_of_mutual_enhancement(stream):
    model = lite(streams=(stream,))
    assert [m.attention.out_channels for m in model.modules() if isinstance(m, MutualEnhancement)] == [1] * 5
    assert model(torch.rand(2, 3, 64, 64)).shape == (2,)
    assert model.classifier.in_features == model.trunks[stream].num_features
    assert hasattr(model, "frequency_stem") == (stream == "freq")


def test_the_other_readings_run():
    rgb = torch.rand(2, 3, 64, 64)
    assert lite(noise_after=(0, 1), enhance_after=range(1, 8), literal_init=True)(rgb).shape == (2,)
    assert lite(stride=1)(rgb).shape == (2,)
    assert PEL("efficientnet_b0", pretrained=False)(rgb).shape == (2,)


def test_where_the_enhancements_stand_and_how_they_start_is_read_from_params_yaml():
    pel = params.load("bundled").pel.replace(pretrained=False, noise_after=[0], enhance_after=[7], literal_init=True)
    model, _ = detectors.entry("PEL").make(0, 64, pel=pel)
    behind = {i: {type(m) for m in e.modules()} for i, e in enumerate(model.enhancements)}
    assert [i for i, kinds in behind.items() if NoiseEnhancement in kinds] == [0]
    assert [i for i, kinds in behind.items() if {ChannelAttention, MutualEnhancement} <= kinds] == [7]
    assert model.enhancements[0].alone[0][0].weight.any(), "not the literal start"


def test_channel_attention_is_equation_4():
    block, x = ChannelAttention(32), torch.randn(2, 32, 5, 6)
    first, second = (torch.nn.init.uniform_(block.mlp[i].weight, low, 0.1) for i, low in ((0, 0), (2, -0.1)))
    assert first.shape == (2, 32)
    pooled = x.mean((2, 3)) + x.amax((2, 3))
    gain = 1 + torch.sigmoid(torch.relu(pooled @ first.T) @ second.T)
    torch.testing.assert_close(block(x), x * gain[:, :, None, None])
    assert 1 < gain.min() < gain.max() < 2


def test_an_enhancement_is_noise_then_channel_attention_then_the_mutual_one():
    block = Enhancement(16, 2, noise=True, attention=True, mutual=True, literal_init=True)
    maps = torch.randn(2, 3, 16, 5, 6)
    enhanced = [attention(noise(x)) for (noise, attention), x in zip(block.alone, maps, strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(block(list(maps)), block.mutual(enhanced), strict=True))


def test_mutual_enhancement_is_equations_5_and_6():
    block = MutualEnhancement(4, literal_init=True)
    maps = list(torch.randn(2, 3, 4, 5, 6))
    kernel, bias = block.attention.weight[:, :, 0, 0], block.attention.bias
    attention = torch.sigmoid(torch.einsum("oc,nchw->nohw", kernel, torch.cat(maps, 1)) + bias[:, None, None])
    assert attention.shape == (3, 2, 5, 6)
    for i, (x, out) in enumerate(zip(maps, block(maps), strict=True)):
        scale, shift = block.weights[i][:, None, None], block.biases[i][:, None, None]
        torch.testing.assert_close(out, x + scale * (x * attention[:, i : i + 1]) + shift)


def test_the_enhancement_starts_as_the_identity_or_one_gain_unless_asked_for_the_literal_start():
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(NoiseEnhancement(4)(x), x)
    assert all(torch.equal(a, b) for a, b in zip(MutualEnhancement(4)([x, 2 * x]), [x, 2 * x], strict=True))
    assert not torch.equal(NoiseEnhancement(4, literal_init=True)(x), x)
    torch.testing.assert_close(ChannelAttention(4)(x), 1.5 * x)


@pytest.mark.parametrize("started", [False, True])
def test_an_rgb_loss_teaches_the_frequency_stream_once_the_mutual_weights_have_moved(started):
    block = MutualEnhancement(4)
    if started:
        torch.nn.init.ones_(block.weights[0])
    rgb, freq = torch.randn(1, 4, 5, 5), torch.randn(1, 4, 5, 5, requires_grad=True)
    block([rgb, freq])[0].square().sum().backward()
    assert (freq.grad.abs().sum() > 0) == started
    assert block.weights[0].grad.abs().sum() > 0


def test_the_blocks_pass_gradcheck():
    blocks = NoiseEnhancement(2, literal_init=True), ChannelAttention(2), MutualEnhancement(2, literal_init=True)
    noise, attention, mutual = (block.double() for block in blocks)
    x, y = torch.randperm(2 * 2 * 16).double().mul(0.05).reshape(2, 1, 2, 4, 4).requires_grad_().unbind()
    torch.autograd.gradcheck(noise, x)
    torch.autograd.gradcheck(attention, x)
    torch.autograd.gradcheck(lambda a, b: tuple(mutual([a, b])), (x, y))


def test_every_parameter_learns():
    torch.manual_seed(0)
    model = lite(literal_init=True)
    value = loss(model, {"rgb": torch.rand(4, 3, 64, 64), "label": torch.tensor([0.0, 1, 0, 1])})
    value.backward()
    assert value.shape == ()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_pretrained_streams_keep_their_imagenet_weights_and_share_nothing():
    model = PEL(LITE)
    wanted = create_efficientnet(LITE).state_dict()
    for stream, trunk in model.trunks.items():
        state = trunk.state_dict()
        own = {"conv_stem.weight"} if stream == "freq" else set()
        assert all(torch.equal(state[key], wanted[key]) for key in state if key not in own)
    rgb, freq = (dict(trunk.named_parameters()) for trunk in model.trunks.values())
    assert not any(rgb[key] is freq[key] for key in rgb)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"streams": ("rgb", "depth")}, "streams: needs"),
        ({"streams": "rgb"}, "streams: needs"),
        ({"stride": 4}, "stride: needs 1 or 2"),
        ({"backbone": "resnet18"}, "resnet18"),
    ],
)
def test_a_wrong_option_gets_one_line_that_names_it(options, message):
    with pytest.raises(ValueError, match=message) as error:
        PEL(**{"backbone": LITE, "pretrained": False, **options})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 63, 64)])
def test_a_wrong_image_shape_gets_one_line_that_names_it(shape):
    with pytest.raises(ValueError, match="rgb: needs shape"):
        lite()(torch.rand(shape))


@pytest.mark.parametrize("normal", [{}, {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}])
def test_the_frequency_stream_starts_as_the_pretrained_network_whatever_images_that_expects(normal, monkeypatch):
    def trunk(name, pretrained):
        made = create_trunk(name, pretrained)
        made.pretrained_cfg = {**made.pretrained_cfg, **normal}
        return made

    monkeypatch.setattr(network, "create_trunk", trunk)
    model = PEL(LITE).eval()
    rgb = torch.rand(2, 3, 64, 64)
    model.standardise_frequencies(torch.rand(4, 3, 64, 64))
    with torch.no_grad():
        first = {s: model.trunks[s].conv_stem(model._input(rgb, s))[..., 1:-1, 1:-1] for s in model.streams}
    torch.testing.assert_close(first["freq"], first["rgb"], atol=1e-4, rtol=1e-4)
    loss(model, {"rgb": rgb, "label": torch.tensor([0.0, 1.0])}).backward()
    assert model.trunks["freq"].conv_stem.weight.grad[:, 32:].abs().min(1).values.max() > 0, "frequencies never fade in"


def test_every_frequency_is_equally_loud_at_the_start():
    model, rgb = PEL(LITE, frequency_start="random"), torch.rand(8, 3, 64, 64)
    model.standardise_frequencies(rgb)
    maps = torch.nn.functional.conv2d(rgb, *compose(model.frequency_stem.weight, model.frequency_stem.bias), stride=2)
    assert maps.mean((0, 2, 3)).abs().max() < 0.2
    loud = model.frequency_stem.weight[:, :64, 0, 0].abs().mean(0)
    assert loud[0] < loud[1:].mean(), "the mean of a window is still heard above its frequencies"


def test_an_unknown_start_is_refused():
    with pytest.raises(ValueError, match="frequency_start"):
        lite(frequency_start="loud")


def test_the_activation_maps_of_both_streams_add_up_to_the_logit():
    torch.manual_seed(0)
    model, rgb = lite().eval(), torch.rand(2, 3, 64, 96)
    maps = model.activation_maps(rgb)
    assert list(maps) == ["rgb", "freq"]
    assert maps["rgb"].shape == maps["freq"].shape == (2, 2, 3)
    total = sum(stream.mean((1, 2)) for stream in maps.values()) + model.classifier.bias
    assert torch.allclose(total, model(rgb), atol=1e-5)


def test_a_single_stream_has_a_single_activation_map():
    model = lite(streams=["freq"]).eval()
    assert list(model.activation_maps(torch.rand(1, 3, 64, 64))) == ["freq"]


@pytest.mark.parametrize(("start", "heard"), [("pretrained", [256]), ("random", [])])
def test_the_frequencies_hear_training_images_at_equal_intervals_unless_they_start_at_random(monkeypatch, start, heard):
    model, items, calls = (
        lite(frequency_start=start),
        [{"rgb": torch.full((3, 8, 8), float(i))} for i in range(512)],
        [],
    )
    monkeypatch.setattr(model, "standardise_frequencies", calls.append)
    model.prepare(items, 1)
    assert [len(rgb) for rgb in calls] == heard
    assert all(rgb[:, 0, 0, 0].tolist() == list(range(0, 512, 2)) for rgb in calls)


@pytest.mark.parametrize(
    ("denoiser", "sizes"), [("mean", 3), ("non_local_means", 3), ("median", 7), ("median", [3, 5])]
)
def test_a_noise_block_filters_with_its_own_denoiser(denoiser, sizes):
    block, x = NoiseEnhancement(3, sizes, denoiser=denoiser), torch.rand(1, 3, 9, 9)
    torch.nn.init.ones_(block.weight)
    expected = ops.noise_enhance_ref(x, block.weight, block.bias, sizes, denoiser)
    assert torch.allclose(block(x), expected, atol=1e-5)
    assert not torch.allclose(block(x), ops.noise_enhance(x, torch.ones(3), torch.zeros(3)), atol=1e-3)


def test_an_unknown_denoiser_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="^denoiser: 'mode' is not one of median, mean, non_local_means"):
        lite(denoiser="mode")
