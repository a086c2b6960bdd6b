"""Tests run on one thread each: small tensors gain nothing from more, and the numbers stay the same everywhere."""

import torch

torch.set_num_threads(1)
