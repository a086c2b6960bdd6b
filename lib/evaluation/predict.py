"""The score of every item of a data set."""

import math

import pandas as pd
import torch
from tqdm.auto import tqdm

from lib.data.items import batches
from lib.training.device import device


def predict(model, dataset):
    """Return the score of every item of a dataset, float64 (n,) in [0,1], 1 = fake; arguments as in `opinions`."""
    return opinions(model, dataset).iloc[:, -1].to_numpy()


def opinions(model, dataset):
    """Return what each part of a detector says of every item: a DataFrame, one row an item, float64 in [0,1].

    model: a `lib.detectors.Detector`, left in the mode it came in; dataset: items with "rgb" (3,H,W) in [0,1] and
    whatever else the model reads. Columns: as of its `opinions`, the last is its decision.
    """
    was_training, found, count = model.training, [], math.ceil(len(dataset) / model.at_once)
    model.to(device()).eval()
    try:
        with torch.inference_mode():
            for batch in tqdm(batches(dataset, model.at_once), "scoring", count, leave=False, delay=5):
                parts = model.opinions(on_device(batch))
                found.append(pd.DataFrame({name: part.float().cpu() for name, part in parts.items()}))
    finally:
        model.train(was_training)
    return pd.concat(found, ignore_index=True).astype(float)


def on_device(batch):
    """Return a batch of items with its tensors, and lists of them, on the device."""
    move = lambda value: [move(part) for part in value] if isinstance(value, list) else value.to(device())
    return {name: move(value) for name, value in batch.items()}
