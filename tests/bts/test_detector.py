import numpy as np
import pytest
import torch

from lib.backbones.resnet import FAKE, ResidualDetector
from lib.bts.detector import BeyondTheSpectrum, combine, detector_loss
from lib.training import checkpoints

CONFIG = dict(
    re_synthesizer=dict(num_features=8, growth_rate=8, num_blocks=1, num_layers=1, scale=4),
    perceptual="efficientnet_lite0", stages=[0, 5], stage_weights=[0.5, 0.5], width=4, layers=[1, 1, 1, 1], size=32,
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return BeyondTheSpectrum(**CONFIG, pretrained=False).eval()


@pytest.fixture
def rgb():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("in_channels", "parameters"),
    [(3, 23_635_906), (64, 23_671_042), (128, 23_707_906), (256, 23_781_634), (512, 23_929_090)],
)
def test_the_detector_is_the_released_resnet50(in_channels, parameters):
    with torch.device("meta"):
        detector = ResidualDetector(in_channels)
    state = detector.state_dict()
    assert sum(p.numel() for p in detector.parameters()) == parameters
    assert len(state) == 332
    names = {"conv1.6.weight", "bn1.bias", "layer1.0.downsample.1.weight", "layer4.2.bn3.running_var", "fc.bias"}
    assert names <= set(state)


@pytest.mark.parametrize(("in_channels", "side", "layer4"), [(3, 1024, 32), (3, 256, 8), (512, 64, 2), (512, 16, 1)])
def test_the_last_map_of_the_detector_has_the_released_size(in_channels, side, layer4):
    detector, sizes = ResidualDetector(in_channels, layers=(1, 1, 1, 1), width=2).eval(), []
    detector.layer4.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    assert detector(torch.rand(1, in_channels, side, side)).shape == (1, 2)
    assert sizes == [layer4]


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
    stages = model.stage_probabilities(rgb)
    torch.testing.assert_close(model.fake_probability(rgb), 0.5 * stages[:, 0] + 0.5 * stages[:, 1])
    torch.testing.assert_close(combine(torch.tensor([[0.9, 0.1]]), torch.tensor([3.0, 1.0])), torch.tensor([0.7]))
    same = stages[:, :1].expand(-1, 2)
    torch.testing.assert_close(combine(same, model.stage_weights), stages[:, 0])


def test_a_higher_score_means_more_fake(rgb):
    torch.manual_seed(0)
    model = BeyondTheSpectrum(**CONFIG, pretrained=False)
    batch = {"rgb": rgb, "residuals": model.residuals(rgb), "label": torch.tensor([0.0, 1.0, 1.0])}
    optimizer = torch.optim.Adam(model.detectors.parameters(), 0.003)
    for _ in range(10):
        optimizer.zero_grad()
        detector_loss(model, batch).backward()
        optimizer.step()
    scores = model.fake_probability(rgb)
    assert scores[1:].min() > scores[0]
    logits = model(rgb)
    assert (logits[1:, :, FAKE] > logits[1:, :, 1 - FAKE]).all()


def test_only_the_detectors_learn(model, rgb):
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("detectors.") for name in trained)


def test_one_file_holds_the_whole_detector(model, rgb, tmp_path):
    checkpoints.save(model, tmp_path / "bts.safetensors", {**model.config, "fingerprint": "of a run"})
    restored = BeyondTheSpectrum.restore(*checkpoints.load(tmp_path / "bts.safetensors"))
    torch.testing.assert_close(restored.fake_probability(rgb), model.fake_probability(rgb), rtol=0, atol=0)
    assert restored.config == model.config


def test_a_stage_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="6"):
        BeyondTheSpectrum(**{**CONFIG, "stages": [0, 6]}, pretrained=False)
