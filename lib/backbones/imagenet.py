"""What every network says when its ImageNet weights cannot be fetched."""

import contextlib


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
