# %% [markdown]
# # 09 · Does the heat fall on the forgery?
#
# A detector says "fake". Where in the face did it see that? A heat map seems to tell, and it is easily believed: faces
# are in the middle of their pictures, and forgeries are in the middle of faces. So each map here stands beside a
# **control**: the same measurement where nothing was forged, or where the forgery is somewhere else.
#
# **After this notebook you can**
# - compute a class activation map by hand, and show that it is the score itself, laid out in space;
# - split PEL's verdict into its two streams, pixels and frequencies;
# - measure whether a map falls on the manipulated region, and test that number against four controls;
# - say what a t-SNE picture can show and what it cannot, and what was there before the training;
# - explain a residual detector, whose last map may be a single pixel.
#
# **You need**: [06 progressive enhancement](06_progressive_enhancement.ipynb) and
# [03 residual detectors](03_residual_detectors.ipynb), which explain the two networks. **Run it alone**: after
# `make lab`, on any CPU; the minutes are in the table of [README.md](../README.md). **Papers**: Figs. 2, 3 and 4 of PEL
# (Gu et al., AAAI 2022), and a first version of Fig. 7 of *Beyond the Spectrum*, BTS for short (He et al., IJCAI 2021).
#
# Previous: [08 PEL: ablations](08_pel_ablations.ipynb) ·
# Next: [10 both papers](10_both_papers.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display
from sklearn.manifold import TSNE

from lib import detect, figures, ops
from lib.backbones.resnet import grad_cam
from lib.data import cards, faces, image, layouts
from lib.data.items import FaceImages
from lib.evaluation import report, resampling
from lib.evaluation.heat import share_inside, to_heat
from lib.params import load
from lib.training import checkpoints
from lib.training.device import device as best_device

params = load(scale)
figures.style()
device = best_device()
print(f"scale {params.scale}. PEL looks at {cards.title(params.data.forged)};")
print(f"BTS looks at {cards.title(params.data.generated)}.")

# %% [markdown]
# Every number below comes with an **interval**: pictures of one person are alike, so people are drawn again and again,
# with replacement, and 95 of 100 such draws fall into the interval. It says how much the number depends on *these*
# people. It does not hold the luck of the training: each network was trained once, and another training may draw other
# maps.


# %%
def over_people(values, people):
    """(mean, low, high) of one value an item, with the 95 % interval over the people."""
    values, people = np.asarray(values, float), np.asarray(people)
    there = ~np.isnan(values)
    values, people = values[there], people[there]
    if not len(values):
        return np.nan, np.nan, np.nan
    mean = lambda weights: (weights @ values) / weights.sum(1)
    return values.mean(), *resampling.interval(people, mean, seed=params.seed)


def text(mean, low, high, sign=""):
    """Such as 0.77 [0.70, 0.83]; without an interval where one person is all there is."""
    return f"{mean:{sign}.2f}" + ("" if np.isnan(low) else f" [{low:{sign}.2f}, {high:{sign}.2f}]")


def verdict(mean, low, high):
    """What an interval of a difference says: nothing, while it holds 0."""
    return "more" if low > 0 else "less" if high < 0 else "no difference seen"


# %% [markdown]
# ## 1 A class activation map, by hand
#
# Many networks end in the same way. The last convolution leaves maps $f_k(x, y)$, one a channel. Their spatial means go
# into one linear layer with weights $w_k$ and a bias $b$. That gives the **logit**, a number from $-\infty$ to
# $\infty$; the sigmoid turns it into the score between 0 (real) and 1 (fake). Zhou et al. (2016) swap the two sums:
#
# $$\text{logit} - b \;=\; \sum_k w_k \,\frac{1}{hw}\sum_{x,y} f_k(x,y)
# \;=\; \frac{1}{hw}\sum_{x,y} \underbrace{\sum_k w_k\, f_k(x,y)}_{M(x,y)} \tag{1}$$
#
# $M$ is the **class activation map** (CAM): what each place adds to the logit. A toy with two channels of 2 x 3 pixels:

# %% tags=["nbval-check-output"]
# (channels, h, w)
f = torch.tensor([[[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]], [[4.0, 0.0, 0.0], [2.0, 0.0, 0.0]]])
w = torch.tensor([2.0, -1.0])
cam = (w[:, None, None] * f).sum(0)
by_pooling = (w * f.mean((1, 2))).sum().item()
print("map:", cam.tolist())
print("mean of the map:", cam.mean().item(), " logit by pooling first:", by_pooling)

# %% [markdown]
# Channel 0 votes for fake ($w_0 > 0$), channel 1 for real. So the right side of the toy speaks for fake and the left
# side against. The mean is the logit. Nothing is estimated here: a CAM is the logit itself, before it is added up.
#
# ## 2 PEL has two streams, so it has two maps
#
# PEL reads a face twice: the **RGB stream** reads its pixels, the **frequency stream** 192 maps of its frequencies
# ([notebook 05](05_fine_grained_frequency.ipynb)). Its last layer takes the pooled channels of both, one behind the
# other. The first half of its weights belongs to RGB, the second half to frequency. So (1) splits into two maps whose
# means add up:
#
# $$\text{logit} = b + \overline{M_\text{rgb}} + \overline{M_\text{freq}} \tag{2}$$

# %%
pel = detect.load("pel")
table = faces.prepare(params.data.forged, params.faces, params.seed)
test = table[table["split"] == "test"].reset_index(drop=True)
rgb = FaceImages(test.iloc[:4], pel.size)[0]["rgb"][None].to(device)  # (1, 3, size, size)

maps = pel.model.activation_maps(rgb)
with torch.no_grad():
    logit = pel.model(rgb)
total = sum(stream.mean() for stream in maps.values()) + pel.model.classifier.bias
same = torch.allclose(total, logit, atol=1e-4)
print({name: tuple(stream.shape) for name, stream in maps.items()})
print("✓ (2) holds in the real network" if same else f"✗ {total} is not {logit}")

# %%
STREAMS = pel.model.streams
cells_a_side = maps[STREAMS[0]].shape[-1]
Markdown(
    f"The network shrinks the face {pel.size // cells_a_side} times, so a map of a face of "
    f"{pel.size} pixels has only {cells_a_side} x {cells_a_side} places. It can tell the mouth "
    "from the eyes, not one eyelid from the other; whatever looks finer in the pictures below is "
    "smooth enlargement."
)


# %% [markdown]
# To draw a map over a face we enlarge it and scale it: 0 is the least evidence for fake in this face, 1 the most.
# **The scale is one face's own.** A bright spot on a real face is only the least convincing real spot.
#
# ## 3 Fig. 2 of PEL: one face, five versions
#
# One person of the test set, whom the network never saw: the real face and its forgeries. The **mask** is white where
# the forgery changed the picture.


# %%
def pick_versions(table):
    """One frame of one person, in as many versions as there are."""
    versions = table.groupby(["identity", "frame"])["method"].nunique()
    identity, frame = versions.idxmax()
    chosen = table[(table["identity"] == identity) & (table["frame"] == frame)]
    return chosen.sort_values("label", kind="stable").drop_duplicates("method", ignore_index=True)


def read_masks(table, size):
    """(n, size, size) in {0, 1}; an item without a mask file has nothing manipulated."""
    nothing = np.zeros((size, size), bool)
    files = table["mask"].fillna("")
    masks = [image.resize(image.read_image(f)[..., 0], size) > 127 if f else nothing for f in files]
    return torch.from_numpy(np.stack(masks))


# %%
def look(detector, table):
    """Scores (n,), pictures (n, 3, size, size), maps {stream: (n, h, w)} of a table's images."""
    data = FaceImages(table, detector.size)
    pictures = torch.stack([item["rgb"] for item in data])
    scores, parts = [], []
    for batch in pictures.split(32):
        with torch.no_grad():
            scores.append(detector.probability(batch.to(device)).cpu())
        found = detector.model.activation_maps(batch.to(device))
        parts.append({name: stream.cpu() for name, stream in found.items()})
    return (
        torch.cat(scores),
        pictures,
        {s: torch.cat([part[s] for part in parts]) for s in parts[0]},
    )


def enlarged(maps, size):
    """Each map on its own scale, 0 least to 1 most evidence: {stream: (n, size, size)}."""
    return {name: to_heat(stream, size) for name, stream in maps.items()}


# %%
def with_bar(fig, first, last, label):
    """Put a colour bar beside the pictures first .. last - 1 of a grid, and leave room for it."""
    width, height = fig.get_size_inches()
    fig.set_size_inches(width + 1, height)
    bar = figures.heat_bar(fig.axes[first:last], label, ticks=[0, 1])
    bar.ax.set_yticklabels(["least", "most"])


# %%
versions = pick_versions(test)
scores, pictures, maps = look(pel, versions)
masks = read_masks(versions, pel.size).float()
cells, n = [*pictures, *masks], len(versions)
for heat in enlarged(maps, pel.size).values():
    cells += [figures.overlay(p, h) for p, h in zip(pictures, heat, strict=True)]
titles = [f"{m}\nscore {s:.2f}" for m, s in zip(versions["method"], scores, strict=True)]
fig = figures.show_grid(cells, titles, columns=n, side=1.4, rows=["face", "mask", *maps])
with_bar(fig, 2 * n, 4 * n, "evidence for fake in this face")
right = int(((scores > 0.5) == torch.tensor(versions["label"].to_numpy())).sum())
fig.suptitle(f"PEL calls {right} of these {n} faces rightly (score above 0.5: fake)", fontsize=11)
alt = (
    f"One face in {n} versions, the masks of the forgeries, and the maps of both streams over the "
    "faces, each on its own scale; the real face has bright places, too."
)
figures.show(fig, alt, name="pel_fig2")

# %% [markdown]
# The real face has bright places as well. On its own scale it must: some place is always the brightest. What these
# places *say* is in the numbers, in units of the logit. The last two columns are the highest value in each map:

# %%
evidence = pd.DataFrame({"face": versions["method"], "score": scores})
evidence["logit"] = sum(m.mean((1, 2)) for m in maps.values()) + pel.model.classifier.bias.item()
for stream, m in maps.items():
    evidence[f"mean of M, {stream}"] = m.mean((1, 2))
for stream, m in maps.items():
    evidence[f"brightest, {stream}"] = m.amax((1, 2))
evidence.style.hide().format(precision=2)

# %%
top = evidence.set_index("face")[f"brightest, {STREAMS[0]}"]
is_real = (versions["label"] == 0).to_numpy()
Markdown(
    f"The brightest place of the real face adds {top[is_real].max():+.1f} to the "
    f"{STREAMS[0]} logit, those of its forgeries {top[~is_real].min():+.1f} to "
    f"{top[~is_real].max():+.1f}. A picture on its own scale hides this."
    if is_real.any() and not is_real.all()
    else "This data set has no real and forged versions of one frame to compare."
)


# %% [markdown]
# ## 4 First control: the mean map of real faces
#
# So we leave the own scales, and average the maps in units of the logit: over real faces, and over the fakes of each
# method. If the *shape* of the map were the same for real faces, it would tell where this network likes to look, and
# not where the forgery is.


# %%
def spread(table, count):
    """At most `count` rows at equal intervals."""
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, count).astype(int))]


seen = {kind: spread(test[test["label"] == i], 120) for i, kind in enumerate(("real", "fake"))}
seen_maps = {kind: look(pel, part)[2] for kind, part in seen.items()}
average = {}
for stream in STREAMS:
    average[stream] = {"real": seen_maps["real"][stream].mean(0)}
    for method in seen["fake"]["method"].unique():
        own = torch.tensor((seen["fake"]["method"] == method).to_numpy())
        average[stream][method] = seen_maps["fake"][stream][own].mean(0)

# %%
across = len(average[STREAMS[0]])
size = (2.1 * across, 2.3 * len(STREAMS))
fig, axes = plt.subplots(len(STREAMS), across, figsize=size, squeeze=False)
for row, (stream, kinds) in zip(axes, average.items(), strict=True):
    limit = max(m.abs().max().item() for m in kinds.values())
    look_of = {"cmap": "PuOr_r", "vmin": -limit, "vmax": limit, "cbar": False, "square": True}
    for ax, (kind, m) in zip(row, kinds.items(), strict=True):
        annotated = {"annot": m.numel() <= 36, "fmt": ".0f", "annot_kws": {"size": 8}}
        sns.heatmap(m.round().numpy() + 0.0, **look_of, **annotated, ax=ax)  # + 0: no "-0"
        ax.set(xticks=[], yticks=[], ylabel=stream if kind == "real" else "")
        ax.set_title(f"{kind}: {m.mean():+.1f}", fontsize=10)
fig.suptitle("Mean maps in units of the logit; above each: what it adds to the logit", fontsize=11)
added = [f"{s} {k} {m.mean():+.1f}" for s, kinds in average.items() for k, m in kinds.items()]
figures.show(fig, f"Mean maps of real faces and of each forgery; their means: {'; '.join(added)}.")

# %%
def highest(m):
    """The highest value of a map, and where it is."""
    y, x = divmod(m.argmax().item(), m.shape[1])
    return f"{round(m.max().item(), 1) + 0.0:+.1f} (row {y + 1}, column {x + 1})"


said = []
for stream in STREAMS:
    real, fake = (seen_maps[kind][stream].mean(0) for kind in ("real", "fake"))
    r = np.corrcoef(real.flatten(), fake.flatten())[0, 1]
    word = "the same places stand out" if r > 0.5 else "other places stand out"
    turned = "the same places stand out, and speak for real there"
    said.append(
        f"- **{stream}**: the mean maps of real faces and of fakes correlate {r:+.2f} over their "
        f"{real.numel()} places: {turned if r < -0.5 else word}. Highest value of the real faces: "
        f"{highest(real)}, of the fakes: {highest(fake)}."
    )
Markdown("\n".join(said))

# %% [markdown]
# Keep both things apart: the **level** of a map is the verdict (a fake's map lies higher), the **shape** is the place.
# A picture on its own scale shows the shape alone.
#
# ## 5 Does the shape follow the forgery?
#
# One row of pictures proves nothing. We know the manipulated region of every fake, so we can measure. Take the share of
# the heat $H$ (the map on its own scale, from 0 to 1) that lies inside the mask $R$:
#
# $$s = \frac{\sum_{(x,y)\in R} H(x,y)}{\sum_{x,y} H(x,y)} \tag{3}$$
#
# An **even map**, the same everywhere, scores the share of the *area* that the mask covers. By hand, on four pixels:

# %% tags=["nbval-check-output"]
heat = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
mask = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
by_hand = (1.0 + 0.5) / (1.0 + 0.0 + 0.5 + 0.5)
print(f"inside: {by_hand}, area: {mask.mean().item()}")
agree = share_inside(mask, heat).item() == by_hand
print("✓ share_inside agrees" if agree else "✗ share_inside differs")

# %% [markdown]
# So these four pixels have 0.75 / 0.50 = 1.5 times the heat of an even map inside the mask. Now all methods, on test
# faces at equal intervals through the table:

# %%
masked = test[(test["label"] == 1) & (test["mask"].fillna("") != "")]
sample = [spread(group, 60) for _, group in masked.groupby("method")]
chosen = pd.concat(sample, ignore_index=True) if sample else masked
if len(chosen):
    fake_heats = enlarged(look(pel, chosen)[2], pel.size)
    region = read_masks(chosen, pel.size)
    area = region.float().mean((1, 2))
    shares = pd.DataFrame({name: share_inside(region, heat) for name, heat in fake_heats.items()})
else:
    print("This data set has no masks: the measurements of sections 5 and 6 are skipped.")

# %%
if len(chosen):
    by_method = {"even map (area of the mask)": area.numpy(), **shares}
    shown = pd.DataFrame(by_method).assign(method=chosen["method"], who=chosen["identity"])
    rows = {
        method: {c: text(*over_people(part[c], part["who"])) for c in by_method}
        for method, part in shown.groupby("method")
    }
    display(pd.DataFrame(rows).T.rename_axis("share of the heat inside the mask", axis=1))

# %% [markdown]
# A number above that of the even map: is that the forgery, or only a liking for the middle of the face? Four controls
# ask for it. Each is a map or a mask that knows nothing of *this* forgery:
#
# 1. the mask **mirrored** left to right (a face is symmetric, so this one should change little);
# 2. the mask **upside down**: the same area, in the wrong place;
# 3. the same mask on the **real face** of the same person and frame, where nothing was forged;
# 4. the same mask on the person's fakes by the **other methods**, which were forged in another region (or in nearly the
#    same one: Deepfakes and FaceSwap both exchange the whole face).


# %%
def times_even(heats, regions):
    """{stream: (n,)}: share of the heat inside a mask, in multiples of an even map's."""
    covered = regions.float().mean((1, 2))
    return {name: (share_inside(regions, heat) / covered).numpy() for name, heat in heats.items()}


KEYS, by_control = ["identity", "frame"], {}
if len(chosen):
    by_control["its own mask"] = times_even(fake_heats, region)
    by_control["mask mirrored left to right"] = times_even(fake_heats, region.flip(2))
    by_control["mask upside down"] = times_even(fake_heats, region.flip(1))

# %% [markdown]
# For controls 3 and 4, each mask is laid over every picture of the same person and frame:

# %%
pairs = pd.DataFrame(columns=["index", "label", "method", "index_mask", "method_mask"])
if len(chosen):
    reals = test[test["label"] == 0].drop_duplicates(KEYS)
    partners = reals.merge(chosen[KEYS].drop_duplicates(), on=KEYS)
    every, all_heats = pd.concat([chosen, partners], ignore_index=True), fake_heats
    if len(partners):
        partner_heats = enlarged(look(pel, partners)[2], pel.size)
        all_heats = {s: torch.cat([fake_heats[s], partner_heats[s]]) for s in STREAMS}
    numbered = chosen.reset_index()[["index", "method", *KEYS]]
    pairs = every.reset_index().merge(numbered, on=KEYS, suffixes=("", "_mask"))
    sides = [torch.tensor(pairs[c].to_numpy()).split(64) for c in ("index", "index_mask")]
    for stream, heat in all_heats.items():
        parts = zip(*sides, strict=True)
        found = [share_inside(region[mask], heat[face]) / area[mask] for face, mask in parts]
        pairs[stream] = torch.cat(found).numpy()
    print(f"{len(every)} pictures, {len(pairs)} pairs of a picture and a mask")

# %%
is_real, another = pairs["label"] == 0, pairs["method"] != pairs["method_mask"]
FACE, ELSEWHERE = "same mask on the real face", "same mask on fakes by other methods"
for name, which in ((FACE, is_real), (ELSEWHERE, ~is_real & another)) if len(chosen) else ():
    of_mask = pairs[which].groupby("index_mask")[list(STREAMS)].mean().reindex(chosen.index)
    by_control[name] = {stream: of_mask[stream].to_numpy(float) for stream in STREAMS}

rows, differences = {}, {}
for name, values in by_control.items():
    rows[name] = {s: text(*over_people(values[s], chosen["identity"])) for s in STREAMS}
    for s in STREAMS if name != "its own mask" else ():
        gap = over_people(by_control["its own mask"][s] - values[s], chosen["identity"])
        differences[name, s] = gap
        rows[name][f"own mask minus this, {s}"] = text(*gap, "+")
pd.DataFrame(rows).T.fillna("").rename_axis("heat inside, in multiples of an even map", axis=1)


# %%
def beaten(stream):
    """One sentence: which controls does a stream's own mask beat, and which not?"""
    gaps = {name: gap for (name, s), gap in differences.items() if s == stream and gap[0] == gap[0]}
    won = [name for name, gap in gaps.items() if verdict(*gap) == "more"]
    rest = [name for name in gaps if name not in won]
    own = text(*over_people(by_control["its own mask"][stream], chosen["identity"]))
    said = f"- **{stream}**: {own} times the heat of an even map on its own mask. "
    said += f"More than: {'; '.join(won) or 'no control'}. "
    return said + (f"Not more than: {'; '.join(rest)}. " if rest else "") + anyway(stream)


def anyway(stream):
    """Which part of the excess over an even map is there on fakes forged by other methods?"""
    own, other = (np.nanmean(by_control[c][stream]) for c in ("its own mask", ELSEWHERE))
    if not own > 1 or np.isnan(other):
        return "It has no more than an even map, or there is nothing to compare it with."
    part = (other - 1) / (own - 1)
    return f"Of its excess over an even map, {part:.0%} is there on fakes by other methods, too."


Markdown("\n".join(map(beaten, STREAMS)) if len(chosen) else "No masks, no verdict.")

# %% [markdown]
# The mirrored mask is the weakest of these controls, as expected: left and right of a face are alike. The last one is
# the sharpest. Here it is in full. Read it **column by column**: one mask, laid over each version of the same faces. A
# map that follows the forgery has its highest value in the framed cell, where mask and forgery belong together.

# %%
if len(chosen):
    fig, axes = plt.subplots(1, len(STREAMS), figsize=(5.6 * len(STREAMS), 3.6), squeeze=False)
    hits, order = {}, sorted(chosen["method"].unique())
    for ax, stream in zip(axes[0], STREAMS, strict=True):
        grid = pairs.pivot_table(index=["label", "method"], columns="method_mask", values=stream)
        grid = grid.droplevel("label")[order]
        sns.heatmap(grid, annot=True, fmt=".2f", cmap="Greys", vmin=0, vmax=4, cbar=False, ax=ax)
        for x, method in enumerate(order):
            corner = x, grid.index.get_loc(method)
            ax.add_patch(plt.Rectangle(corner, 1, 1, fill=False, edgecolor=figures.FAKE, lw=3))
        highest_own = sum(grid[m].idxmax() == m for m in order)
        hits[stream] = f"{stream}: own mask highest in {highest_own} of {len(order)} columns"
        ax.set(xlabel="mask of", ylabel="heat of")
        ax.set_title(hits[stream], fontsize=11)
        ax.set_xticks(np.arange(len(order)) + 0.5, order, rotation=20, ha="right", fontsize=9)
    fig.suptitle("Heat inside a mask, in multiples of an even map (1.00)", fontsize=11)
    alt = "Heat of each kind of face inside each method's mask. " + "; ".join(hits.values())
    figures.show(fig, alt)

# %% [markdown]
# Method by method, with the upside-down mask beside it:

# %%
def bars_and_diamonds(ax):
    """Bars: heat inside the masks, with intervals over people; diamonds: the masks upside down."""
    inside = shares.assign(method=chosen["method"], who=chosen["identity"])
    inside = inside.melt(["method", "who"], var_name="stream", value_name="inside")
    how = {"units": "who", "seed": params.seed, "err_kws": {"linestyle": "-", "linewidth": 1.5}}
    sns.barplot(inside, x="method", y="inside", hue="stream", order=order, **how, ax=ax)
    mark = {"s": 60, "marker": "D", "color": "white", "edgecolor": "black", "zorder": 5}
    for bars, stream, hatch in zip(ax.containers, STREAMS, ("", "//"), strict=False):
        wrong = pd.Series(share_inside(region.flip(1), fake_heats[stream]).numpy())
        middles = [bar.get_x() + bar.get_width() / 2 for bar in bars.patches]
        label = "mask upside down" if stream == STREAMS[0] else None
        ax.scatter(middles, wrong.groupby(chosen["method"]).mean()[order], label=label, **mark)
        for bar in bars.patches:
            bar.set_hatch(hatch)


# %%
if len(chosen):
    fig, ax = plt.subplots(figsize=(8.5, 3.6))
    order = sorted(chosen["method"].unique())
    bars_and_diamonds(ax)
    even = pd.Series(area.numpy()).groupby(chosen["method"]).mean()[order]
    x = np.arange(len(order))
    ax.hlines(even, x - 0.4, x + 0.4, color="black", linestyle="--", label="an even map")
    gain = {s: np.nanmean(by_control["its own mask"][s]) for s in STREAMS}
    title = ", ".join(f"{name}: {times:.2f} x an even map" for name, times in gain.items())
    ax.set(xlabel="", ylabel="share of the heat inside the mask", ylim=(0, 1))
    ax.set_title(title, fontsize=11)
    ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    alt = f"Share of the heat inside the mask, for each method and stream, with intervals: {title}."
    figures.show(fig, alt, name="heat_inside_mask")

# %% [markdown]
# A diamond as high as its bar says: here the heat has no more to do with the forgery than with the opposite end of the
# face. That is likely where a mask covers nearly the whole face, upright or upside down; the small mask of a mouth is
# the honest test.
#
# ## 6 Focused pixels, wide frequencies?
#
# The paper says of its Fig. 2 that the RGB stream is "relatively focused", that the frequency stream "considers a
# larger area (i.e. the entire face)", that both are "often complementary", and that on real images the attention is
# "evenly focused". "Covers" can be measured: the share of the face that is hotter than one half, on the face's own
# scale. "Complementary" can, too: the correlation of the two maps, which is negative where one fills the gaps of the
# other.

# %%
covers, covered, alike = {}, {}, {}
for kind, maps in seen_maps.items():
    heats = enlarged(maps, pel.size)
    covered[kind] = {s: (heats[s] > 0.5).float().mean((1, 2)).numpy() for s in STREAMS}
    covers[kind] = {s: float(values.mean()) for s, values in covered[kind].items()}
    if len(STREAMS) > 1:
        both = [maps[s].flatten(1).numpy() for s in STREAMS]
        alike[kind] = [np.corrcoef(a, b)[0, 1] for a, b in zip(*both, strict=True)]
covers = pd.DataFrame(covers)
rows = {
    kind: {s: text(*over_people(values, seen[kind]["identity"])) for s, values in part.items()}
    for kind, part in covered.items()
}
pd.DataFrame(rows).rename_axis("share of the face hotter than one half")

# %% tags=["hide-input"]
unseen = "no difference seen"
if len(STREAMS) > 1:
    who = seen["fake"]["identity"]
    wider_by = over_people(covered["fake"]["freq"] - covered["fake"]["rgb"], who)
    together = over_people(alike["fake"], who)
    wide = {"more": "as the paper says", "less": "the other way round than in the paper"}
    joint = {"more": "they light up together", "less": "they are complementary, as the paper says"}
    real, fake = (covers.loc["rgb", kind] for kind in ("real", "fake"))
    said = [
        f"- Share of a fake that the frequency stream covers, minus that of the RGB stream: "
        f"{text(*wider_by, '+')}: {wide.get(verdict(*wider_by), unseen)}.",
        f"- The two maps of a fake correlate {text(*together, '+')}: "
        f"{joint.get(verdict(*together), 'no difference from 0 seen')}.",
        f"- RGB on real faces covers {real:.0%}, on fakes {fake:.0%}: the maps of real faces are "
        f'{"more" if real > fake else "less"} even (the paper: "evenly focused" on real images).',
    ]
    display(Markdown("\n".join(said)))


# %% [markdown]
# ## 7 Figs. 3 and 4 of PEL: what the enhancements add
#
# A class activation map shows the *end* of the network. The paper also looks inside. What does a module change? That is
# the residual $r = f_\text{out} - f_\text{in}$ of **self-enhancement** (each stream alone: noise and channel attention)
# in Fig. 3, and of **mutual enhancement** (each stream weighted by a map that both make) in Fig. 4.
#
# Much of $r$ is the same everywhere: the noise block adds $0.5\,w + b$ even to a flat map. Only what stands out from
# the median $m_c$ of its own channel tells a *place*:
#
# $$R(x, y) = \frac{1}{C} \sum_c \left| r_c(x, y) - m_c \right| \tag{4}$$
#
# Two channels of three places. The first is constant, the second has one loud place:


# %% tags=["nbval-check-output"]
def standing_out(change):
    """(n, channels, h, w) -> (n, h, w): how far a change is from the median of its channel."""
    middle = change.flatten(2).median(2).values[..., None, None]
    return (change - middle).abs().mean(1)


print(standing_out(torch.tensor([[[[3.0, 3.0, 3.0]], [[0.0, 4.0, 0.0]]]])))


# %% [markdown]
# PEL is a loop over **stages** (blocks of layers; each stage works on a smaller map): a stage of each stream, then
# self-enhancement, then mutual enhancement. So we walk through it by hand, and write down what each module adds:


# %%
@torch.no_grad()
def walk(model, rgb):
    """{(module, stage, stream): (n, h, w)}, what each module adds and where; and the last maps."""
    trunks, added = model.trunks.values(), {}
    maps = [t.bn1(t.conv_stem(model._input(rgb, s))) for s, t in model.trunks.items()]
    for stage, enhance in enumerate(model.enhancements):
        before = maps
        if stage:
            before = [t.blocks[stage - 1](x) for t, x in zip(trunks, maps, strict=True)]
        alone = [part(x) for part, x in zip(enhance.alone, before, strict=True)]
        maps = enhance.mutual(alone)
        for stream, *changed in zip(model.streams, before, alone, maps, strict=True):
            added["self", stage, stream] = standing_out(changed[1] - changed[0])
            added["mutual", stage, stream] = standing_out(changed[2] - changed[1])
    return added, maps


added, last = walk(pel.model, pictures.to(device))
with torch.no_grad():
    expected = pel.model.forward_features(pictures.to(device)).values()
    ends = [t.bn2(t.conv_head(x)) for t, x in zip(pel.model.trunks.values(), last, strict=True)]
same = all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ends, expected, strict=True))
print("✓ the walk ends where the network does" if same else "✗ the walk ends elsewhere")


# %% [markdown]
# Self-enhancement first, behind stages 1 and 2 (where noise enhancement stands), for the person of section 3. Bright:
# much is added there.


# %%
def draw(module, stages, name):
    """The face, the mask and what a module adds behind some stages; every map on its own scale."""
    chosen_maps = {f"{s}, stage {k}": added[module, k, s] for k in stages for s in STREAMS}
    cells, widest = [*pictures, *masks], max(m.shape[-1] for m in chosen_maps.values())
    for m in chosen_maps.values():
        heat = to_heat(m, pel.size).cpu()
        cells += [figures.overlay(p, h) for p, h in zip(pictures, heat, strict=True)]
    titles, rows = list(versions["method"]), ["face", "mask", *chosen_maps]
    fig = figures.show_grid(cells, titles, columns=n, side=1.15, rows=rows)
    with_bar(fig, 2 * n, len(cells), "added, in this face")
    title = f"What {module}-enhancement adds (maps of up to {widest} pixels a side)"
    fig.suptitle(title, fontsize=11)
    figures.show(fig, f"{title}, behind stages {stages}, over {n} versions of a face.", name=name)


draw("self", (1, 2), "pel_fig3")

# %% [markdown]
# The maps trace the outlines of the face, the eyes, the hair and the border of the picture, in the real face as in the
# fakes: noise enhancement answers to every edge. Mutual enhancement, behind the first stage that has it and behind the
# last; further back the maps have fewer pixels:

# %%
draw("mutual", (2, 6), "pel_fig4")

# %% [markdown]
# Again the pictures prove nothing. Two measurements do, for all faces of section 5: the share (3) inside the mask, in
# multiples of an even map, and the mean of $R$ inside the mask. Both also for the **real face of the same frame under
# the same mask**, which is the control that the paper's sentence asks for: it says that real and fake maps are similar,
# but that the fake ones show "a higher enhancement in local manipulated regions".

# %%
PLACES = [("self", 1), ("self", 2), ("mutual", 2), ("mutual", 4), ("mutual", 6)]
NAMES = {
    (*place, s): f"{place[0]}-enhancement, stage {place[1]}, {s}"
    for place in PLACES
    for s in STREAMS
}


def added_inside(table, where):
    """{module: (n, 2)}: share of R inside a mask in multiples of an even map, mean of R there."""
    data, found = FaceImages(table, pel.size), {key: [] for key in NAMES}
    for part in torch.arange(len(table)).split(32):
        rgb, mask = torch.stack([data[i]["rgb"] for i in part.tolist()]), where[part]
        maps = walk(pel.model, rgb.to(device))[0]
        for key in NAMES:
            large = F.interpolate(maps[key][:, None], (pel.size, pel.size), mode="bilinear")
            large = large[:, 0].cpu()
            times = share_inside(mask, large) / mask.float().mean((1, 2))
            there = (large * mask).sum((1, 2)) / mask.sum((1, 2))
            found[key].append(torch.stack([times, there], 1))
    return {key: torch.cat(parts).numpy() for key, parts in found.items()}


# %%
if len(chosen):
    at_fakes = added_inside(chosen, region)
    twins = chosen[KEYS].merge(reals, on=KEYS, how="left")
    has = twins["path"].notna().to_numpy()
    at_reals = {key: np.full((len(chosen), 2), np.nan) for key in NAMES}
    same_masks = region[torch.tensor(has)]
    for key, found in added_inside(twins[has], same_masks).items() if has.any() else ():
        at_reals[key][has] = found
    times = pd.DataFrame({name: at_fakes[key][:, 0] for key, name in NAMES.items()})
    gains = times.groupby(chosen["method"].to_numpy()).mean()
    mean = gains.mean()  # every method counts the same
    table7 = gains.T.assign(**{"all fakes": mean})
    table7["real, same masks"] = [np.nanmean(at_reals[key][:, 0]) for key in NAMES]

# %%
if len(chosen):
    gaps7 = {
        name: over_people(at_fakes[key][:, 0] - at_reals[key][:, 0], chosen["identity"])
        for key, name in NAMES.items()
    }
    clear7 = [name for name, gap in gaps7.items() if verdict(*gap) == "more"]
    ax = sns.heatmap(table7, annot=True, fmt=".2f", cmap="Greys", vmin=0, vmax=4, cbar=False)
    ax.figure.set_size_inches(8.5, 0.42 * len(mean) + 1.4)
    ax.axvline(len(gains), color="white", linewidth=4)
    ax.set(xlabel="", ylabel="")
    ax.set_xticks(ax.get_xticks(), table7.columns, rotation=20, ha="right", fontsize=9)
    above = f"{(mean > 1).sum()} of {len(mean)} modules add more inside the masks than an even map"
    clearer = f"{len(clear7)} of {len(mean)} add more there than on real faces"
    ax.set_title(f"{above} (1.00),\n{clearer}", fontsize=11, loc="right")
    alt = f"What each enhancement adds inside the mask: {above}, {clearer}."
    figures.show(ax.figure, alt, name="pel_enhancements_inside_mask")


# %% tags=["hide-input"]
def stronger(key):
    """(mean, low, high): the mean of R inside the mask, fakes divided by their real faces."""
    ratio = at_fakes[key][:, 1] / at_reals[key][:, 1]
    return over_people(ratio, chosen["identity"])


said = ["No masks, no verdict."]
if len(chosen):
    first, end = (PLACES[0], PLACES[-1])
    said = [
        f"- More inside the mask than on the real face of the same frame, under the same mask: "
        f"{'; '.join(clear7) or 'no module'} (intervals over people above 0)."
    ]
    words = {"more": "as in the paper", "less": "the other way round than in the paper"}
    for place, figure in ((first, "Fig. 3"), (end, "Fig. 4")):
        found = {s: stronger((*place, s)) for s in STREAMS}
        sides = {s: verdict(*(np.array(ratio) - 1)) for s, ratio in found.items()}
        parts = [f"{s} {text(*found[s])} ({words.get(sides[s], unseen)})" for s in STREAMS]
        said.append(
            f"- {place[0].capitalize()}-enhancement of stage {place[1]} adds, inside the mask, "
            f"this many times what it adds to the real face: {', '.join(parts)}. {figure} of the "
            "paper: more in fakes, so above 1."
        )
Markdown("\n".join(said))

# %% [markdown]
# Where fakes get *less* than real faces, remember how ours are made: a small decoder and a blended border leave
# smoother skin than the photograph had, so that noise enhancement may find less noise to add.


# %% [markdown]
# ## 8 What the streams know: t-SNE, and what it cannot show
#
# Each stream ends in one vector a face. **t-SNE** (van der Maaten and Hinton 2008) lays these vectors out in the plane,
# so that near neighbours stay near.
#
# - It **can** show whether faces of one kind are each other's neighbours.
# - It **cannot** show how far apart two groups are, or which is larger or denser: it evens out densities and draws
#   islands even out of noise.
# - Its parameter, the *perplexity* (about how many neighbours count), redraws the picture.
#
# So we measure in the vectors themselves: how many of a face's ten nearest neighbours, **other people only**, have the
# same label? Guessing gives 0.5. And a control: the same network **before** its training on forgeries, with the weights
# of ImageNet (photographs of things) that both streams start from.


# %%
def same_label(vectors, table, k=10):
    """(n,): the share of a face's k nearest neighbours, other people only, that have its label."""
    label, person = torch.tensor(table["label"].to_numpy()), pd.factorize(table["identity"])[0]
    distance = torch.cdist(vectors, vectors)
    distance[torch.from_numpy(person[:, None] == person)] = float("inf")
    near = distance.topk(k, largest=False).indices
    return (label[near] == label[:, None]).float().mean(1).numpy()


def of_both_labels(agree, table):
    """(mean, low, high): real and fake faces count the same; 95 % interval over the people."""
    label = table["label"].to_numpy()
    of_one = lambda w, one: (w[:, one] @ agree[one]) / w[:, one].sum(1)
    mean = lambda w: (of_one(w, label == 0) + of_one(w, label == 1)) / 2
    low, high = resampling.interval(table["identity"], mean, seed=params.seed)
    return mean(np.ones((1, len(label))))[0], low, high


# %%
options = checkpoints.config(checkpoints.file(detect.DETECTORS["pel"]))["options"]
torch.manual_seed(params.seed)
start = type(pel.model)(**options).eval()
learning = FaceImages(spread(table[table["split"] == "train"], 256), pel.size)
start.prepare(learning, 1)  # as before a training: the new maps hear every frequency equally loud
start = start.to(device)

# %%
half = [spread(test[test["label"] == label], 150) for label in (0, 1)]
some = pd.concat(half, ignore_index=True)  # as many real faces as fakes
rgb = torch.stack([item["rgb"] for item in FaceImages(some, pel.size)])
vectors = {}
for name, model in (("before", start), ("trained", pel.model)):
    with torch.no_grad():
        parts = [model.forward_features(batch.to(device)) for batch in rgb.split(32)]
    for s in STREAMS:
        vectors[s, name] = torch.cat([part[s].mean((2, 3)).cpu() for part in parts])

# %%
agreement = {key: same_label(v, some) for key, v in vectors.items()}
neighbours = {key: of_both_labels(agree, some) for key, agree in agreement.items()}
known_by = {s: float(neighbours[s, "trained"][0]) for s in STREAMS}
by_method = {
    f"{s}, {name}": pd.Series(a).groupby(some["method"], sort=False).mean()
    for (s, name), a in agreement.items()
}
rows = pd.DataFrame(by_method).map("{:.2f}".format)
rows.loc["both labels, with interval"] = [text(*found) for found in neighbours.values()]
rows.rename_axis("share of neighbours with the same label", axis=1)

# %% tags=["hide-input"]
said = []
for s in STREAMS:
    change = of_both_labels(agreement[s, "trained"] - agreement[s, "before"], some)
    said.append(
        f"- **{s}**: {text(*neighbours[s, 'trained'])}, before the training "
        f"{text(*neighbours[s, 'before'])}: a change of {text(*change, '+')} ({verdict(*change)})."
    )
fakes = some["label"] == 1
hard = pd.Series(agreement[STREAMS[0], "trained"])[fakes].groupby(some["method"][fakes]).mean()
said.append(
    f"- Of the fakes, the {STREAMS[0]} stream knows {hard.idxmax()} best ({hard.max():.2f}) and "
    f"{hard.idxmin()} worst ({hard.min():.2f}): one number for all fakes hides this."
)
early = pd.Series(agreement[STREAMS[0], "before"])[fakes].groupby(some["method"][fakes]).mean()
if no_better := [method for method in hard.index if hard[method] <= early[method]]:
    said.append(f"- No higher than before the training: {', '.join(no_better)}.")
Markdown("\n".join(said))


# %%
def draw_tsne(v, perplexity, ax, legend):
    """Lay vectors out in the plane and colour them by method."""
    perplexity = min(perplexity, (len(v) - 1) // 3)
    layout = TSNE(perplexity=perplexity, init="pca", random_state=params.seed)
    x, y = layout.fit_transform(v.numpy()).T
    kind, colours = some["method"], figures.COLOURS[: some["method"].nunique()]
    marks = {"hue": kind, "style": kind, "palette": colours, "s": 36, "legend": legend}
    sns.scatterplot(x=x, y=y, ax=ax, **marks)
    ax.set(xticks=[], yticks=[], xlabel="t-SNE axis 1 (no unit)", ylabel="t-SNE axis 2 (no unit)")


# %%
fig, axes = plt.subplots(1, len(STREAMS), figsize=(12, 4.8), squeeze=False)
for ax, s in zip(axes[0], STREAMS, strict=True):
    draw_tsne(vectors[s, "trained"], 30, ax, legend=s == STREAMS[-1])
    ax.set_title(f"{s}: {known_by[s]:.0%} of neighbours have the same label", fontsize=11)
sns.move_legend(axes[0, -1], "upper left", bbox_to_anchor=(1, 1), title=None)
shares_said = ", ".join(f"{s} {share:.0%}" for s, share in known_by.items())
alt = f"t-SNE of real faces and forgeries; neighbours with the same label: {shares_said}."
figures.show(fig, alt, name="pel_tsne")

# %% [markdown]
# The same vectors of the first stream once more, with two other perplexities. Islands appear, merge and change their
# distances, although not one vector has moved (colours as above):

# %%
fig, axes = plt.subplots(1, 2, figsize=(12, 4.4))
for ax, perplexity in zip(axes, (5, 90), strict=True):
    draw_tsne(vectors[STREAMS[0], "trained"], perplexity, ax, legend=False)
    ax.set_title(f"{STREAMS[0]}, perplexity {perplexity}: the same vectors", fontsize=11)
figures.show(fig, "t-SNE of the same vectors with perplexity 5 and 90: two different pictures.")

# %% [markdown]
# ## 9 Which frequencies it hears
#
# The frequency stream begins with a 1×1 convolution from 192 DCT coefficients, 8×8 a colour channel, to 64 maps. How
# loud is coefficient $b$ in there? Its weights say how much it is amplified; how much it *varies* over faces, its
# standard deviation $\sigma_b$, must be multiplied:
#
# $$\ell_b = \sigma_b \sqrt{\textstyle\sum_o w_{o,b}^2} \tag{5}$$

# %%
coefficients = ops.sliding_dct(rgb[:64], pel.model.stride)  # (64, 192, h, w)
deviation = coefficients.transpose(0, 1).flatten(1).std(1)


@torch.no_grad()
def loudness(model):
    """Weight and loudness of each coefficient: two tensors (colour, row, column)."""
    weight = model.frequency_stem.weight[:, :, 0, 0].norm(dim=0).cpu()
    return weight.unflatten(0, (3, 8, 8)), (weight * deviation).unflatten(0, (3, 8, 8))


weight, loud = loudness(pel.model)
high = (torch.arange(8)[:, None] + torch.arange(8) >= 7).float()
share_high = ((loud * high).sum() / loud.sum()).item()
share_mean = (loud[:, 0, 0].sum() / loud.sum()).item()

# %%
bands = {"weight": weight, "loudness": loud.clone()}
bands["loudness"][:, 0, 0] = torch.nan  # the mean of a window would drown all others
fig, axes = plt.subplots(2, 3, figsize=(9.5, 6), layout="constrained")
for row, (name, values) in zip(axes, bands.items(), strict=True):
    for ax, value, colour in zip(row, values, ("Y", "Cb", "Cr"), strict=True):
        limits = {"vmin": 0, "vmax": values.nan_to_num(0).max().item()}
        bar = {"cbar": colour == "Cr", "cbar_kws": {"label": f"{name} (0: not heard)"}}
        sns.heatmap(value, cmap="Greys", **limits, **bar, square=True, ax=ax)
        ax.set(xlabel="horizontal (half waves)", ylabel="vertical (half waves)")
        ax.set_title(f"{name}, {colour}", fontsize=11)
parts = f"the mean of a window (left out) {share_mean:.0%}, the finer half {share_high:.0%}"
fig.suptitle(f"Of all loudness: {parts}", fontsize=11)
alt = f"Weight and loudness of 64 frequencies of Y, Cb and Cr; of all loudness: {parts}."
figures.show(fig, alt, name="pel_bands")

# %% tags=["hide-input"]
_, loud_start = loudness(start)
kept = np.corrcoef(loud[0].flatten()[1:], loud_start[0].flatten()[1:])[0, 1]
y, x = divmod(loud[0].flatten()[1:].argmax().item() + 1, 8)
grey = (loud[1:].sum() / loud.sum()).item() < 0.01
old = "So this picture mostly shows how the network was started, and little of what it learned."
new = "So a part of this picture was learned."
said = [
    f"- Loudest besides the mean: {y} vertical and {x} horizontal half waves in 8 pixels of Y.",
    f"- **Control.** Over the other 63 frequencies of Y, the loudness before the training and "
    f"after it correlates {kept:+.2f}. {old if kept > 0.9 else new}",
]
if grey:
    said.append(
        "- Cb and Cr have weights, but nothing is heard there: these faces are grey, so chroma "
        "never varies. The weights are large because each frequency starts divided by its "
        "deviation, and no gradient ever reaches them. What PEL does with colour cannot be tested "
        "on this data."
    )
Markdown("\n".join(said))

# %% [markdown]
# ## 10 Residual detectors: when the last map is a single pixel
#
# *Beyond the Spectrum* looks at what a re-synthesizer could not explain: the **residual**, the distance between a
# picture and its re-synthesis, in pixels ("pixel") or in the features of a perceptual network ("stage 5"). A ResNet for
# each reads the residual and shrinks it 32 times. In pixels that leaves a map. But the residual of stage 5 is small
# already, and shrinks on top of that:

# %%
bts = detect.load("bts")
images = layouts.images(params.data.generated, params.seed)
image_test = images[images["split"] == "test"].reset_index(drop=True)
rgb = torch.stack([item["rgb"] for item in FaceImages(image_test.iloc[:2], bts.size)]).to(device)
parts = bts.model.stage_names, bts.model.detectors
with torch.no_grad():
    residuals = bts.model.residuals(rgb)
    for name, detector, residual in zip(*parts, residuals, strict=True):
        x, sizes = detector.maxpool(detector.bn1(detector.conv1(residual))), [residual.shape[-1]]
        for layer in (detector.layer1, detector.layer2, detector.layer3, detector.layer4):
            x = layer(x)
            sizes.append(x.shape[-1])
        print(f"{name}: the residual and layer1 .. layer4 are {sizes} pixels wide")

# %% [markdown]
# One pixel shows no place. (At this size the last detector sees *which* features are badly explained, and hardly where;
# the paper's pictures of 1024 pixels leave it 2x2.) So the map must be read at an earlier layer, which no linear head
# follows. **Grad-CAM** (Selvaraju et al. 2017) replaces the weights by the mean gradient of the evidence
# $y = \text{logit}_\text{fake} - \text{logit}_\text{real}$ with respect to the maps $A_k$ of that layer:
#
# $$\alpha_k = \frac{1}{hw}\sum_{x,y}\frac{\partial y}{\partial A_k(x,y)}, \qquad
# M(x,y) = \sum_k \alpha_k\, A_k(x,y) \tag{6}$$
#
# Where a pooled linear head does follow, the gradient *is* the weight, divided by the $hw$ of the mean. Our toy again:

# %% tags=["nbval-check-output"]
A = f.clone().requires_grad_()
y = (w * A.mean((1, 2))).sum()
(gradient,) = torch.autograd.grad(y, A)
alpha = gradient.mean((1, 2))
print("alpha * hw:", (alpha * 6).tolist(), " w:", w.tolist())
same = torch.allclose(6 * (alpha[:, None, None] * A).sum(0), cam)
print("✓ Grad-CAM is the CAM" if same else "✗ Grad-CAM is not the CAM")

# %% [markdown]
# The same on the real thing. `grad_cam` reads the deepest layer whose map is at least four pixels wide, and the
# residual itself where no layer is:

# %%
detector, residual, last = bts.model.detectors[0], residuals[0], []
hook = detector.layer4.register_forward_hook(lambda module, inputs, output: last.append(output))
ours = grad_cam(detector, residual)
hook.remove()
direction = detector.fc.weight[1] - detector.fc.weight[0]
vanilla = torch.einsum("nchw,c->nhw", last[0], direction).detach() / last[0][0, 0].numel()
if ours.shape == vanilla.shape:
    print("✓ both agree" if torch.allclose(ours, vanilla, atol=1e-5) else "✗ they differ")
else:
    small, read = tuple(vanilla.shape[1:]), tuple(ours.shape[1:])
    print(f"layer4 is {small} here, so the map was read earlier, at {read}")

# %% [markdown]
# ## 11 Fig. 7 of *Beyond the Spectrum*: generated faces
#
# Photographs beside the faces of each generator, test images only. Each map is on its own scale again.

# %%
source = lambda method: cards.source(params.data.generated, method)
some = image_test.groupby("method", sort=False).head(2).reset_index(drop=True)
scores, pictures, maps = look(bts, some)
cells, n = list(pictures), len(some)
for heat in enlarged(maps, bts.size).values():
    cells += [figures.overlay(p, h) for p, h in zip(pictures, heat, strict=True)]
titles = [f"{source(m)}\nscore {s:.2f}" for m, s in zip(some["method"], scores, strict=True)]
fig = figures.show_grid(cells, titles, columns=n, side=1.35, rows=["face", *maps])
with_bar(fig, n, len(cells), "evidence for fake in this face")
right = int(((scores > 0.5) == torch.tensor(some["label"].to_numpy())).sum())
title = f"The residual detectors call {right} of these {n} pictures rightly"
fig.suptitle(title, fontsize=11)
alt = f"Photographs and generated faces with the maps of {len(maps)} residual detectors. {title}."
figures.show(fig, alt, name="bts_fig7")

# %% [markdown]
# The photographs light up as well. The control again: the mean of these maps over many photographs, beside the mean
# over the faces of each generator. The dashed square is the middle quarter of the picture, where the face is.

# %%
few = [spread(group, 60) for _, group in image_test.groupby("method", sort=False)]
few = pd.concat(few, ignore_index=True)
heats = enlarged(look(bts, few)[2], bts.size)
kinds, quarter = few["method"].unique(), bts.size // 4
of_kind = {kind: torch.tensor((few["method"] == kind).to_numpy()) for kind in kinds}
cells = [heat[own].mean(0) for heat in heats.values() for own in of_kind.values()]
titles, rows = [source(kind) for kind in kinds], list(heats)
how = {"columns": len(kinds), "cmap": "inferno", "limits": (0, 1), "side": 2}
fig = figures.show_grid(cells, titles, rows=rows, **how)
width, height = fig.get_size_inches()
fig.set_size_inches(width + 1, height)
square = (quarter - 0.5, quarter - 0.5), 2 * quarter, 2 * quarter
for ax in fig.axes[: len(cells)]:
    ax.add_patch(plt.Rectangle(*square, fill=False, edgecolor="white", linestyle="--", lw=2))
figures.heat_bar(fig.axes[: len(cells)], "mean heat, own scales")
fig.suptitle("Mean maps: photographs have their bright places, too", fontsize=11)
figures.show(fig, "Mean Grad-CAM of photographs and of generated faces, one row a detector.")

# %% [markdown]
# A face is symmetric, so the mean map of many faces should be, too. Where it is not, is the picture to blame, or the
# network? Another control tells: we mirror the **pictures**. If the heat moves to the other side, it follows something
# in the pictures; if it stays, it is a habit of the network. The number is the heat in the left half minus that in the
# right half, as a share of all heat:

# %%
def leftness(heat):
    """(n,): the share of the heat in the left half minus that in the right half."""
    left, right = (side.sum((1, 2)) for side in heat.chunk(2, dim=2))
    return ((left - right) / (left + right)).numpy()


fakes = few[few["label"] == 1]
fakes = fakes.groupby("method", sort=False).head(30).reset_index(drop=True)
faces_rgb = torch.stack([item["rgb"] for item in FaceImages(fakes, bts.size)])
sides = {}
for name, batch in (("as drawn", faces_rgb), ("mirrored", faces_rgb.flip(3))):
    parts = [bts.model.activation_maps(part.to(device)) for part in batch.split(32)]
    for stage in parts[0]:
        heat = to_heat(torch.cat([part[stage] for part in parts]), bts.size).cpu()
        sides[stage, name] = over_people(leftness(heat), fakes["identity"])
rows = {stage: {name: text(*gap, "+") for (s, name), gap in sides.items() if s == stage}
        for stage in heats}
pd.DataFrame(rows).T.rename_axis("heat of generated faces, left minus right", axis=1)

# %% tags=["hide-input"]
said = []
for stage in heats:
    drawn, mirrored = (verdict(*sides[stage, name]) for name in ("as drawn", "mirrored"))
    if drawn == unseen:
        word = "no side is preferred"
    elif mirrored == drawn:
        word = "the heat stays on its side when the pictures are mirrored: a habit of the network"
    elif mirrored == unseen:
        word = "the preferred side is gone when the pictures are mirrored: both have a part in it"
    else:
        word = "the heat moves with the pictures: something in them attracts it"
    said.append(f"- **BTS, {stage}**: {word}.")
habits = said
Markdown("\n".join(habits))

# %% [markdown]
# The paper sees its maps "more on background, which is actually harder to generate than faces". These pictures are
# aligned, so the face is in the middle. The middle square of half the side covers a quarter of the picture. How much of
# the heat is in it? An even map has 0.25 there.

# %%
middle = torch.zeros(len(few), bts.size, bts.size)
middle[:, quarter:-quarter, quarter:-quarter] = 1
inner = pd.DataFrame({name: share_inside(middle, heat).numpy() for name, heat in heats.items()})
central = inner.groupby(few["method"], sort=False).mean()
of = few.groupby("method", sort=False).groups
who = few["identity"]
rows = {
    source(m): {name: text(*over_people(inner.loc[i, name], who[i])) for name in inner}
    for m, i in of.items()
}
pd.DataFrame(rows).T.rename_axis("share of the heat in the middle quarter", axis=1)

# %% tags=["hide-input"]
fake_rows = central.loc[few.loc[few["label"] == 1, "method"].unique()]
is_fake, said = (few["label"] == 1).to_numpy(), []
places = {"more": "more on the face", "less": "more outside the middle, as in the paper"}
for name in inner:
    fake, real = inner.loc[is_fake, name], inner.loc[~is_fake, name]
    share, (_, low, high) = over_people(fake - 0.25, who[is_fake]), over_people(real, who[~is_fake])
    same = low <= fake.mean() <= high
    said.append(
        f"- **BTS, {name}**: heat of fakes in the middle, minus an even map's 0.25: "
        f"{text(*share, '+')}: {places.get(verdict(*share), unseen)}. Minus the photographs: "
        f"{fake.mean() - real.mean():+.2f}, {'within' if same else 'outside'} their interval"
        f"{': this is where the network looks, not what it found' if same else ''}."
    )
Markdown("\n".join(said))

# %% [markdown]
# Where the mirrored pictures betrayed a habit of the network, the share in the middle says little about the pictures.
# (A generated face shows nobody, so each counts as a person of its own; photographs are grouped by person.) Our
# generators draw small grey portraits with little background, so the paper's sentence on backgrounds is hardly tested
# here. The paper's Fig. 7 also has an image-based detector, and faces whose spectral traces are gone:
# [notebook 04](04_beyond_the_spectrum_results.ipynb) compares the maps of both detectors when these traces are wiped.

# %% tags=["hide-input"]
numbers = {
    "coverage": covers.to_dict(),
    "middle": {name: fake_rows[name].mean() for name in fake_rows},
}
if len(chosen):
    numbers["inside_mask"] = {s: np.nanmean(shares[s]) for s in STREAMS}
    numbers["mask_area"] = area.mean().item()
    numbers["enhancements_inside_mask"] = gains.mean().to_dict()
numbers |= {"same_label_neighbours": known_by, "loudness_of_fine_frequencies": share_high}
report.write_metrics("what_the_networks_see", numbers)

# %% [markdown]
# ## What we saw
#
# Each line: the number with its interval over people (one training), what it means, and the paper's sentence.

# %% tags=["hide-input"]
lines = [
    "A class activation map is the logit before it is added up: PEL's two maps and the bias add up "
    "to its logit. Grad-CAM is the same map where a pooled linear head ends the network."
]
for s in STREAMS if len(chosen) else ():
    own = text(*over_people(by_control["its own mask"][s], chosen["identity"]))
    gap = differences[ELSEWHERE, s]
    lines.append(
        f"PEL's {s} stream puts {own} times an even map's heat on the forged region. Minus what "
        f"the same mask gets on fakes by other methods: {text(*gap, '+')} ({verdict(*gap)}). "
        f"{anyway(s)}"
    )
lines.append('Paper: the RGB focus "mainly coincides with the mask". It shows no control.')
if len(STREAMS) > 1:
    lines.append(
        f"The frequency stream covers {text(*wider_by, '+')} of a fake more than RGB "
        f"({verdict(*wider_by)}); the two maps correlate {text(*together, '+')}. "
        'Paper: the frequency stream covers more, and is "often complementary".'
    )

# %% tags=["hide-input"]
if len(chosen):
    lines.append(
        f"{len(clear7)} of {len(NAMES)} enhancement modules add more inside the masks than on real "
        'faces under the same masks. Paper: more "in local manipulated regions" of fakes.'
    )
for s in STREAMS:
    lines.append(
        f"{s}: {text(*neighbours[s, 'trained'])} of neighbours have the same label, "
        f"{text(*neighbours[s, 'before'])} before the training. The paper has no such number."
    )
lines += [line[2:] for line in (*said, *habits)]  # of the residual detectors, section 11
Markdown("\n".join(f"- {line}" for line in lines))

# %% [markdown]
# A map on its own scale always has a bright place, on real faces, too. Whether it "falls on the forgery" is a number,
# and the number means something only beside its control. Where ours differs from the paper, remember what is small
# here: few people, grey faces of few pixels, maps of a handful of places, one training of minutes.
#
# ## Exercises
#
# **1. One channel more.** The toy network gets a third channel, which is 6 at the lower left pixel and 0 elsewhere,
# with weight 1.5. What is the mean of the new map? Work it out before you run anything.

# %%
answer_1 = None  # a number

if answer_1 is None:
    print("1: not solved yet")
else:
    third = torch.zeros(2, 3)
    third[1, 0] = 6
    right = abs(answer_1 - (cam + 1.5 * third).mean().item()) < 1e-6
    print("1: ✓" if right else "1: ✗ only one of six pixels changes, by 9")

# %% [markdown]
# **2. The pointing game.** Zhang et al. (2018) ask less of a map: is its *hottest pixel* inside the mask? Measure how
# often, over the fakes of section 5, for the first stream (`fake_heats[STREAMS[0]]`, `region`). Put the share into
# `answer_2`. What would a random pixel score, and what the pixel in the middle of the picture?

# %%
answer_2 = None  # a share from 0 to 1

if answer_2 is None or not len(chosen):
    print("2: not solved yet")
else:
    at = fake_heats[STREAMS[0]].flatten(1).argmax(1)[:, None]
    expected = region.flatten(1).gather(1, at).float().mean().item()
    center = region[:, pel.size // 2, pel.size // 2].float().mean().item()
    print(
        "2: ✓"
        if abs(answer_2 - expected) < 1e-3
        else "2: ✗ argmax of the flattened heat, then gather",
        f"a random pixel {area.mean():.3f}, the middle pixel {center:.3f}",
    )

# %% [markdown]
# **3. A network that knows nothing.** Adebayo et al. (2018) found methods that draw convincing maps for *untrained*
# networks. Is CAM one of them? Make `untrained`, a PEL of the same backbone with `pretrained=False` in eval mode, and
# look at the versions of section 3 through it.

# %%
untrained = None  # PEL(..., pretrained=False).eval().to(device)

if untrained is None:
    print("3: not solved yet")
else:
    batch = torch.stack([item["rgb"] for item in FaceImages(versions, pel.size)]).to(device)
    for name, network in (("trained", pel.model), ("untrained", untrained)):
        heat = to_heat(network.activation_maps(batch)["rgb"], pel.size).cpu()
        cells = [figures.overlay(p, h) for p, h in zip(batch, heat, strict=True)]
        figures.show(
            figures.show_grid(cells, rows=[name], side=1.6), f"Maps of the {name} network."
        )
        alike = np.corrcoef(heat.flatten(1))[0, 1:].mean()
        print(f"3: {name}: the map of the real face and those of its fakes correlate {alike:.2f}")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. The map rises by 1.5 x 6 = 9 at one pixel of six, so its mean rises by 1.5, from 1.0 to 2.5: `answer_1 = 2.5`.
# 2. `at = fake_heats[STREAMS[0]].flatten(1).argmax(1)[:, None]`, then
#    `answer_2 = region.flatten(1).gather(1, at).float().mean().item()`. A random pixel scores the area of the masks.
#    The middle pixel scores nearly 1 wherever the whole face is forged: a game that a constant wins says little.
# 3. `from lib.pel.network import PEL`, then `untrained = PEL(**options | {"pretrained": False}).eval().to(device)`.
#    A method that draws the same maps for both networks shows the picture, not what was learned.
#
# </details>
#
# Previous: [08 PEL: ablations](08_pel_ablations.ipynb) ·
# Next: [10 both papers](10_both_papers.ipynb)
