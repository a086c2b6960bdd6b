"""The training loop of both learned forgeries."""

import torch
from torch.nn import functional as F
from tqdm.auto import tqdm


def learn(parameters, draw, steps, description, **options):
    """Train `parameters` until the images of `draw()`, a pair (drawn, wanted) of (..., H, W), agree.

    options: of AdamW, beside its learning rate.
    """
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, **options)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    bar = tqdm(range(steps), desc=description)
    for _ in bar:
        drawn, wanted = draw()
        l1 = F.l1_loss(drawn, wanted)
        # the differences between neighbours count as well: L1 alone settles for a blur
        edges = sum(F.l1_loss(drawn.diff(dim=axis), wanted.diff(dim=axis)) for axis in (-2, -1))
        optimizer.zero_grad()
        (l1 + edges).backward()
        optimizer.step()
        schedule.step()
        bar.set_postfix(l1=f"{l1.item():.4f}")
