"""What each stage of a detector says of each image."""

import pandas as pd
import torch
from torch.utils.data import DataLoader

from lib.bts.detector import BeyondTheSpectrum, combine
from lib.evaluation.predict import predict
from lib.training import device as training_device


@torch.inference_mode()
def stage_scores(model, items):
    """Return the probability of being fake that each detector of a model gives: a DataFrame, one row an item.

    Columns of a BeyondTheSpectrum: Pix, Stage1 .. Stage5 as it has them, then Avg, their combination (Eq. 4); of any
    other model: score. The last column is the decision.
    """
    if not isinstance(model, BeyondTheSpectrum):
        return pd.DataFrame({"score": predict(model, items)})
    device, parts = training_device.device(), []
    model.to(device).eval()
    for batch in DataLoader(items, 8):  # few enough to stay in a CPU's cache
        residuals = [stage.to(device) for stage in batch["residuals"]] if "residuals" in batch else None
        stages = model.stage_probabilities(batch["rgb"].to(device), residuals)
        parts.append(torch.cat([stages, combine(stages, model.stage_weights)[:, None]], dim=1).cpu())
    stages = [f"Stage{stage}" if stage else "Pix" for stage in model.stages]
    return pd.DataFrame(torch.cat(parts).double().numpy(), columns=[*stages, "Avg"])
