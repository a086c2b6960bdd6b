"""The scores that each stage of a detector gives to images."""

import pandas as pd
import torch
from torch.utils.data import DataLoader

from lib.evaluation.predict import on_device, predict
from lib.training.device import device


@torch.inference_mode()
def stage_scores(model, items):
    """Return the probability of being fake from each stage of a detector: a DataFrame, one row an item.

    The columns of a BeyondTheSpectrum are its `opinions`; the last one, Avg, is its decision. Any other detector has
    one column, score.
    """
    if not hasattr(model, "opinions"):
        return pd.DataFrame({"score": predict(model, items)})
    model.to(device()).eval()
    parts = [model.opinions(on_device(batch)) for batch in DataLoader(items, 8)]  # batches of 8 fit into a CPU's cache
    return pd.DataFrame({name: torch.cat([part[name] for part in parts]).double().cpu() for name in parts[0]})
