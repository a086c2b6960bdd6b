"""What each stage of a detector says of each image."""

import pandas as pd
import torch
from torch.utils.data import DataLoader

from lib.evaluation.predict import on_device, predict
from lib.training.device import device


@torch.inference_mode()
def stage_scores(model, items):
    """Return the probability of being fake that each part of a detector gives: a DataFrame, one row an item.

    Columns of a BeyondTheSpectrum: its `opinions`, of which the last, Avg, is the decision; of any other: score.
    """
    if not hasattr(model, "opinions"):
        return pd.DataFrame({"score": predict(model, items)})
    model.to(device()).eval()
    parts = [model.opinions(on_device(batch)) for batch in DataLoader(items, 8)]  # 8 stay in a CPU's cache
    return pd.DataFrame({name: torch.cat([part[name] for part in parts]).double().cpu() for name in parts[0]})
