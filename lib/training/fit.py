"""One training loop for every network: seeded, resumable after a kill at any moment, on a CPU, a GPU or many.

Several processes: start the same program with `accelerate launch --num_processes N`. `batch_size` is the batch of all
processes together, so the number of processes does not change the loss curve of a network without batch norm. With
batch norm, CUDA processes share their statistics (SyncBatchNorm); CPU processes normalise over their own slice of the
batch, and the curve differs by as much as those statistics do.
"""

import ast
import hashlib
import json
import time
from pathlib import Path

import accelerate
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Sampler
from tqdm.auto import tqdm

from lib import paths
from lib.training.checkpoints import _config, save
from lib.training.device import device, seed_everything


def learning_rate_factor(epoch, epochs, warmup_epochs=0, decay=0.1, decay_at=()):
    """Return the learning rate at `epoch` (a float: 1.5 is half-way through the second) relative to its peak.

    It rises linearly over `warmup_epochs` and is multiplied by `decay` at each of the fractions `decay_at` of the run.
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
    validate=None,
    monitor="val_auc",
    mode="max",
    config=None,
    parameters=None,
    optimizer="adam",
    decay=0.1,
    decay_at=(),
    progress=True,
):
    """Train `model`, leave it holding its best weights, in eval mode, and return its history as a DataFrame.

    loss(model, batch) returns a scalar tensor, or a dict of them of which "loss" is minimised and all are recorded.
    train_set is a map-style Dataset; where it has `set_epoch`, its items may depend on the epoch.
    settings is a section of params.yaml: epochs, batch_size, learning_rate, and where they are there weight_decay (L2),
    warmup_epochs and workers (processes that read images beside the training). validate(model) returns a dict of floats
    after each epoch; the best epoch by `monitor` is kept (`mode` says whether "max" or "min" is best), the last one
    without `validate`. config is stored with the weights.
    parameters: the ones to train, or optimiser groups; all that require a gradient where None.

    Writes checkpoints/NAME.safetensors and results/history/NAME.csv. A run that was killed continues at its last whole
    epoch with the same result; a run that had ended is loaded instead of repeated, unless anything that it depends on
    (settings, seed, data, initial weights, source code) has changed.
    """
    checkpoint, history_file = paths.CHECKPOINTS / f"{name}.safetensors", paths.HISTORY / f"{name}.csv"
    unfinished = paths.UNFINISHED / f"{name}.pt"
    recipe = {"optimizer": optimizer, "decay": decay, "decay_at": list(decay_at), "monitor": monitor, "mode": mode}
    fingerprint = _fingerprint(model, loss, train_set, settings, seed, recipe)

    if checkpoint.is_file() and history_file.is_file() and _config(checkpoint).get("fingerprint") == fingerprint:
        model.load_state_dict(load_file(checkpoint))
        model.to(device()).eval()
        return pd.read_csv(history_file)

    accelerator = accelerate.Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no",
        dataloader_config=accelerate.DataLoaderConfiguration(split_batches=True, even_batches=False),
    )
    if accelerator.device.type == "cuda":
        model.to(memory_format=torch.channels_last)
        if accelerator.num_processes > 1:
            model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    order = EpochSampler(train_set, seed)
    loader = DataLoader(
        train_set,
        min(settings.batch_size, len(train_set)),
        sampler=order,
        drop_last=True,
        num_workers=getattr(settings, "workers", 0),
        pin_memory=accelerator.device.type == "cuda",
    )
    steps = _optimizer(optimizer, parameters or [p for p in model.parameters() if p.requires_grad], settings)
    peaks = [group["lr"] for group in steps.param_groups]
    model.to(accelerator.device)
    wrapped, steps, loader = accelerator.prepare(model, steps, loader)

    state = {"epoch": 0, "history": [], "best": None, "best_value": None}
    if unfinished.is_file():
        saved = torch.load(unfinished, map_location="cpu", weights_only=True)
        if saved["fingerprint"] == fingerprint:
            model.load_state_dict(saved.pop("model"))
            steps.load_state_dict(saved.pop("optimizer"))
            state = saved

    bar = tqdm(
        total=settings.epochs * len(loader),
        initial=state["epoch"] * len(loader),
        desc=name,
        unit="batch",
        disable=not (progress and accelerator.is_main_process),
        mininterval=1.0,
    )
    for epoch in range(state["epoch"], settings.epochs):
        seed_everything(seed, epoch, accelerator.process_index)
        loader.set_epoch(epoch)  # hands it on to the order
        if hasattr(train_set, "set_epoch"):
            train_set.set_epoch(epoch)
        wrapped.train()
        sums, waited, began = {}, 0.0, time.perf_counter()
        for step, (seconds, batch) in enumerate(_timed(loader)):
            waited += seconds
            factor = learning_rate_factor(
                epoch + step / len(loader), settings.epochs, getattr(settings, "warmup_epochs", 0), decay, decay_at
            )
            for group, peak in zip(steps.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            with accelerator.autocast():
                losses = loss(wrapped, batch)
            losses = losses if isinstance(losses, dict) else {"loss": losses}
            accelerator.backward(losses["loss"])
            steps.step()
            steps.zero_grad()
            for key, value in losses.items():
                sums[key] = sums.get(key, 0) + value.detach().float()
            bar.update()
        spent = time.perf_counter() - began
        means = {key: accelerator.reduce(value / len(loader), "mean").item() for key, value in sums.items()}
        if not np.isfinite(means["loss"]):
            raise RuntimeError(f"{name}: the loss is {means['loss']} in epoch {epoch + 1}; lower learning_rate")
        measured = [{}]
        if validate is not None:
            model.eval()
            if accelerator.is_main_process:
                measured = [validate(model)]
            accelerate.utils.broadcast_object_list(measured)
        row = {"epoch": epoch + 1, **means, **measured[0]}
        shown = {key: f"{value:.4g}" for key, value in row.items() if key in ("epoch", "loss", monitor)}
        bar.set_postfix(shown | {"waiting for images": f"{waited / spent:.0%}"})
        state["history"].append(row)
        value = epoch if validate is None else row[monitor] if mode == "max" else -row[monitor]
        # Of equally good epochs the last is kept: an AUC of 1 says nothing about the threshold, which settles later.
        if state["best"] is None or value >= state["best_value"]:
            state["best_value"] = value
            state["best"] = {key: tensor.detach().cpu().clone() for key, tensor in model.state_dict().items()}
        state["epoch"] = epoch + 1
        if accelerator.is_main_process:
            whole = {**state, "fingerprint": fingerprint, "model": model.state_dict(), "optimizer": steps.state_dict()}
            paths.replace(unfinished, lambda temporary, whole=whole: torch.save(whole, temporary))
    bar.close()

    model.load_state_dict(state["best"])
    model.eval()
    history = pd.DataFrame(state["history"])
    if accelerator.is_main_process:
        paths.replace(history_file, lambda temporary: history.to_csv(temporary, index=False))
        save(model, checkpoint, {**(config or {}), "fingerprint": fingerprint})
        unfinished.unlink(missing_ok=True)
    accelerator.wait_for_everyone()
    return pd.read_csv(history_file)


def _optimizer(name, parameters, settings):
    learning_rate, weight_decay = settings.learning_rate, getattr(settings, "weight_decay", 0.0)
    if name == "sgd":
        return torch.optim.SGD(parameters, learning_rate, momentum=0.9, weight_decay=weight_decay)
    return torch.optim.Adam(parameters, learning_rate, weight_decay=weight_decay)


def _timed(loader):
    """Yield the batches of `loader`, each behind the seconds that were spent waiting for it."""
    began = time.perf_counter()
    for batch in loader:
        yield time.perf_counter() - began, batch
        began = time.perf_counter()


def _fingerprint(model, loss, train_set, settings, seed, recipe):
    """Return a hash of all that decides how a training ends."""
    digest = hashlib.sha256()
    decisive = {key: value for key, value in vars(settings).items() if key != "workers"}
    digest.update(json.dumps([decisive, seed, recipe], sort_keys=True).encode())
    digest.update(str(len(train_set)).encode())
    table = getattr(train_set, "table", None)
    if table is not None:
        for path, label in zip(table["path"], table["label"], strict=True):
            digest.update(f"{Path(path).name} {Path(path).stat().st_size} {label}\n".encode())
    for key, value in model.state_dict().items():
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    for source in _sources(loss, type(train_set), *{type(module) for module in model.modules()}):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _sources(*parts):
    """Return this file and those of `lib` that hold these functions and classes, or what they import, read as text.

    So a changed network is trained again, and no other, whatever has been imported by now.
    """
    known, found = ("lib.backbones", "lib.bts", "lib.data", "lib.ops", "lib.pel", "lib.rivals"), {Path(__file__)}
    todo = [part.__module__ for part in parts]
    while todo:
        name = todo.pop()
        base = paths.ROOT.joinpath(*name.split("."))
        file = next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)
        if not name.startswith(known) or file is None or file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):  # what is imported may be a module or something inside one
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return sorted(found)
