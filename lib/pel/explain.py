"""Which places of a face spoke for fake, in each stream of PEL: class activation maps.

Such a map holds what a place adds to the evidence for fake, so it may be negative. Source: Zhou et al., CVPR 2016.
"""

import torch


@torch.no_grad()
def pel_maps(model, rgb):
    """Return {stream: (N, h, w)}: the head's columns of a stream times its last maps.

    The spatial mean of all streams' maps, plus the bias of the head, is the logit.
    """
    features = model.forward_features(rgb)
    weights = model.classifier.weight[0].chunk(len(features))
    pairs = zip(features.items(), weights, strict=True)
    return {stream: torch.einsum("nchw,c->nhw", x, weight) for (stream, x), weight in pairs}
