"""The style of all plots: colours that colour-blind readers tell apart, lines that also differ in grey print."""

import io
import itertools

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython.display import Image, display
from matplotlib import cycler
from sklearn.metrics import roc_auc_score, roc_curve

from lib import paths

COLOURS = sns.color_palette("colorblind", 6)
LINES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P"]
REAL, FAKE = COLOURS[0], COLOURS[3]


def style():
    """Set the style of all figures that follow."""
    sns.set_theme(context="notebook", style="whitegrid", palette=COLOURS)
    plt.rcParams.update({
        "axes.prop_cycle": cycler(color=COLOURS, linestyle=LINES),
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
        "lines.markersize": 5,
    })  # fmt: skip


def image(rgb):
    """Return a picture as an array for imshow; colours are clipped to [0,1].

    rgb: a tensor or array of shape (3,H,W), (1,H,W), (H,W,3) or (H,W), in [0,1] or uint8.
    """
    if hasattr(rgb, "detach"):
        rgb = rgb.detach().cpu().float().numpy()
    if rgb.ndim == 3 and rgb.shape[0] in (1, 3) and rgb.shape[2] not in (1, 3):
        rgb = rgb.transpose(1, 2, 0)
    rgb = rgb.squeeze()
    return rgb if rgb.dtype == np.uint8 or rgb.ndim == 2 else rgb.clip(0, 1)


def show_grid(images, titles=None, columns=None, cmap="gray", side=1.9, limits=(None, None), rows=()):
    """Show pictures in rows of `columns`; returns the figure.

    images: pictures for `image`; maps (H,W) are drawn with `cmap` between `limits`; None leaves a gap.
    titles: of the pictures; the last ones may be missing; rows: names at the left of the rows; side: of one picture, in
    inches.
    """
    columns = columns or min(len(images), 6)
    n_rows = -(-len(images) // columns)
    titles = list(titles or [])
    lines = sum(max(t.count("\n") + 1 for t in titles[i : i + columns]) for i in range(0, len(titles), columns))
    size = (side * columns + (0.3 if rows else 0), (side + 0.05) * n_rows + 0.18 * lines)
    fig, axes = plt.subplots(n_rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax, picture, title in itertools.zip_longest(axes.flat, images, titles):
        ax.axis("off")
        if picture is not None:
            ax.imshow(image(picture), cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest")
        if title is not None:
            ax.set_title(title, fontsize=9, loc="center", fontweight="normal")
    for ax, name in zip(axes[:, 0], rows, strict=False):
        ax.text(-0.05, 0.5, name, transform=ax.transAxes, rotation=90, ha="right", va="center", fontsize=10)
    return fig


def overlay(rgb, heat, strength=0.5):
    """Return the picture with a heat map over it, float (H,W,3) in [0,1].

    rgb: a picture for `image`; heat: (H,W) in [0,1]; higher values are brighter, in grey print, too.
    Raises ValueError if the sizes differ.
    """
    rgb = image(rgb)
    rgb = rgb / 255 if rgb.dtype == np.uint8 else rgb
    heat = image(heat)
    if heat.shape != rgb.shape[:2]:
        raise ValueError(f"heat is {heat.shape[0]} x {heat.shape[1]}, the picture {rgb.shape[0]} x {rgb.shape[1]}")
    return (1 - strength) * rgb + strength * plt.get_cmap("inferno")(heat)[..., :3]


def heat_bar(axes, label, top=1.0, **options):
    """Draw the colour bar of `overlay` from 0 to `top` beside axes (one, or a list), and return it."""
    fig = axes[0].figure if isinstance(axes, list) else axes.figure
    scale = plt.cm.ScalarMappable(plt.Normalize(0, top), "inferno")
    return fig.colorbar(scale, ax=axes, label=label, shrink=0.85, aspect=12, **options)


def roc(curves, ax=None):
    """Draw ROC curves; curves: {name: (labels, scores)}. Returns the axes."""
    ax = ax or plt.subplots(figsize=(5, 4.6))[1]
    for name, (labels, scores) in curves.items():
        fpr, tpr, _ = roc_curve(labels, scores)
        ax.plot(fpr, tpr, label=f"{name} (AUC {roc_auc_score(labels, scores):.3f})")
    ax.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1, label="guessing")
    ax.set(xlabel="real items called fake (share)", ylabel="fake items caught (share)", xlim=(-0.01, 1), ylim=(0, 1.01))
    ax.legend(loc="lower right", fontsize=9)
    return ax


STRENGTHS = {"jpeg": "JPEG quality", "blur": "blur kernel (pixels)", "noise": "noise deviation (grey levels)",
             "crop": "share of the side cut away", "resize": "resized to (share of the side)"}  # fmt: skip
MILDER = ("jpeg", "resize")  # changes that are milder when the strength is larger


def robustness(curves, ylabel="AUC"):
    """Draw a measure against the strength of each change: one panel a change, one line a detector; returns the figure.

    curves: DataFrame of change ("jpeg", ...), strength (NaN: not changed), detector, value, low, high; low and high
    become a band. In every panel the changes get stronger from left to right, in even steps.
    """
    changes, detectors = curves["change"].unique(), curves["detector"].unique()
    columns = min(3, len(changes))
    n_rows = -(-len(changes) // columns)
    fig, axes = plt.subplots(n_rows, columns, figsize=(3.6 * columns, 2.9 * n_rows), sharey=True, squeeze=False)
    for ax, change in zip(axes.flat, changes, strict=False):
        part = curves[curves["change"] == change].set_index("strength")
        steps = part.index.unique().sort_values(ascending=change not in MILDER, na_position="first")
        for detector, style in zip(detectors, line_styles(), strict=False):
            line = part[part["detector"] == detector].reindex(steps).reset_index()
            ax.plot(line["value"], label=detector, **style)
            ax.fill_between(line.index, line["low"], line["high"], color=style["color"], alpha=0.1, linewidth=0)
        ax.axhline(0.5, color="grey", linestyle=":", linewidth=1, marker="")
        ax.set_xticks(range(len(steps)), ["none" if step != step else f"{step:g}" for step in steps])
        ax.set(xlabel=STRENGTHS.get(change, change), ylabel=ylabel if ax in axes[:, 0] else "")
        last = part.loc[steps[-1], "value"]
        ax.set_title(f"strongest {change}: from {last.min():.2f} to {last.max():.2f}", fontsize=10)
    for ax in axes.flat[len(changes) :]:
        ax.axis("off")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    return fig


def line_styles():
    """Yield styles of lines without end: 6 colours, line styles and markers, first filled, then hollow, and so on."""
    for hollow in itertools.cycle((False, True)):
        for colour, line, marker in zip(COLOURS, LINES, MARKERS, strict=True):
            face = "white" if hollow else colour
            yield {"color": colour, "linestyle": line, "marker": marker, "markerfacecolor": face}


def follow(controls, picture, draw):
    """Show draw(*values of controls), a figure, in an ipywidgets.Image, and draw it again when a control changes.

    `interact` is not used: with its Output widget, a notebook without a browser sometimes waits for ever (nbclient
    issue 312).
    """

    def update(change=None):
        fig = draw(*(control.value for control in controls))
        fig.savefig(file := io.BytesIO(), format="png")
        picture.value = file.getvalue()
        plt.close(fig)

    for control in controls:
        control.observe(update, "value")
    update()


def show(fig, alt, name=None):
    """Show a figure in a notebook, with a text for readers who cannot see it; name: if given, `save` it, too."""
    if name:
        save(fig, name)
    fig.savefig(file := io.BytesIO(), format="png", dpi=100, metadata={"Software": None})
    plt.close(fig)
    display(Image(file.getvalue(), alt=alt))


def save(fig, name):
    """Write a figure to results/figures/NAME.png (150 dpi), the same bytes for the same picture."""
    file = paths.FIGURES / f"{name}.png"
    fig.canvas.draw()  # only the second drawing has the final layout
    paths.replace(file, lambda unfinished: fig.savefig(unfinished, format="png", dpi=150, metadata={"Software": None}))
