# %% [markdown]
# # 09 · What the networks see
#
# A detector says "fake". Where in the face did it see that?
#
# **After this notebook you can**
# - compute a class activation map by hand, and prove that it is nothing but the score, laid out in space;
# - split PEL's verdict into its two streams, pixels and frequencies;
# - measure whether a map falls on the region that was really manipulated;
# - take PEL apart: what its enhancements add and where, what its streams know, which frequencies it hears;
# - explain a residual detector, where the plain method has only one pixel to offer.
#
# **You need**: [06 progressive enhancement](06_progressive_enhancement.ipynb) and
# [03 residual detectors](03_residual_detectors.ipynb), which train the two networks. **Hardware**: any CPU; the minutes
# are in the table of [README.md](../README.md). **Papers**: Figs. 2, 3 and 4 of PEL (Gu et al., AAAI 2022), and a first
# version of Fig. 7 of *Beyond the Spectrum* (He et al., IJCAI 2021).
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
from sklearn.manifold import TSNE

from lib import detect, figures, ops
from lib.backbones.resnet import grad_cam
from lib.data import faces, image, layouts
from lib.data.items import FaceImages
from lib.evaluation import report
from lib.evaluation.heat import share_inside, to_heat
from lib.params import load
from lib.training.device import device as best_device

params = load(scale)
figures.style()
device = best_device()
print(f"scale {params.scale}")

# %% [markdown]
# ## 1 A class activation map, by hand
#
# Many networks end in the same way. The last convolution leaves maps $f_k(x, y)$, one a channel. Their spatial means go
# into one linear layer with weights $w_k$ and a bias $b$. That gives the score (before the sigmoid). Zhou et al. (2016)
# swap the two sums:
#
# $$\text{score} - b \;=\; \sum_k w_k \,\frac{1}{hw}\sum_{x,y} f_k(x,y)
# \;=\; \frac{1}{hw}\sum_{x,y} \underbrace{\sum_k w_k\, f_k(x,y)}_{M(x,y)} \tag{1}$$
#
# $M$ is the **class activation map** (CAM): what each place adds to the score. A toy with two channels of 2 x 3 pixels:

# %%
#NBVAL_CHECK_OUTPUT
f = torch.tensor([[[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]], [[4.0, 0.0, 0.0], [2.0, 0.0, 0.0]]])  # (channels, h, w)
w = torch.tensor([2.0, -1.0])
cam = (w[:, None, None] * f).sum(0)
print("map:", cam.tolist())
print("mean of the map:", cam.mean().item(), " score by pooling first:", (w * f.mean((1, 2))).sum().item())

# %% [markdown]
# Channel 0 votes for fake ($w_0 > 0$), channel 1 for real. So the right side of the toy speaks for fake and the left side
# against. The mean is the score. Nothing is estimated here: a CAM is the score itself, before it is added up.
#
# ## 2 PEL has two streams, so it has two maps
#
# The head of PEL takes the pooled channels of the RGB stream and of the frequency stream, one behind the other. Its first
# half of weights belongs to RGB, its second half to frequency. So (1) splits into two maps whose means add up:
#
# $$\text{score} = b + \overline{M_\text{rgb}} + \overline{M_\text{freq}} \tag{2}$$

# %%
pel = detect.load("pel")
table = faces.prepare(params.data.forged, params.faces, params.seed)
test = table[table["split"] == "test"].reset_index(drop=True)
rgb = FaceImages(test.iloc[:4], pel.size)[0]["rgb"][None].to(device)  # (1, 3, size, size)

maps = pel.model.activation_maps(rgb)
with torch.no_grad():
    score = pel.model(rgb)
total = sum(stream.mean() for stream in maps.values()) + pel.model.classifier.bias
print({name: tuple(stream.shape) for name, stream in maps.items()})
print("✓ (2) holds in the real network" if torch.allclose(total, score, atol=1e-4) else f"✗ {total} is not {score}")


# %% [markdown]
# The maps are small, because the network shrinks the face 32 times. To draw one over a face we enlarge it and scale it:
# 0 is the least evidence for fake in this face, 1 the most. **The scale is one face's own.** A bright spot on a real face
# is only the least convincing real spot.
#
# ## 3 Fig. 2 of PEL: one face, five versions
#
# One person of the test set, whom the network never saw: the real face and its forgeries.

# %%
def pick_versions(table):
    """One frame of one person, in as many versions as there are."""
    versions = table.groupby(["identity", "frame"])["method"].nunique()
    identity, frame = versions.idxmax()
    chosen = table[(table["identity"] == identity) & (table["frame"] == frame)]
    return chosen.sort_values("label", kind="stable").drop_duplicates("method").reset_index(drop=True)


def read_masks(table, size):
    """(n, size, size) in {0, 1}; an item without a mask file has nothing manipulated."""
    nothing = np.zeros((size, size), bool)
    files = table["mask"].fillna("")
    masks = [image.resize(image.read_image(f)[..., 0], size) > 127 if f else nothing for f in files]
    return torch.from_numpy(np.stack(masks))


# %%
def look(detector, table):
    """Scores (n,), pictures (n, 3, size, size) and heat {stream: (n, size, size)} of the images of a table."""
    data = FaceImages(table, detector.size)
    pictures = torch.stack([item["rgb"] for item in data])
    scores, heats = [], []
    for batch in pictures.split(32):
        batch = batch.to(device)
        with torch.no_grad():
            scores.append(detector.probability(batch).cpu())
        maps = detector.model.activation_maps(batch)
        heats.append({name: to_heat(stream, detector.size).cpu() for name, stream in maps.items()})
    return torch.cat(scores), pictures, {name: torch.cat([part[name] for part in heats]) for name in heats[0]}


# %%
versions = pick_versions(test)
scores, pictures, heats = look(pel, versions)
masks = read_masks(versions, pel.size).float()
cells = [*pictures, *masks]
for heat in heats.values():
    cells += [figures.overlay(picture, place) for picture, place in zip(pictures, heat, strict=True)]
titles = [f"{method}\nscore {score:.2f}" for method, score in zip(versions["method"], scores, strict=True)]
fig = figures.show_grid(cells, titles, columns=len(versions), side=1.7, rows=["face", "mask", *heats])
right = int(((scores > 0.5) == torch.tensor(versions["label"].to_numpy())).sum())
fig.suptitle(f"PEL calls {right} of these {len(versions)} faces rightly; bright: evidence for fake", fontsize=11)
figures.save(fig, "pel_fig2")
plt.show()

# %% [markdown]
# ## 4 Do the maps fall on the forgery?
#
# One row of pictures proves nothing. We know the manipulated region of every fake, so we can measure. Take the share of
# the heat $H$ that lies inside the mask $R$:
#
# $$s = \frac{\sum_{(x,y)\in R} H(x,y)}{\sum_{x,y} H(x,y)} \tag{3}$$
#
# A map that knows nothing scores the share of the *area* that the mask covers. By hand, on four pixels:

# %%
#NBVAL_CHECK_OUTPUT
heat = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
mask = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
by_hand = (1.0 + 0.5) / (1.0 + 0.0 + 0.5 + 0.5)
print(f"inside: {by_hand}, area: {mask.mean().item()}")
agree = share_inside(mask, heat).item() == by_hand
print("✓ share_inside agrees" if agree else "✗ share_inside differs")


# %% [markdown]
# Now all methods, on test faces at equal intervals through the table:

# %%
def spread(table, count):
    """At most `count` rows at equal intervals."""
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, count).astype(int))]


masked = test[(test["label"] == 1) & (test["mask"].fillna("") != "")]
sample = [spread(group, 60) for _, group in masked.groupby("method")]
inside = pd.DataFrame(columns=["method", "stream", "share inside", "mask area"])
if sample:
    chosen = pd.concat(sample, ignore_index=True)
    fake_scores, _, fake_heats = look(pel, chosen)
    region = read_masks(chosen, pel.size)
    area = region.float().mean((1, 2))
    shares = pd.DataFrame({name: share_inside(region, heat) for name, heat in fake_heats.items()})
    known = shares.assign(method=chosen["method"], **{"mask area": area})
    inside = known.melt(["method", "mask area"], var_name="stream", value_name="share inside")
else:
    print("This data set has no masks: the measurement is skipped.")
inside.groupby(["method", "stream"])[["share inside", "mask area"]].mean().round(3)

# %%
if len(inside):
    streams, ratio = list(fake_heats), inside["share inside"] / inside["mask area"]
    gain = ratio.groupby(inside["stream"]).mean()
    fig, ax = plt.subplots(figsize=(7, 3.4))
    sns.barplot(inside, x="method", y="share inside", hue="stream", seed=params.seed, err_kws={"linestyle": "-"}, ax=ax)
    for bar in ax.containers[1].patches if len(streams) > 1 else []:
        bar.set_hatch("//")
    for x, method in enumerate(inside["method"].unique()):
        even = inside.loc[inside["method"] == method, "mask area"].mean()
        ax.plot([x - 0.4, x + 0.4], [even, even], "k--", label=None if x else "an even map")
    ax.legend(fontsize=9)
    ax.set(xlabel="", ylabel="share of the heat inside the mask", ylim=(0, 1))
    ax.set_title(", ".join(f"{name}: {gain[name]:.2f} x an even map" for name in streams))
    figures.save(fig, "heat_inside_mask")
    plt.show()

# %% [markdown]
# The bars above the dashed line belong to streams that look at the forgery more than elsewhere; below it, they look
# elsewhere. The paper says that the RGB stream is focused and falls on the mask, while the frequency stream covers the
# whole face. "Covers" can be measured, too: the share of the face that is hotter than one half.

# %%
groups = {"real": test[test["label"] == 0], "fake": test[test["label"] == 1]}
covers = {}
for kind, group in groups.items():
    heats = look(pel, spread(group, 120))[2]
    covers[kind] = {name: (heat > 0.5).float().mean().item() for name, heat in heats.items()}
covers = pd.DataFrame(covers)
wider = covers["fake"].idxmax()
print(f"On fakes, the {wider} stream covers more: {covers['fake'].round(2).to_dict()}.",
      "The paper has it so, too." if wider == "freq" else "The paper has it the other way round.")
covers.round(3)


# %% [markdown]
# ## 5 Figs. 3 and 4 of PEL: what the enhancements add
#
# A class activation map shows the *end* of the network. The paper also looks inside. What does a module change? That is
# the residual $r = f_\text{out} - f_\text{in}$ of self-enhancement (Fig. 3) and of mutual enhancement (Fig. 4).
#
# Much of $r$ is the same everywhere: the noise block adds $0.5\,w + b$ even to a flat map. Only what stands out from the
# median $m_c$ of its own channel tells a *place*:
#
# $$R(x, y) = \frac{1}{C} \sum_c \left| r_c(x, y) - m_c \right|$$
#
# Two channels of three places. The first is constant, the second has one loud place:

# %%
#NBVAL_CHECK_OUTPUT
def standing_out(change):
    """(n, channels, h, w) -> (n, h, w): how far a change is from the median of its channel."""
    middle = change.flatten(2).median(2).values[..., None, None]
    return (change - middle).abs().mean(1)


print(standing_out(torch.tensor([[[[3.0, 3.0, 3.0]], [[0.0, 4.0, 0.0]]]])))


# %% [markdown]
# PEL is a loop over stages: a block of each backbone, then self-enhancement of each stream, then mutual enhancement. So we
# walk through it by hand, and write down what each module adds:

# %%
@torch.no_grad()
def walk(model, rgb):
    """{(module, stage, stream): (n, h, w)}, what each enhancement adds and where, and the maps behind the last stage."""
    maps, added = [t.bn1(t.conv_stem(model._input(rgb, s))) for s, t in model.trunks.items()], {}
    for stage, enhance in enumerate(model.enhancements):
        before = [t.blocks[stage - 1](x) for t, x in zip(model.trunks.values(), maps, strict=True)] if stage else maps
        alone = [part(x) for part, x in zip(enhance.alone, before, strict=True)]
        maps = enhance.mutual(alone)
        for stream, *changed in zip(model.streams, before, alone, maps, strict=True):
            added["self", stage, stream] = standing_out(changed[1] - changed[0])
            added["mutual", stage, stream] = standing_out(changed[2] - changed[1])
    return added, maps


added, maps = walk(pel.model, pictures.to(device))
with torch.no_grad():
    expected = pel.model.forward_features(pictures.to(device))
ends = [t.bn2(t.conv_head(x)) for t, x in zip(pel.model.trunks.values(), maps, strict=True)]
same = all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ends, expected.values(), strict=True))
print("✓ the walk ends where the network does" if same else "✗ the walk ends elsewhere")


# %% [markdown]
# Self-enhancement first, behind stages 1 and 2 (where noise enhancement stands), for the person of section 3. Bright: much
# is added there.

# %%
def draw(module, stages, name):
    """The face, the mask and what a module adds behind some stages, one row each; every map on its own scale."""
    chosen = {f"{s}, stage {n}": added[module, n, s] for n in stages for s in pel.model.streams}
    cells = [*pictures, *masks]
    for heat in chosen.values():
        cells += [figures.overlay(p, h) for p, h in zip(pictures, to_heat(heat, pel.size).cpu(), strict=True)]
    fig = figures.show_grid(cells, list(versions["method"]), columns=len(versions), side=1.6,
                            rows=["face", "mask", *chosen])  # fmt: skip
    loudest = max(chosen, key=lambda key: chosen[key].mean())
    fig.suptitle(f"{module}-enhancement adds most in {loudest}", fontsize=11)
    figures.save(fig, name)
    plt.show()


draw("self", (1, 2), "pel_fig3")

# %% [markdown]
# Mutual enhancement, behind the first stage that has it and behind the last. Further back the maps have fewer pixels:

# %%
draw("mutual", (2, 6), "pel_fig4")
print({f"stage {n}": f"{added['mutual', n, pel.model.streams[0]].shape[-1]} pixels wide" for n in (2, 3, 4, 5, 6)})

# %% [markdown]
# Again the pictures prove nothing. The same share (3) as above, for all faces of section 4, each method on its own, in
# multiples of what an even map would have:

# %%
PLACES = [("self", 1), ("self", 2), ("mutual", 2), ("mutual", 4), ("mutual", 6)]
more = []
if len(inside):
    data = FaceImages(chosen, pel.size)
    for start in range(0, len(chosen), 32):
        rgb = torch.stack([data[i]["rgb"] for i in range(start, min(start + 32, len(chosen)))]).to(device)
        added, _ = walk(pel.model, rgb)
        large = {key: F.interpolate(heat[:, None], (pel.size, pel.size), mode="bilinear")[:, 0].cpu()
                 for key, heat in added.items() if key[:2] in PLACES}  # fmt: skip
        where = region[start : start + 32]
        share = {key: share_inside(where, heat) / area[start : start + 32] for key, heat in large.items()}
        more.append(pd.DataFrame(share))

# %%
if more:
    gains = pd.concat(more, ignore_index=True).groupby(chosen["method"].to_numpy()).mean()
    gains.columns = [f"{module}-enhancement, stage {stage}, {stream}" for module, stage, stream in gains.columns]
    mean = gains.mean()
    ax = sns.heatmap(gains.T, annot=True, fmt=".2f", cmap="Greys", vmin=0.5, vmax=2.5, cbar=False)
    ax.figure.set_size_inches(7, 0.5 * len(mean) + 1.2)
    ax.set(xlabel="", ylabel="", title=f"Even map: 1. Most: {mean.idxmax()}, {mean.max():.2f}")
    ax.title.set_fontsize(11)
    figures.save(ax.figure, "pel_enhancements_inside_mask")
    plt.show()
    print(f"{(mean > 1).sum()} of {len(mean)} modules add more inside the mask than an even map (1.00) would.")


# %% [markdown]
# The paper's Fig. 3 shows residuals that light up on the mask. Where a number above is near 1, they do not do so here;
# where it is below 1, the module adds more elsewhere.
#
# ## 6 What the streams know: t-SNE
#
# Each stream ends in one vector a face. t-SNE (van der Maaten and Hinton 2008) lays these vectors out in the plane, so
# that near neighbours stay near. Its picture depends on its own parameters, so we measure in the vectors themselves: how
# many of a face's ten nearest neighbours, **other people only**, have the same label?

# %%
def same_label(vectors, table, k=10):
    """The share of the k nearest neighbours, other people only, that have a face's label: mean over both labels."""
    label, person = torch.tensor(table["label"].to_numpy()), pd.factorize(table["identity"])[0]
    distance = torch.cdist(vectors, vectors)
    distance[torch.from_numpy(person[:, None] == person)] = float("inf")
    agree = (label[distance.topk(k, largest=False).indices] == label[:, None]).float().mean(1)
    return sum(agree[label == side].mean().item() for side in (0, 1)) / 2


half = {kind: spread(group, 150) for kind, group in groups.items()}
some = pd.concat(half.values(), ignore_index=True)  # as many real faces as fakes
rgb = torch.stack([item["rgb"] for item in FaceImages(some, pel.size)])
with torch.no_grad():
    parts = [pel.model.forward_features(batch.to(device)) for batch in rgb.split(32)]
vectors = {stream: torch.cat([part[stream].mean((2, 3)).cpu() for part in parts]) for stream in parts[0]}
known_by = {stream: same_label(v, some) for stream, v in vectors.items()}
print({stream: round(share, 3) for stream, share in known_by.items()}, "guessing: 0.5")

# %%
fig, axes = plt.subplots(1, len(vectors), figsize=(12, 4.8), squeeze=False)
for ax, (stream, v) in zip(axes[0], vectors.items(), strict=True):
    plane = TSNE(perplexity=min(30, len(v) // 4), init="pca", random_state=params.seed).fit_transform(v.numpy())
    sns.scatterplot(x=plane[:, 0], y=plane[:, 1], hue=some["method"], style=some["method"], s=36, ax=ax,
                    palette=figures.COLOURS[: some["method"].nunique()], legend=stream == list(vectors)[-1])  # fmt: skip
    ax.set(xticks=[], yticks=[], xlabel="t-SNE, first axis (no unit)", ylabel="t-SNE, second axis (no unit)")
    ax.set_title(f"{stream}: {known_by[stream]:.0%} of neighbours have the same label")
    ax.title.set_fontsize(11)
sns.move_legend(axes[0, -1], "upper left", bbox_to_anchor=(1, 1), title=None)
figures.save(fig, "pel_tsne")
plt.show()

# %% [markdown]
# ## 7 Which frequencies it hears
#
# The frequency stream begins with a 1×1 convolution from 192 DCT coefficients, 8×8 a colour channel, to 64 maps. How loud
# is coefficient $b$ in there? Its weights say how much it is amplified; how much it *varies* over faces must be multiplied:
#
# $$\ell_b = \sigma_b \sqrt{\textstyle\sum_o w_{o,b}^2}$$
#
# On grey faces the chroma channels Cb and Cr never vary, so nothing can be heard there.

# %%
with torch.no_grad():
    weight = pel.model.frequency_stem.weight[:, :, 0, 0].norm(dim=0).cpu()  # (192,), colour x row x column
    coefficients = ops.sliding_dct(rgb[:64], pel.model.stride)
    spread_of = coefficients.transpose(0, 1).flatten(1).std(1)
bands = {"weight": weight.unflatten(0, (3, 8, 8)), "loudness": (weight * spread_of).unflatten(0, (3, 8, 8))}
loud = bands["loudness"].clone()
bands["loudness"][:, 0, 0] = torch.nan  # the mean of a window would drown all others
fig, axes = plt.subplots(2, 3, figsize=(9.5, 6), layout="constrained")
for row, (name, values) in zip(axes, bands.items(), strict=True):
    for ax, value, colour in zip(row, values, ("Y", "Cb", "Cr"), strict=True):
        sns.heatmap(value, cmap="Greys", vmin=0, vmax=values.nan_to_num(0).max().item(), square=True, ax=ax,
                    cbar=colour == "Cr", cbar_kws={"label": f"{name} (0: not heard)"})  # fmt: skip
        ax.set(xlabel="horizontal (half waves)", ylabel="vertical (half waves)", title=f"{name}, {colour}")
high = (torch.arange(8)[:, None] + torch.arange(8) >= 7).float()
share_high, share_mean = ((loud * high).sum() / loud.sum()).item(), (loud[:, 0, 0].sum() / loud.sum()).item()
fig.suptitle(f"Of the loudness, {share_mean:.0%} is the mean of a window (left out below), {share_high:.0%} the finer half "
             "of the frequencies", fontsize=11)  # fmt: skip
figures.save(fig, "pel_bands")
plt.show()

# %%
by_colour = (loud.sum((1, 2)) / loud.sum()).tolist()
row, column = divmod(loud[0].flatten()[1:].argmax().item() + 1, 8)
print("share of the loudness:", {c: f"{share:.2f}" for c, share in zip(("Y", "Cb", "Cr"), by_colour, strict=True)})
print(f"loudest besides the mean: {row} vertical and {column} horizontal half waves in 8 pixels of Y")

# %% [markdown]
# ## 8 Residual detectors: when the last map is a single pixel
#
# *Beyond the Spectrum* looks at what a re-synthesizer could not explain. Its ResNet shrinks 32 times as well. In pixels
# that leaves a map. But the residual of perceptual stage 5 is small already, and shrinks on top of that:

# %%
bts = detect.load("bts")
images = layouts.images(params.data.generated, params.seed)
image_test = images[images["split"] == "test"].reset_index(drop=True)
rgb = torch.stack([item["rgb"] for item in FaceImages(image_test.iloc[:2], bts.size)]).to(device)
with torch.no_grad():
    residuals = bts.model.residuals(rgb)
    for stage, residual, detector in zip(bts.model.stages, residuals, bts.model.detectors, strict=True):
        x, sizes = detector.maxpool(detector.bn1(detector.conv1(residual))), [residual.shape[-1]]
        for layer in (detector.layer1, detector.layer2, detector.layer3, detector.layer4):
            x = layer(x)
            sizes.append(x.shape[-1])
        print(f"stage {stage}: the residual and layer1 .. layer4 are {sizes} pixels wide")

# %% [markdown]
# One pixel shows no place. So the map must be read at an earlier layer, which no linear head follows. **Grad-CAM**
# (Selvaraju et al. 2017) replaces the weights by the mean gradient of the evidence $y = \text{logit}_\text{fake} -
# \text{logit}_\text{real}$ with respect to the maps $A_k$ of that layer:
#
# $$\alpha_k = \frac{1}{hw}\sum_{x,y}\frac{\partial y}{\partial A_k(x,y)}, \qquad M(x,y) = \sum_k \alpha_k\, A_k(x,y) \tag{4}$$
#
# Where a pooled linear head does follow, the gradient *is* the weight, divided by the $hw$ of the mean. Our toy again:

# %%
#NBVAL_CHECK_OUTPUT
A = f.clone().requires_grad_()
y = (w * A.mean((1, 2))).sum()
(gradient,) = torch.autograd.grad(y, A)
alpha = gradient.mean((1, 2))
print("alpha * hw:", (alpha * 6).tolist(), " w:", w.tolist())
same = torch.allclose(6 * (alpha[:, None, None] * A).sum(0), cam)
print("✓ Grad-CAM is the CAM" if same else "✗ Grad-CAM is not the CAM")

# %% [markdown]
# The same on the real thing. `explain.grad_cam` reads the deepest layer whose map is at least four pixels wide, and the
# residual itself where no layer is:

# %%
detector, residual = bts.model.detectors[0], residuals[0]
last = []
hook = detector.layer4.register_forward_hook(lambda module, inputs, output: last.append(output))
ours = grad_cam(detector, residual)
hook.remove()
direction = detector.fc.weight[1] - detector.fc.weight[0]
vanilla = torch.einsum("nchw,c->nhw", last[0], direction).detach() / last[0][0, 0].numel()
if ours.shape == vanilla.shape:
    print("✓ both agree" if torch.allclose(ours, vanilla, atol=1e-5) else "✗ they differ")
else:
    print(f"layer4 is {tuple(vanilla.shape[1:])} here, so the map was read earlier, at {tuple(ours.shape[1:])}")

# %% [markdown]
# ## 9 Fig. 7 of *Beyond the Spectrum*: generated faces
#
# Photographs beside the faces of each generator, test images only.

# %%
some = image_test.groupby("method", sort=False).head(2).reset_index(drop=True)
scores, pictures, heats = look(bts, some)
cells = list(pictures)
for heat in heats.values():
    cells += [figures.overlay(picture, place) for picture, place in zip(pictures, heat, strict=True)]
titles = [f"{method}\nscore {score:.2f}" for method, score in zip(some["method"], scores, strict=True)]
fig = figures.show_grid(cells, titles, columns=len(some), side=1.6, rows=["face", *heats])
right = int(((scores > 0.5) == torch.tensor(some["label"].to_numpy())).sum())
fig.suptitle(f"The residual detectors call {right} of these {len(some)} pictures rightly", fontsize=11)
figures.save(fig, "bts_fig7")
plt.show()

# %% [markdown]
# The paper sees its maps "more on background, which is actually harder to generate than faces". These pictures are
# aligned, so the face is in the middle. The middle square of half the side covers a quarter of the picture. How much of
# the heat is in it?

# %%
few = pd.concat([spread(group, 60) for _, group in image_test.groupby("method", sort=False)], ignore_index=True)
_, _, heats = look(bts, few)
quarter = bts.size // 4
middle = torch.zeros(len(few), bts.size, bts.size)
middle[:, quarter:-quarter, quarter:-quarter] = 1
central = pd.DataFrame({name: share_inside(middle, heat) for name, heat in heats.items()})
central = central.groupby(few["method"], sort=False).mean()
fake_rows = central.loc[few.loc[few["label"] == 1, "method"].unique()]
for name in central:
    share = fake_rows[name].mean()
    where = "face" if share > 0.25 else "background"
    print(f"{name}: {share:.2f} of the heat of fakes is in the middle quarter: more on the {where}")
central.round(3)

# %% [markdown]
# The paper's Fig. 7 also has an image-based detector, and faces whose spectral traces are gone:
# [notebook 04](04_beyond_the_spectrum_results.ipynb) compares the maps of both detectors when these traces are wiped.

# %%
numbers = {"coverage": covers.to_dict(), "middle": {name: fake_rows[name].mean() for name in fake_rows}}
if len(inside):
    numbers["inside_mask"] = inside.groupby("stream")["share inside"].mean().to_dict()
    numbers["mask_area"] = inside["mask area"].mean()
    numbers["enhancements_inside_mask"] = mean.to_dict()
numbers |= {"same_label_neighbours": known_by, "loudness_of_fine_frequencies": share_high}
report.write_metrics("what_the_networks_see", numbers)

# %% [markdown]
# ## What we saw
#
# - A class activation map is the score before it is added up; PEL's two maps and the bias add up to its logit exactly.
# - Grad-CAM is the same map where a pooled linear head ends the network, and works where none does.
# - Whether a map "falls on the forgery" is a number, not an impression. Compare it with what an even map would score.

# %%
if len(inside):
    for name, times in gain.items():
        print(f"PEL's {name} stream puts {times:.2f} times as much heat on the forged region as an even map would.")
    print(f"Of its enhancements, {mean.idxmax()} adds most inside the mask: {mean.max():.2f} times an even map.")
print(f"On fakes the {wider} stream covers more of the face.")
knows = max(known_by, key=known_by.get)
print(f"The {knows} stream tells real from fake best by neighbours: {known_by[knows]:.0%} of them have the same label.")

# %% [markdown]
# ## Exercises
#
# **1. One channel more.** The toy network gets a third channel, which is 6 at the lower left pixel and 0 elsewhere, with
# weight 1.5. What is the mean of the new map? Work it out before you run anything.

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
# **2. The mask upside down.** Perhaps the maps just like the middle of a picture, where every mask is. Measure the share
# inside the masks turned upside down, `region.flip(1)`: the same area, in the wrong place. Put the mean for the first
# stream into `answer_2`, and say what it means if it is as high as with the right masks.

# %%
answer_2 = None  # share_inside(..., ...).nanmean().item()

if answer_2 is None or not len(inside):
    print("2: not solved yet")
else:
    expected = share_inside(region.flip(1), fake_heats[streams[0]]).nanmean().item()
    own = inside.loc[inside["stream"] == streams[0], "share inside"].mean()
    print("2: ✓" if abs(answer_2 - expected) < 1e-3 else "2: ✗", f"upright {own:.3f}, upside down {expected:.3f}")

# %% [markdown]
# **3. A network that knows nothing.** Adebayo et al. (2018) found methods that draw convincing maps for *untrained*
# networks. Is CAM one of them? Make `untrained`, a PEL of the same backbone with `pretrained=False` in eval mode, and look
# at the versions of section 3 through it.

# %%
untrained = None  # PEL(..., pretrained=False).eval().to(device)

if untrained is None:
    print("3: not solved yet")
else:
    batch = torch.stack([item["rgb"] for item in FaceImages(versions, pel.size)]).to(device)
    for name, network in (("trained", pel.model), ("untrained", untrained)):
        heat = to_heat(network.activation_maps(batch)["rgb"], pel.size).cpu()
        figures.show_grid([figures.overlay(p, h) for p, h in zip(batch, heat, strict=True)], rows=[name], side=1.6)
        plt.show()
        alike = np.corrcoef(heat.flatten(1))[0, 1:].mean()
        print(f"3: {name}: the map of the real face and those of its fakes correlate {alike:.2f}")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. The map rises by 1.5 x 6 = 9 at one pixel of six, so its mean rises by 1.5, from 1.0 to 2.5: `answer_1 = 2.5`.
# 2. `answer_2 = explain.share_inside(region.flip(1), fake_heats[streams[0]]).nanmean().item()`. If it is as high as with
#    the right masks, the maps know where *faces* are, not where *forgeries* are: crops are centred, and so are masks.
#    The difference speaks for localisation, most where the mask is far from symmetric (a mouth, not a whole face).
# 3. `from lib.pel.network import PEL; untrained = PEL(params.pel.backbone, pretrained=False).eval().to(device)`. A method
#    that draws the same maps for both networks shows the picture, not what was learned.
#
# </details>
#
# Previous: [08 PEL: ablations](08_pel_ablations.ipynb) ·
# Next: [10 both papers](10_both_papers.ipynb)
