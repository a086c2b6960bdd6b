"""The networks that the pipeline trains, each counted once: what an image takes in them (`counting.Work`)."""

import functools
import inspect
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import torch
from torch import nn

from lib import detectors
from lib.bts.degradations import TASKS
from lib.bts.perceptual import Perceptual, equations
from lib.bts.re_synthesizer import RDN, rdn_options
from lib.pel import ablations
from lib.rehearsal.counting import count

COUNTED = 8  # images in the batch that is counted; the results are kept for one image
RDN_KEY = "re-synthesizer"


def networks(params):
    """Return {key: Entry or None} of all networks that learn in epochs: detectors, "ablations/ROW", RDN_KEY (None)."""
    known = {name: detectors.entry(name) for table in ("bts", "pel") for name in detectors.names(table)}
    rows = {f"ablations/{row}": ablations.entry(row) for row in ablations.ROWS}
    return {**{key: each for key, each in {**known, **rows}.items() if each.loss}, RDN_KEY: None}


def made_of(params, key, entry):
    """Return what a network of `networks` is made of, without its weights: (class, arguments, side of its images)."""
    if entry is None:
        return RDN, rdn_options(params.re_synthesizer), params.re_synthesizer.patch
    section = params.ablations if key.startswith("ablations/") else params.faces
    size = params.re_synthesizer.size if entry.table == "bts" else section.size
    named = inspect.signature(entry.options).parameters
    options = entry.options(**{k: v for k, v in {"size": size, **dict(params)}.items() if k in named})
    bound = inspect.signature(entry.network).bind(**options)
    bound.apply_defaults()
    learned = {"pretrained": False} if "pretrained" in bound.arguments else {}
    return entry.network, {**bound.arguments, **learned}, size


def shapes(params):
    """Return the keys of `networks` in lists; the networks of a list have the same shape and so the same costs."""
    found = {}
    for key, entry in networks(params).items():
        network, options, size = made_of(params, key, entry)
        shape = json.dumps([network.__qualname__, {k: v for k, v in options.items() if k != "phi"}, size])
        found.setdefault(shape, []).append(key)
    return list(found.values())


def counted(params):
    """Return {key: Work} of all `networks`, each shape counted once, by other processes (see `counting`)."""
    alike = shapes(params)
    own = {"initializer": torch.set_num_threads, "initargs": (1,), "mp_context": multiprocessing.get_context("spawn")}
    with ProcessPoolExecutor(min(os.cpu_count(), len(alike)), **own) as pool:
        works = pool.map(functools.partial(count_one, params), [key for key, *_ in alike])
        return {key: work for keys, work in zip(alike, works, strict=True) for key in keys}


def count_one(params, key):
    """Return the Work of one of `networks`, in this process."""
    entry = networks(params)[key]
    network, options, size = made_of(params, key, entry)
    model, batch = network(**options), {"rgb": torch.empty(COUNTED, 3, size, size)}
    if entry is None:
        theta = Perceptual(params.re_synthesizer.perceptual, pretrained=False)
        model = nn.ModuleDict({"phi": model, "theta": theta})
        return count(model, lambda m, b: equations(m["theta"], TASKS[""], params.re_synthesizer)[1](m["phi"], b), batch)
    batch["label"] = torch.zeros(COUNTED)
    if "mask" in model.inputs:
        batch["mask"] = torch.empty(COUNTED, 1, size, size)
    return count(model, entry.loss, batch, 1 if entry.table == "bts" else 2)
