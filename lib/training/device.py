"""Which device computes, and how its random numbers are seeded."""

import numpy as np
import torch


def device():
    """Return the device to compute on: the first GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def seed_everything(seed, *more):
    """Seed PyTorch from whole numbers such as (seed, epoch, rank); other numbers give an unrelated random stream."""
    torch.manual_seed(int(np.random.SeedSequence([seed, *more]).generate_state(1, np.uint64)[0] >> 1))
