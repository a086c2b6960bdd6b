"""The score of every item of a data set."""

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from lib.training.device import device


def predict(model, dataset, batch_size=64):
    """Score every item of a dataset, in its order.

    model: a `lib.detectors.Detector`; dataset: items with "rgb" (3,H,W) in [0,1] and whatever else the model reads.
    Returns float64 (len(dataset),) in [0,1], 1 = fake. The model is left in the mode it came in.
    """
    was_training = model.training
    model.to(device()).eval()
    scores = []
    try:
        with torch.inference_mode():
            for batch in tqdm(DataLoader(dataset, batch_size), desc="scoring", leave=False, delay=5):
                scores.append(model.fake_probability(on_device(batch)).float().cpu().numpy())
    finally:
        model.train(was_training)
    return np.concatenate(scores).astype(float)


def on_device(batch):
    """Return a batch of items with its tensors, and lists of them, on the device."""
    move = lambda value: [move(part) for part in value] if isinstance(value, list) else value.to(device())
    return {name: move(value) for name, value in batch.items()}
