"""Both detectors look at one picture while it is changed: what notebook 13 and `make playground` draw."""

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lib import detect, figures, ops
from lib.bts import explain
from lib.data import changes, user_files
from lib.evaluation.heat import to_heat
from lib.training.device import device

LIMIT = 20 * 2**20  # bytes of an upload
TITLES = {"pel": "PEL: is this face manipulated?", "bts": "Beyond the Spectrum: is this picture generated?"}
LOUDEST = 0.15  # of a residual in [0, 1]: white in its picture


@dataclass(frozen=True)
class Change:
    """What happens to a picture, in this order; the defaults change nothing.

    quality: of JPEG, 1 .. 95, 100 for none; blur: kernel in pixels, odd; crop: share of the side that is cut away;
    noise: deviation in grey levels; size: the share of the side it is shrunk to, and enlarged again from.
    """

    quality: int = 100
    blur: int = 1
    crop: float = 0.0
    noise: float = 0.0
    size: float = 1.0

    def __call__(self, picture):
        """Return a picture, uint8 (H, W, 3), after the change; what is random in it is always the same."""
        rng = np.random.default_rng(0)
        picture = changes.jpeg(picture, self.quality) if self.quality < 100 else picture
        picture = changes.crop(changes.blur(picture, self.blur), self.crop, rng)
        return changes.resize(changes.noise(picture, self.noise, rng), self.size)


class Playground:
    """One picture and both detectors; `opened` takes the picture, `look` says what they see of it after a Change."""

    def __init__(self):
        self.detectors = {name: detect.load(name) for name in TITLES}
        self.plain = copy.deepcopy(self.detectors["pel"].model)
        self.plain.enhancements = torch.nn.ModuleList(_Nothing() for _ in self.plain.enhancements)
        self.seen = {}

    def opened(self, name, content):
        """Take a picture, or the middle of a video, from the bytes of a file, which is not kept; returns itself.

        name: of the file, for its kind and for messages. Raises ValueError in one line that names it.
        """
        if len(content) > LIMIT:
            raise ValueError(f"{name}: {len(content) / 2**20:.0f} MB; at most {LIMIT / 2**20:.0f} MB are taken")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"upload{Path(name).suffix.lower()}"
            path.write_bytes(bytes(content))
            try:
                cut = {each: user_files.cut_file(path, **loaded.cutting(1))[0]
                       for each, loaded in self.detectors.items()}  # fmt: skip
            except (OSError, ValueError, RuntimeError) as error:
                raise ValueError(str(error).replace(str(path), name)) from None
        self.seen = {each: crops[0][1] for each, crops in cut.items()}
        return self

    @torch.inference_mode()
    def scores(self, change, enhanced=True):
        """Return {"pel": score, "bts": score} in [0, 1]; enhanced: False takes all enhancements out of PEL."""
        pel = self.detectors["pel"].model if enhanced else self.plain
        models = {"pel": pel, "bts": self.detectors["bts"].model}
        return {name: model.fake_probability({"rgb": self._tensor(name, change)}).item()
                for name, model in models.items()}  # fmt: skip

    def look(self, change=None, enhanced=True, frequency=(0, 1)):
        """Return (scores, figure): for each detector the picture, its heat map, and what it alone reads of it.

        frequency: (u, v) of the band of the sliding DCT that is drawn, each 0 .. 7; of the other detector it is what
        the re-synthesis misses.
        """
        change = change or Change()
        found, pictures, titles = self.scores(change, enhanced), [], []
        pel = self.detectors["pel"].model if enhanced else self.plain
        for name, model in (("pel", pel), ("bts", self.detectors["bts"].model)):
            rgb = self._tensor(name, change)
            picture = rgb[0].permute(1, 2, 0).cpu().numpy()
            stream, heat = next(iter(model.activation_maps(rgb).items()))
            pictures += [picture, figures.overlay(picture, to_heat(heat, len(picture))[0])]
            titles += [f"score {found[name]:.3f}", f"evidence for fake: {stream}"]
        u, v = frequency
        with torch.no_grad():
            band = ops.sliding_dct(self._tensor("pel", change))[0, 8 * u + v].cpu()
            missed = explain.failure_maps(self.detectors["bts"].model, self._tensor("bts", change))["pixel"][0].cpu()
        own = 0.5 + band / (6 * band.std().clamp_min(1e-3)), missed / LOUDEST
        pictures = [*pictures[:2], own[0], *pictures[2:], own[1]]
        titles = [*titles[:2], f"brightness, DCT ({u}, {v})", *titles[2:], "what the re-synthesis misses"]
        return found, figures.show_grid(pictures, titles, columns=3, side=2.4, limits=(0, 1), rows=("PEL", "BTS"))

    def _tensor(self, name, change):
        if not self.seen:
            raise ValueError("no picture yet: open one first")
        return torch.tensor(change(self.seen[name]), device=device()).permute(2, 0, 1)[None] / 255


class _Nothing(torch.nn.Module):
    def forward(self, maps):
        return maps
