"""Pictures of what a detector saw: where it found evidence for fake, and what its re-synthesis misses."""

from pathlib import Path

import torch

from lib import figures, paths
from lib.bts import explain
from lib.data import image
from lib.evaluation.heat import to_heat
from lib.training.device import device

LARGEST = 1024  # pixels: largest side of a picture whose re-synthesis is drawn
STEP = 32  # stride of the deepest stage, in pixels
SIDE = 2.6  # inches: side of a picture in a figure


def heatmap(result, model):
    """Return a figure of the face and, over it, where each stream of its detector found evidence for fake.

    result: what `lib.detect.score` returns (for a video, the frame with the highest score is drawn); model: its
    detector. A detector with a re-synthesizer adds a second row: the re-synthesized picture, and how much of each pixel
    the re-synthesis misses, at the resolution of the image (up to LARGEST pixels a side).
    Raises ValueError for a detector without activation maps.
    Source: PEL Fig. 2, BTS Figs. 3 and 7.
    """
    if not hasattr(model, "activation_maps"):
        raise ValueError(f"{type(model).__name__} does not tell where it looks: leave --heatmap out")
    maps = model.activation_maps(_tensor(result.crop))
    heats = [to_heat(stream, result.crop.shape[0])[0] for stream in maps.values()]
    pictures = [result.crop, *(figures.overlay(result.crop, heat) for heat in heats)]
    titles, tops, columns = [f"{result.verdict}, score {result.score:.3f}", *maps], {}, len(pictures)
    if hasattr(model, "re_synthesizer"):
        whole = _whole(result)
        missed, tops = _missed(model, whole)
        pictures += missed
        titles += [f"re-synthesized, {len(whole)} px", *(f"{name}: what that misses" for name in tops)]
    fig = figures.show_grid(pictures, titles, columns=columns, side=SIDE)
    width, height = fig.get_size_inches()
    fig.set_size_inches(width + 1, height + 0.8 * bool(tops))  # for the colour bars
    evidence, re_synthesis = fig.axes[:columns], fig.axes[columns : len(pictures)]
    bar = figures.heat_bar(evidence, "evidence for fake in this face", ticks=[0, 1])
    bar.ax.set_yticklabels(["least", "most"])
    for ax, (name, top) in zip(re_synthesis[1:], tops.items(), strict=True):
        unit, scale = ("grey levels of 255", 255) if name == "pixel" else ("units of the features", 1)
        figures.heat_bar(ax, unit, top * scale, location="bottom")
    for ax in re_synthesis:
        ax.set_anchor("S")  # aligned, although the first picture has no colour bar
    return fig


def save(fig, file):
    """Write a figure of `heatmap` as PNG, with at least as many pixels as its largest picture has."""
    largest = max(ax.images[0].get_array().shape[0] for ax in fig.axes if ax.images)
    dpi = max(fig.dpi, 1.25 * largest / SIDE)  # a picture is smaller than SIDE: titles need room
    paths.replace(file, lambda unfinished: fig.savefig(unfinished, format="png", dpi=dpi))
    figures.plt.close(fig)


def _tensor(rgb):
    return torch.tensor(rgb, device=device()).permute(2, 0, 1)[None] / 255


def _whole(result):
    """Return the crop of a video, or the central square of an image, of at most LARGEST pixels, a multiple of STEP."""
    if Path(result.path).suffix.lower() not in image.SUFFIXES:
        return result.crop
    rgb = image.read_image(result.path)
    side = min(*rgb.shape[:2], LARGEST)
    return image.resize(rgb, max(side // STEP, 1) * STEP)


@torch.inference_mode()
def _missed(model, rgb):
    """Return [re-synthesized picture, overlay of what each stage misses, ...] and {stage: end of its colour bar}."""
    failures = {name: failure[0].cpu() for name, failure in explain.failure_maps(model, _tensor(rgb)).items()}
    # The colours do not end at the maximum: one bright pixel would make all others dark.
    tops = {name: max(failure.quantile(0.999).item(), 1e-6) for name, failure in failures.items()}
    output = model.re_synthesizer.re_synthesize(_tensor(rgb))[0].cpu()
    heats = [failure.clamp(max=tops[name]) / tops[name] for name, failure in failures.items()]
    return [output, *(figures.overlay(rgb, heat, 0.75) for heat in heats)], tops
