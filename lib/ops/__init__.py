"""The operations of PEL that no library has: pure functions on tensors, differentiable.

NAME_ref is the twin of NAME in plain PyTorch, as the paper writes it. lib.ops.spectra: spectra as detectors see them.
"""
# ruff: noqa: F401, I001

from lib.ops.dct import frequency_stem, frequency_stem_ref, sliding_dct
from lib.ops.denoise import mean_filter, median_filter, median_filter_ref, non_local_means
from lib.ops.denoise import noise_enhance, noise_enhance_ref
