"""FFT-2d and DCT-2d: the ResNet of Beyond the Spectrum on the spectrum of the whole image (BTS Tables 1 to 3)."""

from lib.backbones.resnet import ResidualDetector, image_loss
from lib.data.items import batches
from lib.detectors import Detector, register
from lib.ops.spectra import LogDct, fft_features


class FrequencyDetector(Detector):
    """rgb (N, 3, size, size) in [0, 1] -> logits (N, 2): real, fake.

    kind: "FFT-2d" (Zhang et al., 2019) or "DCT-2d" (Frank et al., 2020); layers, width: of the ResNet.
    Raises ValueError for another kind.
    """

    def __init__(self, kind, size, layers=(3, 4, 6, 3), width=64):
        super().__init__()
        if kind not in ("FFT-2d", "DCT-2d"):
            raise ValueError(f"kind: {kind!r} is not one of FFT-2d, DCT-2d")
        self.size = size
        self.spectrum = fft_features if kind == "FFT-2d" else LogDct(size)
        self.detector = ResidualDetector(3, layers, width)

    def forward(self, rgb):
        return self.detector(self.spectrum(rgb))

    def prepare(self, items, steps):
        """Take the statistics of DCT-2d from the images to learn from."""
        if self.spectrum is not fft_features:
            self.spectrum.fit(batch["rgb"] for batch in batches(items, 32))


def _options(kind):
    return lambda size, residual_detectors: {
        "kind": kind, "size": size, "layers": residual_detectors.layers, "width": residual_detectors.width}  # fmt: skip


register("FFT-2d", "bts", FrequencyDetector, image_loss)(_options("FFT-2d"))
register("DCT-2d", "bts", FrequencyDetector, image_loss, flip=False)(_options("DCT-2d"))  # statistics belong to places
