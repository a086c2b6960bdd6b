"""The training loop of every detector and re-synthesizer: seeded, resumable after a kill, on a CPU, a GPU or several.

For several processes, start the same program by torchrun. `batch_size` is the batch of all processes together, so
that their number changes nothing in the loss curve of a network without batch norm and dropout, and a resumed run may
have another number of them. With batch norm, processes on GPUs share their statistics (SyncBatchNorm). Each process on
a CPU normalises over its own part of the batch; this changes the loss curve from the first epoch that it trains.
Each process draws its own dropout.
"""

import hashlib
import time

import accelerate
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Sampler
from tqdm.auto import tqdm

from lib import paths
from lib.training import checkpoints, processes, staleness
from lib.training.device import device, seed_everything


def learning_rate_factor(epoch, epochs, warmup_epochs=0, decay=0.1, decay_at=()):
    """Return the learning rate at `epoch` (a float: 1.5 is half-way through the second) relative to its peak.

    It rises linearly over `warmup_epochs`, and is multiplied by `decay` after each of the fractions `decay_at` of
    `epochs`.
    """
    rise = min(1.0, (epoch + 1e-9) / warmup_epochs) if warmup_epochs else 1.0
    return rise * decay ** sum(epoch >= fraction * epochs for fraction in decay_at)


class EpochSampler(Sampler):
    """A shuffled order that depends on the seed and the epoch only, so that a resumed run sees the same batches."""

    def __init__(self, data, seed):
        self.data, self.seed, self.epoch = data, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.data)

    def __iter__(self):
        yield from np.random.default_rng([self.seed, self.epoch]).permutation(len(self.data)).tolist()


def fit(
    model,
    loss,
    train_set,
    settings,
    name,
    *,
    seed,
    depends_on,
    validate=None,
    monitor="val_auc",
    mode="max",
    config=None,
    parameters=None,
    optimizer="adam",
    decay=0.1,
    decay_at=(),
):
    """Train `model` and return its history as a DataFrame; the model then has its best weights and is in eval mode.

    loss(model, batch) returns a scalar tensor, or a dict of scalar tensors: "loss" is minimised, and all are recorded.
    train_set is a map-style Dataset; if it has `set_epoch`, its items may depend on the epoch.
    settings is a section of params.yaml: epochs, batch_size, learning_rate, and optionally weight_decay (L2),
    warmup_epochs and workers (processes that read images during the training). validate(model) is called after each
    epoch and returns a dict of floats; the epoch with the best value of `monitor` is kept: the largest for mode "max",
    the smallest for "min". Without `validate` the last epoch is kept. config is stored with the weights.
    depends_on: what else decides the result, for `staleness.key`: the images (`staleness.images` of their table), their
    size and every change of them, and as `code` the modules of model, loss and train_set.
    parameters: those to train, or groups of an optimiser; None: all that require a gradient.

    Writes checkpoints/NAME.safetensors and results/history/NAME.csv. A run that was killed continues after its last
    complete epoch, with the same result. A finished run is loaded instead of repeated, unless its key has changed; the
    key covers `depends_on`, settings, seed, config, the initial weights and this loop.
    Raises ValueError if `code` lacks a module that the training runs, RuntimeError for a loss that is not finite.
    """
    recipe = [optimizer, decay, list(decay_at), monitor, mode]
    key = _key(model, loss, train_set, settings, seed, config, recipe, depends_on)
    history_file, unfinished = paths.HISTORY / f"{name}.csv", paths.UNFINISHED / f"{name}.pt"
    if finished(name, key):
        model.load_state_dict(checkpoints.load(checkpoints.file(name))[0])
        model.to(device()).eval()
        return pd.read_csv(history_file)

    batch_size = min(settings.batch_size, len(train_set))
    accelerator = processes.accelerator(name, batch_size)
    if accelerator.device.type == "cuda":
        model.to(memory_format=torch.channels_last)
        if accelerator.num_processes > 1:
            model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    loader = DataLoader(
        train_set,
        batch_size,
        sampler=EpochSampler(train_set, seed),
        drop_last=True,
        num_workers=getattr(settings, "workers", 0),
        pin_memory=accelerator.device.type == "cuda",
    )
    steps = _optimizer(optimizer, parameters or [p for p in model.parameters() if p.requires_grad], settings)
    model.to(accelerator.device)
    wrapped, steps, loader = accelerator.prepare(model, steps, loader)
    warmup, length = getattr(settings, "warmup_epochs", 0), len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        steps.optimizer, lambda step: learning_rate_factor(step / length, settings.epochs, warmup, decay, decay_at)
    )

    state = {"epoch": 0, "history": [], "best": None, "best_value": None}
    if unfinished.is_file():
        saved = torch.load(unfinished, map_location="cpu", weights_only=True)
        if saved.pop("key", None) == key:
            for part, name_of_part in ((model, "model"), (steps, "optimizer"), (schedule, "schedule")):
                part.load_state_dict(saved.pop(name_of_part))
            state = saved

    bar = tqdm(
        total=settings.epochs * length,
        initial=state["epoch"] * length,
        desc=name,
        unit="batch",
        mininterval=1.0,
        **({} if accelerator.is_main_process else {"disable": True}),  # False would overrule TQDM_DISABLE
    )
    for epoch in range(state["epoch"], settings.epochs):
        seed_everything(seed, epoch, accelerator.process_index)
        loader.set_epoch(epoch)  # reaches EpochSampler.set_epoch
        if hasattr(train_set, "set_epoch"):
            train_set.set_epoch(epoch)
        wrapped.train()
        sums, waited, began = {}, 0.0, time.perf_counter()
        for seconds, batch in _timed(loader):
            waited += seconds
            with lower_precision(accelerator.device):
                losses = loss(wrapped, batch)
            losses = losses if isinstance(losses, dict) else {"loss": losses}
            accelerator.backward(losses["loss"])
            steps.step()
            steps.zero_grad()
            schedule.step()
            for part, value in losses.items():
                sums[part] = sums.get(part, 0) + value.detach().float()
            bar.update()
        spent = time.perf_counter() - began
        means = {part: accelerator.reduce(value / length, "mean").item() for part, value in sums.items()}
        if not np.isfinite(means["loss"]):
            raise RuntimeError(f"{name}: the loss is {means['loss']} in epoch {epoch + 1}; lower learning_rate")
        measured = [{}]
        if validate is not None:
            model.eval()
            if accelerator.is_main_process:
                measured = [validate(model)]
            accelerate.utils.broadcast_object_list(measured)
        row = {"epoch": epoch + 1, **means, **measured[0]}
        shown = {column: f"{value:.4g}" for column, value in row.items() if column in ("epoch", "loss", monitor)}
        bar.set_postfix(shown | {"waiting for images": f"{waited / spent:.0%}"})
        state["history"].append(row)
        value = epoch if validate is None else row[monitor] if mode == "max" else -row[monitor]
        # The last of equally good epochs is kept: when the AUC is 1 already, scores can still be on the wrong side of
        # the threshold 0.5, and later epochs improve that.
        if state["best"] is None or value >= state["best_value"]:
            state["best_value"] = value
            state["best"] = {part: tensor.detach().cpu().clone() for part, tensor in model.state_dict().items()}
        state["epoch"] = epoch + 1
        if accelerator.is_main_process:
            parts = {"model": model, "optimizer": steps, "schedule": schedule}
            whole = {**state, "key": key, **{part: value.state_dict() for part, value in parts.items()}}
            paths.replace(unfinished, lambda temporary, whole=whole: torch.save(whole, temporary))
            told = f"{name} {epoch + 1}/{settings.epochs}"
            paths.replace(unfinished.with_suffix(".txt"), lambda temporary, told=told: temporary.write_text(told))
    bar.close()

    model.load_state_dict(state["best"])
    model.eval()
    history = pd.DataFrame(state["history"])
    if accelerator.is_main_process:
        paths.replace(history_file, lambda temporary: history.to_csv(temporary, index=False))
        checkpoints.save(model, checkpoints.file(name), {**(config or {}), "key": key})
        for file in (unfinished, unfinished.with_suffix(".txt")):
            file.unlink(missing_ok=True)
    accelerator.wait_for_everyone()
    return pd.read_csv(history_file)


def lower_precision(device):
    """Return the autocast context of a loss: bfloat16 on a GPU that supports it, else none (see lib.ops.precision)."""
    supported = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=supported)


def finished(name, key):
    """Return whether the training `name` is finished and its key is still `key`."""
    return (paths.HISTORY / f"{name}.csv").is_file() and checkpoints.config(checkpoints.file(name)).get("key") == key


def _optimizer(name, parameters, settings):
    learning_rate, weight_decay = settings.learning_rate, getattr(settings, "weight_decay", 0.0)
    if name == "sgd":
        return torch.optim.SGD(parameters, learning_rate, momentum=0.9, weight_decay=weight_decay)
    return torch.optim.Adam(parameters, learning_rate, weight_decay=weight_decay)


def _timed(loader):
    """Yield (seconds spent waiting for a batch, batch) for each batch of `loader`."""
    began = time.perf_counter()
    for batch in loader:
        yield time.perf_counter() - began, batch
        began = time.perf_counter()


def _key(model, loss, train_set, settings, seed, config, recipe, depends_on):
    """Return `staleness.key` of a training. Raises ValueError if its `code` lacks a module of `lib` that it runs."""
    stated = (*depends_on.get("code", ()), __name__)
    known = {".".join(file.relative_to(staleness.ROOT).with_suffix("").parts) for file in staleness.sources(*stated)}
    used = {part.__module__ for part in (loss, type(train_set), *map(type, model.modules()))}
    if forgotten := {module for module in used - known if module.startswith("lib.")}:
        raise ValueError(f"depends_on: its code leaves out {', '.join(sorted(forgotten))}, which this training runs")
    decisive = {name: value for name, value in vars(settings).items() if name != "workers"}
    weights = hashlib.sha256()
    for name, value in model.state_dict().items():
        weights.update(name.encode())
        weights.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    made_of = {"settings": decisive, "seed": seed, "config": config, "recipe": recipe, "weights": weights.hexdigest()}
    return staleness.key(**made_of, depends_on={**depends_on, "code": None}, code=stated)
