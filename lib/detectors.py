"""What all detectors have in common, and their list: each one is registered in the file of its network.

To add a detector, write a file in lib/rivals with a `Detector` and a function that returns its options, decorated with
`register`, and add a line to lib/rivals/__init__.py. Stages, tables, `python -m lib.detect --checkpoint` and notebook
10 then include the new detector.
"""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from lib.training.device import seed_everything

LISTED = ("lib.rivals", "lib.bts.detector", "lib.pel.network")  # imported when the list is first used
FAKE = 1  # position of "fake" where a network has two logits


class Detector(nn.Module):
    """A network that tells fake from real.

    forward: takes the tensors that `inputs` names, the first is rgb (N,3,H,W) in [0,1]; returns logits, (N,) with high
    = fake, or (N,2) with real first and fake second. size: side of the images that it reads in pixels, None for any;
    at_once: how many are scored at once.
    A detector that can show where it looks has a method activation_maps(rgb), which returns {stream or stage: float
    (N,h,w)}: what each place adds to the evidence for fake.
    """

    inputs = ("rgb",)
    size = None
    at_once = 64

    def fake_probability(self, batch):
        """Return the probability of being fake (N,) of a batch {"rgb": (N,3,H,W), ...}; other `inputs` are optional."""
        logits = self(*(batch[name] for name in self.inputs if name in batch))
        return logits.sigmoid() if logits.dim() == 1 else logits.softmax(-1)[..., FAKE]

    def opinions(self, batch):
        """Return what each part of the detector says, {name: probability of being fake (N,)}; the last one decides."""
        return {"score": self.fake_probability(batch)}


def check_rgb(rgb, size=None):
    """Raise ValueError unless rgb is (N,3,H,W), with H = W = size if a size is given."""
    if rgb.dim() != 4 or rgb.shape[1] != 3 or (size and tuple(rgb.shape[2:]) != (size, size)):
        wanted = f"(N, 3, {size}, {size})" if size else "(N, 3, H, W)"
        raise ValueError(f"rgb: needs shape {wanted}, has {tuple(rgb.shape)}")


@dataclass(frozen=True)
class Entry:
    """A detector by name: its network, its options, and how it learns. See `register`."""

    name: str
    table: str
    network: type
    options: Callable
    loss: Callable | None
    flip: bool
    items: Callable
    shares: str
    examples: Callable

    @property
    def code(self):
        """The modules that a training of this detector depends on, besides those of the loop and of the images."""
        parts = (self.network, self.options, self.loss, self.items, self.examples)
        return tuple(sorted({part.__module__ for part in parts if getattr(part, "__module__", "").startswith("lib.")}))

    def make(self, seed, size, **sections):
        """Return an untrained network, the same for the same seed, and its options; sections: of params.yaml."""
        named = inspect.signature(self.options).parameters
        options = self.options(**{name: value for name, value in {"size": size, **sections}.items() if name in named})
        seed_everything(seed)
        return self.network(**options), options


ENTRIES = {}


def register(name, table, network, loss=None, flip=True, items=lambda images, model: images, shares="",
             examples=lambda images: images):  # fmt: skip
    """Return a decorator that adds a detector to the list; the decorated function makes the options of its network.

    name: in tables and files; table: "bts" or "pel", the paper whose tables include it, or "more" for neither;
    network: a subclass of Detector.
    The decorated function takes `size` (of the images) and sections of params.yaml, those that it names, and returns
    the keyword arguments of the network. loss(model, batch): None for a detector that has a method `learn` instead;
    flip: learn from mirrored images, too; items(images, model): a Dataset that adds other inputs to the items of
    FaceImages; shares: the weights of a trained part that does the same work for several detectors; examples(images): a
    Dataset, as long and with the same labels, that takes the place of the FaceImages to learn from.
    If a network has `prepare(items, steps)`, it is called once before a training, with the items to learn from and the
    steps of an epoch.
    """

    def add(options):
        if name in ENTRIES:
            raise ValueError(f"detector {name!r}: there is one already, {ENTRIES[name].network.__module__}")
        ENTRIES[name] = Entry(name, table, network, options, loss, flip, items, shares, examples)
        return options

    return add


def names(table):
    """Return the names of the detectors of a table ("bts", "pel" or "more"), in the order of the tables."""
    rivals_first = sorted(_entries().values(), key=lambda entry: entry.network.__module__ in LISTED)
    return [entry.name for entry in rivals_first if entry.table == table]


def entry(name):
    """Return the Entry of a detector. Raises ValueError with all known names for an unknown name."""
    if name not in _entries():
        raise ValueError(f"detector: {name!r} is not one of {', '.join(ENTRIES)}")
    return ENTRIES[name]


def _entries():
    for module in LISTED:
        importlib.import_module(module)
    return ENTRIES


def restore(state, config):
    """Return the trained network, in eval mode, from what `checkpoints.load` returns; ValueError for other weights."""
    try:
        network, options = entry(config["detector"]).network, dict(config["options"])
        if "pretrained" in inspect.signature(network).parameters:
            options["pretrained"] = False
        model = network(**options)
        model.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"not the weights of a detector ({str(error).splitlines()[0]})") from None
    return model.eval()
