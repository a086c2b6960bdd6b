"""What all networks with ImageNet weights need: normalised images, and a clear error if a download fails."""

import contextlib
import functools

import torch


def normalise(rgb, backbone):
    """Return (rgb - mean) / std for rgb (N,3,H,W) in [0,1], with mean and std of the `pretrained_cfg` of a backbone."""
    mean, std = (_channels(tuple(backbone.pretrained_cfg[key]), rgb.dtype, rgb.device) for key in ("mean", "std"))
    return (rgb - mean) / std


@contextlib.contextmanager
def fetching(name, remedy):
    """Turn what a download raises into a RuntimeError of one line, which names the weights and the remedy."""
    try:
        yield
    except Exception as error:  # hub and network libraries each raise their own kind
        raise RuntimeError(
            f"the ImageNet weights of {name} could not be fetched ({type(error).__name__}): "
            f"connect once to the network, or {remedy}"
        ) from error


@functools.cache
@torch.inference_mode(False)  # a constant first made under inference mode could not be used in training later
def _channels(values, dtype, device):
    return torch.tensor(values, dtype=dtype, device=device)[:, None, None]
