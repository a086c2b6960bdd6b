"""Image: the ResNet of Beyond the Spectrum on the picture itself, the rival that its residuals have to beat."""

from lib.backbones.resnet import ResidualDetector, grad_cam, image_loss
from lib.detectors import Detector, register


class ImageDetector(ResidualDetector, Detector):
    """rgb (N,3,H,W) in [0,1], of any size -> logits (N,2): real, fake; layers, width: of the ResNet."""

    def __init__(self, layers=(3, 4, 6, 3), width=64):
        super().__init__(3, layers, width)

    def activation_maps(self, rgb):
        """Return {"image": (N,h,w)}, the Grad-CAM of the network."""
        return {"image": grad_cam(self, rgb)}


@register("Image", "bts", ImageDetector, image_loss)
def options(residual_detectors):
    return {"layers": residual_detectors.layers, "width": residual_detectors.width}
