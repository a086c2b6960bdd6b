import pytest
import torch

from lib.backbones.resnet import ResidualDetector, grad_cam


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


def test_grad_cam_at_the_last_layer_is_the_class_activation_map():
    torch.manual_seed(0)
    detector = ResidualDetector(3, [1] * 4, width=4).eval()
    residual = torch.rand(2, 3, 128, 128)
    last = []
    detector.layer4.register_forward_hook(lambda _, __, output: last.append(output))
    cam = grad_cam(detector, residual)
    weight = detector.fc.weight[1] - detector.fc.weight[0]
    expected = torch.einsum("nchw,c->nhw", last[0], weight) / cam[0].numel()
    assert torch.allclose(cam, expected, atol=1e-6)
