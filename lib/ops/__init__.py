"""The operations of PEL that no library has: pure functions on tensors, differentiable."""

from lib.ops.dct import frequency_stem, frequency_stem_ref, sliding_dct
from lib.ops.noise import (
    mean_filter,
    median_filter,
    median_filter_ref,
    noise_enhance,
    noise_enhance_ref,
    non_local_means,
)

__all__ = [
    "frequency_stem",
    "frequency_stem_ref",
    "mean_filter",
    "median_filter",
    "median_filter_ref",
    "noise_enhance",
    "noise_enhance_ref",
    "non_local_means",
    "sliding_dct",
]
