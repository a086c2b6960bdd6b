import numpy as np
import pytest
import torch

from lib import detectors
from lib.backbones.resnet import SMALLEST
from lib.bts.detector import BeyondTheSpectrum, combine, detector_loss
from lib.detectors import FAKE
from lib.training import checkpoints

CONFIG = dict(
    re_synthesizer=dict(num_features=8, growth_rate=8, num_blocks=1, num_layers=1, factor=4),
    perceptual="efficientnet_lite0", stages=[0, 5], stage_weights=[0.5, 0.5], width=4, layers=[1, 1, 1, 1], size=32,
)  # fmt: skip


def make(stages):
    torch.manual_seed(0)
    changed = {"stages": stages, "stage_weights": [1 / len(stages)] * len(stages), "width": 8, "size": 128}
    return BeyondTheSpectrum(**{**CONFIG, **changed}).eval()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return BeyondTheSpectrum(**CONFIG, pretrained=False).eval()


@pytest.fixture
def rgb():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_residuals_are_equation_4_of_the_paper(model, rgb):
    output = model.re_synthesizer(torch.nn.functional.avg_pool2d(rgb, 4))
    pixel, stage5 = model.residuals(rgb)
    np.testing.assert_allclose(pixel, np.abs(rgb.numpy() - output.numpy()), atol=1e-6)
    deep, deep_output = model.perceptual(rgb)[4].numpy(), model.perceptual(output)[4].numpy()
    np.testing.assert_allclose(stage5, np.abs(deep - deep_output), atol=1e-6)


def test_an_image_that_is_explained_leaves_no_residual(model, rgb, monkeypatch):
    monkeypatch.setattr(model.re_synthesizer, "re_synthesize", lambda image: image.clone())
    assert all((residual == 0).all() for residual in model.residuals(rgb))


def test_the_score_is_the_weighted_mean_of_the_stages(model, rgb):
    opinions = model.opinions({"rgb": rgb})
    assert list(opinions) == ["Pix", "Stage5", "Avg"]
    torch.testing.assert_close(torch.stack([opinions["Pix"], opinions["Stage5"]], 1), model(rgb).softmax(-1)[..., FAKE])
    torch.testing.assert_close(opinions["Avg"], 0.5 * opinions["Pix"] + 0.5 * opinions["Stage5"])
    torch.testing.assert_close(model.fake_probability({"rgb": rgb}), opinions["Avg"])
    torch.testing.assert_close(combine(torch.tensor([[0.9, 0.1]]), torch.tensor([3.0, 1.0])), torch.tensor([0.7]))
    same = opinions["Pix"][:, None].expand(-1, 2)
    torch.testing.assert_close(combine(same, model.stage_weights), opinions["Pix"])


def test_a_higher_score_means_more_fake(rgb):
    torch.manual_seed(0)
    model = BeyondTheSpectrum(**CONFIG, pretrained=False)
    batch = {"rgb": rgb, "label": torch.tensor([0.0, 1.0, 1.0])}
    optimizer = torch.optim.Adam(model.detectors.parameters(), 0.003)
    for _ in range(10):
        optimizer.zero_grad()
        detector_loss(model, batch).backward()
        optimizer.step()
    scores = model.fake_probability({"rgb": rgb})
    assert scores[1:].min() > scores[0]
    logits = model(rgb)
    assert (logits[1:, :, FAKE] > logits[1:, :, 1 - FAKE]).all()


def test_only_the_detectors_learn(model, rgb):
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("detectors.") for name in trained)


def test_one_file_holds_the_whole_detector(model, rgb, tmp_path):
    config = {"detector": "SR", "options": CONFIG, "size": 32, "key": "of a run"}
    checkpoints.save(model, tmp_path / "SR.safetensors", config)
    restored = detectors.restore(*checkpoints.load(tmp_path / "SR.safetensors"))
    batch = {"rgb": rgb}
    torch.testing.assert_close(restored.fake_probability(batch), model.fake_probability(batch), rtol=0, atol=0)
    assert not restored.training


def test_a_stage_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="6"):
        BeyondTheSpectrum(**{**CONFIG, "stages": [0, 6]}, pretrained=False)


def test_each_stage_of_beyond_the_spectrum_has_a_map_that_tells_places_apart():
    maps = make([0, 1, 5]).activation_maps(torch.rand(2, 3, 128, 128))
    assert list(maps) == ["pixel", "stage 1", "stage 5"]
    assert all(len(stream) == 2 and min(stream.shape[1:]) >= SMALLEST for stream in maps.values())
    assert all(stream.flatten(1).std(1).min() > 0 for stream in maps.values())


def test_explaining_leaves_the_network_as_it_was():
    model = make([0])
    detector = model.detectors[0]
    model.activation_maps(torch.rand(1, 3, 128, 128))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(layer._forward_hooks for layer in detector.modules())
    assert not detector.training
