import numpy as np
import pytest
import scipy.fft
import timm
import torch

from lib.ops.dct import dct_matrix
from lib.rivals.f3_net import STREAMS, F3Net, FrequencyDecomposition, LocalStatistics, MixBlock
from lib.rivals.xception import loss

UNUSED = 2049  # the public code keeps the classifier of each Xception, which nothing reads


def count(module):
    return sum(p.numel() for p in module.parameters())


def slim(**options):
    return F3Net(**{"size": 64, "pretrained": False, "width": 0.125, **options})


def uncorrected(head):
    torch.nn.init.zeros_(head.bands.learned)
    return head.requires_grad_(False)


@pytest.mark.parametrize(
    ("streams", "published"), [(("fad",), 21_171_246), (("lfs",), 20_812_514), (STREAMS, 41_983_759)]
)
def test_the_parameters_are_those_of_the_public_code_less_its_unused_classifiers(streams, published):
    with torch.device("meta"):
        assert count(F3Net(pretrained=False, streams=streams, preset="released")) == published - UNUSED * len(streams)


def test_the_weights_that_timm_offers_fit_both_streams_name_by_name():
    with torch.device("meta"):
        theirs, model = timm.create_model("legacy_xception", num_classes=0), F3Net(pretrained=False)
    wanted = {name: tuple(x.shape) for name, x in theirs.state_dict().items()}
    for stream, channels in (("fad", 12), ("lfs", 6)):
        first = {"conv1.weight": (wanted["conv1.weight"][0], channels, 3, 3)}
        assert {name: tuple(x.shape) for name, x in model.trunks[stream].state_dict().items()} == wanted | first


def test_mix_blocks_stand_after_blocks_7_and_12_in_the_published_preset_only():
    with torch.device("meta"):
        model = F3Net(pretrained=False)
        assert count(model.mix["7"]) == 2_128_674 and list(model.mix) == ["7", "12"]
        assert model(torch.rand(2, 3, 299, 299, device="meta")).shape == (2,)
        assert not F3Net(pretrained=False, preset="released").mix
        assert not F3Net(pretrained=False, streams=("lfs",)).mix


def test_the_bands_hold_the_published_numbers_of_frequencies_and_leave_none_out():
    decomposition = FrequencyDecomposition(299)
    assert decomposition.bands.base.sum((1, 2)).tolist() == [5_778, 5_654, 78_226, 89_401]
    assert LocalStatistics().bands.base.sum((1, 2)).tolist() == [10, 18, 36, 30, 12, 3]
    assert decomposition.bands.base[:3].amax(0).min() == 1
    assert LocalStatistics().bands.base.amax(0).min() == 1


def test_the_transforms_are_those_of_scipy():
    image = np.random.default_rng(0).random((3, 48, 48))
    head = uncorrected(FrequencyDecomposition(48))
    bands = head(torch.tensor(image[None], dtype=torch.float32))[0].unflatten(0, (4, 3))
    spectrum = scipy.fft.dctn(image, axes=(1, 2), norm="ortho")
    for band, base in zip(bands, head.bands.base.numpy(), strict=True):
        np.testing.assert_allclose(band, scipy.fft.idctn(spectrum * base, axes=(1, 2), norm="ortho"), atol=1e-5)
    matrix = dct_matrix(10).numpy()
    np.testing.assert_allclose(matrix @ image[0, :10, :10] @ matrix.T,
                               scipy.fft.dctn(image[0, :10, :10], norm="ortho"), atol=1e-5)  # fmt: skip


def test_all_frequencies_together_are_the_image_itself():
    image = torch.rand(2, 3, 299, 299)
    assert (uncorrected(FrequencyDecomposition(299))(image)[:, 9:] - image).abs().max() < 1e-4


@pytest.mark.parametrize("released", [False, True])
def test_the_local_statistics_are_those_of_scipy_window_by_window(released):
    image = np.random.default_rng(0).random((1, 3, 21, 21)).astype(np.float32)
    head = uncorrected(LocalStatistics(released))
    ours = head(torch.from_numpy(image))[0].numpy()
    grey = np.pad(np.einsum("c,chw->hw", (0.299, 0.587, 0.114), image[0]) * (245 if released else 255), 4)
    for y, x in ((0, 0), (3, 5), (9, 9)):
        window = grey[2 * y : 2 * y + 10, 2 * x : 2 * x + 10]
        magnitude = np.abs(scipy.fft.dctn(window, norm="ortho"))
        for band, base in enumerate(head.bands.base.numpy().astype(bool)):
            wanted = np.log10(magnitude[base]).mean() if released else np.log10(magnitude[base].sum())
            assert ours[band, y, x] == pytest.approx(wanted, abs=1e-3)


def test_the_statistics_of_299_pixels_are_six_maps_of_149():
    assert LocalStatistics()(torch.rand(1, 3, 299, 299)).shape == (1, 6, 149, 149)


def test_a_mix_block_starts_as_the_identity_and_then_carries_each_stream_into_the_other():
    block, maps = MixBlock(4), list(torch.randn(2, 3, 4, 5, 5))
    for x, y in zip(block(maps), maps, strict=True):
        torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-4)  # batch norm divides by a little more than the deviation
    torch.nn.init.constant_(block.gates, 2.0)
    before = block(maps)
    after = block([maps[0], maps[1] * torch.rand_like(maps[1])])
    assert not torch.allclose(before[0], after[0])


def test_cross_attention_is_the_product_of_both_streams_queries_and_keys():
    block, maps = MixBlock(2).eval(), list(torch.randn(2, 1, 2, 3, 3))
    torch.nn.init.constant_(block.gates, 1.0)
    query, key = (
        [
            torch.einsum("oc,nchw->nohw", conv.weight[..., 0, 0], x) + conv.bias[:, None, None]
            for conv, x in zip(convs, maps, strict=True)
        ]
        for convs in (block.queries, block.keys)
    )
    energy = sum(torch.einsum("nciw,ncjw->ncij", q, k) for q, k in zip(query, key, strict=True))
    taken = maps[1] * energy.softmax(-1) * (2 * torch.sigmoid(torch.tensor(1.0)) - 1)
    torch.testing.assert_close(block(maps)[0], maps[0] + block.outputs[1](taken))


@pytest.mark.parametrize("options", [{}, {"preset": "released"}, {"streams": ("fad",)}, {"streams": ("lfs",)}])
def test_every_parameter_of_a_slim_one_learns(options):
    torch.manual_seed(0)
    model = slim(**options)
    for block in model.mix.values():
        torch.nn.init.ones_(block.gates)  # at zero, the start, nothing behind a gate would learn yet
    loss(model, {"rgb": torch.rand(4, 3, 64, 64), "label": torch.tensor([0.0, 1, 0, 1])}).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("size", [96, 128, 224, 256, 299, 320])
def test_both_streams_meet_at_every_size_in_use(size):
    with torch.device("meta"):
        model = slim(size=size)
        assert model(torch.rand(2, 3, size, size, device="meta")).shape == (2,)


def test_a_black_image_gives_finite_scores_and_gradients():
    model = slim()
    loss(model, {"rgb": torch.zeros(2, 3, 64, 64), "label": torch.tensor([0.0, 1])}).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("options", "message"), [({"streams": ("rgb",)}, "streams: needs"), ({"preset": "paper"}, "preset: 'paper'")]
)
def test_a_wrong_option_or_size_gets_one_line_that_names_it(options, message):
    with pytest.raises(ValueError, match=message):
        slim(**options)
    with pytest.raises(ValueError, match=r"rgb: needs shape \(N, 3, 64, 64\)"):
        slim()(torch.rand(1, 3, 128, 128))


def test_training_a_narrow_network_does_not_write_past_its_memory():
    model = slim(size=128)  # the first of its strided shortcuts has 8 channels
    for _ in range(2):
        loss(model, {"rgb": torch.rand(4, 3, 128, 128), "label": torch.tensor([0, 1, 0, 1])}).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
