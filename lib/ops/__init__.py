"""The operations of PEL that no library has: pure functions on tensors, differentiable."""

from lib.ops.dct import frequency_stem, frequency_stem_ref, sliding_dct
from lib.ops.noise import median_filter, median_filter_ref, noise_enhance

__all__ = [
    "frequency_stem",
    "frequency_stem_ref",
    "median_filter",
    "median_filter_ref",
    "noise_enhance",
    "sliding_dct",
]
