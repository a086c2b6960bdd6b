"""PEL with a third stream, beyond the paper: the noise of Eq. 2, which a median filter takes out of the pixels."""

import torch

from lib import ops
from lib.detectors import register
from lib.pel.network import PEL, STREAMS, loss, options


class ThreeStreams(PEL):
    """PEL with the streams "rgb", "freq" and "residual", or some of them; the other arguments are those of PEL.

    The residual, rgb - median(rgb) over 3x3 pixels, is scaled to deviation 1 over the training images.
    """

    known = (*STREAMS, "residual")

    def __init__(self, backbone="tf_efficientnet_b4.ap_in1k", pretrained=True, streams=known, **others):
        super().__init__(backbone, pretrained, streams, **others)
        self.register_buffer("gain", torch.tensor(1.0))

    @torch.no_grad()
    def prepare(self, items, steps):
        """Measure the deviation of the residual on up to 256 evenly spread items, beside what PEL prepares."""
        super().prepare(items, steps)
        seen = range(0, len(items), -(-len(items) // 256))
        deviation = torch.stack([residual(items[index]["rgb"][None]) for index in seen]).std()
        self.gain.copy_(1 / deviation.clamp_min(1 / 255))

    def _input(self, rgb, stream):
        return self.gain * residual(rgb) if stream == "residual" else super()._input(rgb, stream)


def residual(rgb):
    """Return what a median over 3x3 pixels takes away, of the shape of rgb (N, 3, H, W)."""
    return rgb - ops.median_filter(rgb, 3)


@register("PEL+residual", "more", ThreeStreams, loss)
def three_streams(pel):
    return options(pel, streams=list(ThreeStreams.known))
