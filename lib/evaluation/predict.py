"""The score of every item of a data set."""

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from lib.training import device as training_device


def predict(model, dataset, batch_size=64, probability=None):
    """Score every item of a dataset, in its order.

    model: a detector; dataset: items with "rgb" (3,H,W) in [0,1]; probability: rgb (N,3,H,W) -> probability of being
    fake (N,), by default `model.fake_probability` if there is one, else the sigmoid of `model(rgb)`. A model that takes
    more names it in `inputs` (ADD-Net: rgb, mask); what the items lack is left out.
    Returns float64 (len(dataset),) in [0,1]. The model is left in the mode it came in.
    """
    inputs = getattr(model, "inputs", ("rgb",)) if probability is None else ("rgb",)
    probability = probability or getattr(model, "fake_probability", lambda *inputs: model(*inputs).sigmoid())
    device = training_device.device()
    was_training = model.training
    model.to(device).eval()
    scores = []
    try:
        with torch.inference_mode():
            for batch in tqdm(DataLoader(dataset, batch_size), desc="scoring", leave=False, delay=5):
                given = [batch[name].to(device) for name in inputs if name in batch]
                scores.append(probability(*given).float().cpu().numpy())
    finally:
        model.train(was_training)
    return np.concatenate(scores).astype(float)
