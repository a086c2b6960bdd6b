# %% [markdown]
# # 05 · Fine-grained frequency
#
# A forged face can fool the eye and still have the wrong texture. PEL therefore shows its network not only the picture,
# but also 192 *frequency maps* of it. Here you build these maps.
#
# **After this notebook you can**
# - turn an 8×8 patch into 64 frequencies and back, by hand;
# - read any of the 192 channels of the sliding DCT: which colour, which frequency, which place;
# - say which frequencies differ between real and forged faces, and by how much;
# - fold colour conversion, DCT and 1×1 convolution into **one** convolution, and check that nothing is lost;
# - find a median without sorting, differentiate it with one byte a pixel, and say how near to the floor an operation runs.
#
# **You need**: matrix products, what a convolution does. **Hardware**: any CPU; the minutes are in the table of
# [README.md](../README.md). **Paper**: PEL (Gu et al., AAAI 2022), section "Fine-grained Clues", Eq. 1, the left of Fig. 1.
#
# Previous: [04 results](04_beyond_the_spectrum_results.ipynb) ·
# Next: [06 progressive enhancement](06_progressive_enhancement.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %%
import itertools

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.fft
import seaborn as sns
import torch
import torch.nn.functional as F

from lib import figures, ops, paths
from lib.benchmarks import ops as benchmarks_ops
from lib.data import faces
from lib.data.items import FaceImages
from lib.evaluation import report
from lib.ops import dct
from lib.ops.median import selection
from lib.params import load

params = load(scale)
figures.style()
torch.manual_seed(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=120)
print(f"scale {params.scale}: faces of {params.data.forged.root}, {params.faces.size} px")

# %% [markdown]
# ## 1 From RGB to YCbCr
#
# Video and JPEG do not store red, green and blue. They store brightness Y and two colour differences, Cb and Cr, and
# spend few bits on the last two. So this is the space where compression and forgery leave their traces. With values in
# $[0, 1]$, as JPEG defines it:
#
# $$\begin{pmatrix} Y \\ C_b \\ C_r \end{pmatrix} = \begin{pmatrix} 0.299 & 0.587 & 0.114 \\ -0.168736 & -0.331264 & 0.5
# \\ 0.5 & -0.418688 & -0.081312 \end{pmatrix} \begin{pmatrix} R \\ G \\ B \end{pmatrix} + \frac{1}{255}\begin{pmatrix} 0 \\ 128 \\ 128 \end{pmatrix}$$
#
# Pure red, in steps of 1/255:

# %%
#NBVAL_CHECK_OUTPUT
red = torch.tensor([1.0, 0.0, 0.0])
ycbcr = torch.tensor(dct.RGB_TO_YCBCR) @ red + torch.tensor(dct.YCBCR_OFFSET)
print("Y, Cb, Cr =", [f"{255 * v:.2f}" for v in ycbcr.tolist()])

# %% [markdown]
# Cr lies at the very top of its range: red is the colour it measures.
#
# ## 2 One patch by hand
#
# The DCT writes an 8×8 patch $p$ as a sum of 64 fixed patterns. The weight of pattern $(u, v)$ is the coefficient
#
# $$d_{uv} = \sum_{y=0}^{7}\sum_{x=0}^{7} p_{yx}\, c_u(y)\, c_v(x), \qquad
# c_u(y) = \begin{cases} \sqrt{1/8} & u = 0 \\ \tfrac{1}{2}\cos\frac{\pi (2y+1) u}{16} & u > 0 \end{cases}$$
#
# $c_u(y)$ is one row of an 8×8 table. Row 0 is flat, and each next row waves faster:

# %%
#NBVAL_CHECK_OUTPUT
n = torch.arange(8.0)
waves = torch.cos(torch.pi * (2 * n + 1) * n[:, None] / 16) / 2  # (u, y)
waves[0] /= 2**0.5
print(waves)

# %% [markdown]
# The patch is a ramp: 0, 1, 2, … 63, row after row. The double sum is two matrix products.

# %%
#NBVAL_CHECK_OUTPUT
patch = torch.arange(64.0).reshape(8, 8)
spectrum = waves @ patch @ waves.T  # (u, v)
for u, v in [(0, 0), (0, 1), (1, 0), (1, 1)]:
    print(f"d[{u},{v}] = {spectrum[u, v].item():9.3f}".replace("-0.000", " 0.000"))

# %% [markdown]
# - $d_{00}$ is 8 times the mean of the patch (31.5).
# - The ramp climbs 8 times faster downwards than to the right. So $d_{10}$ is 8 times $d_{01}$.
# - It has no diagonal wave, so $d_{11}$ is zero.
#
# SciPy agrees, no energy is lost, and the way back is the transpose:

# %%
#NBVAL_CHECK_OUTPUT
by_scipy = torch.tensor(scipy.fft.dctn(patch.numpy(), norm="ortho"))
same = torch.allclose(spectrum, by_scipy, atol=1e-3)
print("✓ SciPy agrees" if same else "✗ SciPy differs")
print(f"energy of the patch {patch.square().sum():.0f}, of its spectrum {spectrum.square().sum():.0f}")
back = waves.T @ spectrum @ waves
print("✓ the patch is back" if torch.allclose(back, patch, atol=1e-3) else "✗ something is lost")

# %% [markdown]
# The 64 patterns. Top left is the mean. To the right the waves get finer across, downwards they get finer down.

# %%
patterns = dct.dct_basis()  # (64, 8, 8), pattern row * 8 + column first
fig, axes = plt.subplots(8, 8, figsize=(5, 5))
for index, ax in enumerate(axes.flat):
    ax.imshow(patterns[index], cmap="gray", vmin=-0.25, vmax=0.25)
    ax.set(xticks=[], yticks=[])
fig.suptitle(f"{len(patterns)} patterns: finer across to the right, finer down to the bottom", fontsize=11)
plt.show()

# %% [markdown]
# ## 3 The window slides
#
# JPEG cuts a picture into separate patches. PEL slides the window instead, in steps of 2. Each place then has its own
# spectrum, and values of the same frequency become one channel:
#
# $$x_{flat}[:][i][j] = \mathrm{flatten}(d_{(i,j)}) \tag{1}$$
#
# First the slow way, on one tiny picture of 12×12 pixels, with loops. Without padding the window has 3×3 places.

# %%
tiny = torch.rand(3, 12, 12)
matrix, offset = torch.tensor(dct.RGB_TO_YCBCR), torch.tensor(dct.YCBCR_OFFSET)
tiny_ycbcr = torch.einsum("ck,kyx->cyx", matrix, tiny) + offset[:, None, None]
by_hand = torch.zeros(192, 3, 3)
for i in range(3):
    for j in range(3):
        windows = tiny_ycbcr[:, 2 * i : 2 * i + 8, 2 * j : 2 * j + 8]  # (colour, y, x)
        by_hand[:, i, j] = (waves @ windows @ waves.T).flatten()  # Eq. 1
print(by_hand[0])  # colour 0 (Y), frequency (0, 0): 8 times the mean brightness around each place

# %%
#NBVAL_CHECK_OUTPUT
from_op = ops.sliding_dct(tiny[None], stride=2, padding=0)[0]
print("shape", tuple(from_op.shape))
print("✓ ops.sliding_dct agrees" if torch.allclose(from_op, by_hand, atol=1e-5) else "✗ ops.sliding_dct differs")

# %% [markdown]
# The channel number is colour · 64 + row · 8 + column. With 3 reflected pixels around the picture the maps have exactly
# half its side. That is the size of the RGB stream after its first layer, so the two streams fit. (The paper prints
# 64×H×W; README.md says why we read it so.)

# %%
#NBVAL_CHECK_OUTPUT
for size in (128, 224, 320):
    print(f"{size} px -> {tuple(ops.sliding_dct(torch.zeros(1, 3, size, size)).shape[1:])}")
channel = 1 * 64 + 2 * 8 + 5
print(f"Cb, row 2, column 5 is channel {channel}")

# %% [markdown]
# ## 4 One frequency at a time, over a face
#
# Now a real face and a forged version of the same frame.

# %%
table = faces.prepare(params.data.forged, params.faces, params.seed)
fakes = table[(table["label"] == 1) & (table["split"] == "test")]
both = fakes.merge(table[table["label"] == 0], on=["identity", "frame"], suffixes=("", "_real"))
pair = both.iloc[0] if len(both) else fakes.iloc[0]
real_row = table[table["path"] == pair["path_real"]] if len(both) else table[table["label"] == 0].head(1)
fake_row = table[table["path"] == pair["path"]]
real, fake = (FaceImages(row, params.faces.size)[0]["rgb"] for row in (real_row, fake_row))
figures.show_grid([real, fake], ["real", f"fake: {pair['method']}"], side=2.4)
plt.show()

# %%
maps = ops.sliding_dct(torch.stack([real, fake]))  # (2, 192, h, w)
bands = [(0, 0), (0, 1), (1, 0), (2, 2), (4, 4), (7, 7)]
strength = [maps[:, 8 * u + v].abs() for u, v in bands]  # of Y: channels 0 .. 63
pictures = [band[side] / band.quantile(0.98) for side in (0, 1) for band in strength]
titles = [f"{kind} ({u},{v})" for kind in ("real", "fake") for u, v in bands]
fig = figures.show_grid(pictures, titles, columns=6, limits=(0, 1))
fig.suptitle("Brightness Y: strength of six frequencies, each scaled by itself", fontsize=11)
figures.save(fig, "pel_frequency_bands")
plt.show()

# %% [markdown]
# (0,0) is a small blurred photograph. (0,1) marks upright edges, (1,0) level ones. The high frequencies are hardly
# a face any more: there the texture of skin, the blending and the codec remain.
#
# Look at any of the 192 channels (the sliders need a running kernel):

# %%
COLOURS = ["Y", "Cb", "Cr"]


def band_picture(colour, row, column):
    band = maps[:, COLOURS.index(colour) * 64 + row * 8 + column]
    limit = band.abs().quantile(0.98).item() or 1.0
    fig = figures.show_grid(
        [real, *band[:1], fake, *band[1:]], ["real", "its band", "fake", "its band"], columns=4, limits=(-limit, limit)
    )
    fig.suptitle(f"{colour}, row {row}, column {column}; black {-limit:.2g}, white {limit:.2g}", fontsize=11)
    return fig


sliders = [widgets.IntSlider(3, 0, 7, description=name, continuous_update=False) for name in ("row", "column")]
controls = [widgets.Dropdown(options=COLOURS, description="colour"), *sliders]
picture = widgets.Image()
figures.follow(controls, picture, band_picture)
widgets.VBox([*controls, picture])

# %% [markdown]
# ## 5 Which frequencies give a fake away?
#
# For each crop and each channel we take the mean strength $\overline{|d|}$. Then, for each of the 64 frequencies of
# each colour: how much stronger is it in fakes? And how well would this single number tell fakes from reals (AUC; 0.5
# is guessing, below 0.5 means that fakes have *less*)?

# %%
train_crops = table[table["split"] == "train"]
each = min(200, train_crops["label"].value_counts().min())
picked = train_crops.groupby("label").sample(n=each, random_state=params.seed)
data = FaceImages(picked, params.faces.size)
strengths = torch.stack([ops.sliding_dct(item["rgb"][None]).abs().mean((0, 2, 3)) for item in data]).numpy()
label = picked["label"].to_numpy()
means = np.stack([strengths[label == kind].mean(0) for kind in (0, 1)])  # (2, 192)
more = (means[1] / means[0] - 1).reshape(3, 8, 8)
print(f"{(label == 0).sum()} real and {(label == 1).sum()} fake crops of the training people")

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.9))
limit = 100 * np.abs(more).max()
for ax, colour, values in zip(axes, COLOURS, more, strict=True):
    sns.heatmap(100 * values, ax=ax, cmap="PuOr_r", vmin=-limit, vmax=limit, annot=True, fmt=".0f", square=True,
                annot_kws={"size": 7}, cbar=False)  # fmt: skip
    u, v = np.unravel_index(np.abs(values).argmax(), (8, 8))
    ax.set_title(f"{colour}: most at ({u},{v}), {100 * values[u, v]:+.0f} %", fontsize=11)
    ax.set(xlabel="column (finer across →)", ylabel="row (finer down →)")
fig.suptitle("Mean strength of fakes against reals, in percent", fontsize=11)
figures.save(fig, "pel_mean_spectrum")
plt.show()

# %%
from sklearn.metrics import roc_auc_score

rows = []
for channel in range(192):
    colour, rest = divmod(channel, 64)
    auc = roc_auc_score(label, strengths[:, channel])
    rows.append((channel, COLOURS[colour], rest // 8, rest % 8, more.flat[channel], auc))
by_band = pd.DataFrame(rows, columns=["channel", "colour", "row", "column", "fake / real - 1", "auc"])
by_band["tells apart"] = (by_band["auc"] - 0.5).abs()
best = by_band.sort_values("tells apart", ascending=False)
best.drop(columns="tells apart").head(6).style.format(precision=3).hide()

# %%
top = best.iloc[0]
direction = "less" if top["auc"] < 0.5 else "more"
print(f"The band that tells most is {top['colour']} ({top['row']},{top['column']}): fakes have {direction} of it.")
print(f"Alone, its mean strength reaches an AUC of {0.5 + top['tells apart']:.3f} on these crops.")
print(f"Of 192 bands, {(best['tells apart'] > 0.1).sum()} have an AUC above 0.6 or below 0.4.")

# %% [markdown]
# A mean over the whole crop forgets *where* a frequency is odd and *which* frequencies go together. That is what the
# network behind these maps is for. To let it choose, PEL mixes the 192 maps into 64 with a 1×1 convolution.
#
# ## 6 Three steps, one convolution
#
# Colour conversion is linear: a matrix $M$. The DCT is linear: 64 patterns $b_f$. The 1×1 convolution is linear:
# weights $w_{o,(c,f)}$. So together they are **one** convolution, with kernels that read RGB directly:
#
# $$x_{freq}[o] = \mathrm{rgb} * K_o + \text{const}, \qquad K_o[k] = \sum_{c}\sum_{f} w_{o,(c,f)}\, M_{ck}\, b_f$$
#
# The 192 maps are never made. First the weights on two output channels, by hand:

# %%
weight = torch.randn(2, 192) / 14
kernel = torch.zeros(2, 3, 8, 8)
for c in range(3):
    for f in range(64):
        for k in range(3):
            kernel[:, k] += weight[:, 64 * c + f, None, None] * matrix[c, k] * patterns[f].float()
print(kernel[0, 0, :2])  # the first two rows of what channel 0 reads from red

# %%
#NBVAL_CHECK_OUTPUT
composed, constant = dct.compose(weight)
print("one convolution:", tuple(composed.shape), "from the weights", tuple(weight.shape))
print("✓ dct.compose agrees" if torch.allclose(composed, kernel, atol=1e-5) else "✗ dct.compose differs")

# %% [markdown]
# The constant comes from the 128/255 of Cb and Cr, which only lifts their frequency (0,0). Now the real module against
# the long way, with gradients. The network trains `weight`; the kernel is composed anew at each step.

# %%
#NBVAL_CHECK_OUTPUT
weight = (torch.randn(64, 192, dtype=torch.float64) / 14).requires_grad_()
rgb = torch.stack([real, fake]).double()
short, long = ops.frequency_stem(rgb, weight), F.conv2d(ops.sliding_dct(rgb), weight[..., None, None])
pull = torch.randn_like(short)
grads = [torch.autograd.grad(out, weight, pull)[0] for out in (short, long)]
print("✓ same output" if torch.allclose(short, long) else "✗ outputs differ")
print("✓ same gradient" if torch.allclose(*grads) else "✗ gradients differ")

# %% [markdown]
# What this is worth is measured at the end of the next section, beside the other slow operation of PEL.
#
# ## 7 The other slow operation: a median
#
# [Notebook 06](06_progressive_enhancement.ipynb) needs the median of each 3×3 neighbourhood of every feature map. As one first
# writes it: gather the nine neighbours of each value, sort them, take the middle one.

# %%
x = torch.randn(4, 24, 80, 80)
windows = F.pad(x, (1,) * 4, mode="reflect").unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2)  # (4, 24, 80, 80, 9)
print(f"x: {x.nbytes / 1e6:.1f} MB, its windows: {windows.nbytes / 1e6:.1f} MB")

# %%
padded = F.pad(x, (1,) * 4, mode="reflect")
steps = {
    "copy x (the floor)": lambda: x.clone(),
    "gather nine neighbours": lambda: padded.unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2),
    "sort them, take the fifth": lambda: windows.median(-1).values,
    "all of it in one pass (ours)": lambda: ops.median_filter(x),
}
with torch.no_grad():
    taken = benchmarks_ops.paired(steps, x.device, rounds=5)
ax = sns.barplot(x=list(taken.values()), y=list(taken), color=figures.COLOURS[0])
ax.figure.set_size_inches(7, 2.4)
ax.set(xscale="log", xlabel="milliseconds (logarithmic)", ylabel="")
slow = taken["sort them, take the fifth"] / taken["all of it in one pass (ours)"]
ax.set_title(f"The sort is where the time goes: {slow:.0f} times our whole pass")
plt.show()

# %% [markdown]
# ### A median without a sort
#
# Nobody asked for nine values in order, only for the fifth. A **selection network** finds it with minima and maxima alone: no
# branch, no index, the same few instructions for every pixel, so a processor does 16 pixels at once.
#
# First sort each *column* of the window. A column's sort serves the three windows that it is in:

# %%
#NBVAL_CHECK_OUTPUT
print("sort three values:", selection.sort_network(3))
network = selection.median_network(3)
print(f"then {len(network)} operations:", ", ".join(f"{name}({a},{b})" for name, a, b in network[:4]), "...")


# %% [markdown]
# Of three sorted columns, the largest minimum, the median of the medians and the smallest maximum remain. The median of
# these three is the median of all nine. Drawn as a network, from the nine sorted values at the left to the median:

# %%
def draw_network(network, size, ax):
    """Draw minima and maxima as nodes, from the sorted columns at the left to the median at the right."""
    level, place = {v: 0 for v in range(size * size)}, {v: (0, -v) for v in range(size * size)}
    for v, (name, a, b) in enumerate(network, size * size):
        level[v] = 1 + max(level[a], level[b])
        place[v] = (level[v], (place[a][1] + place[b][1]) / 2 + (0.3 if name == "min" else -0.3))
    for v, (name, a, b) in enumerate(network, size * size):
        for operand in (a, b):
            ax.plot(*zip(place[operand], place[v], strict=True), "-", color="lightgrey", zorder=1)
        ax.plot(*place[v], "v" if name == "min" else "^", color=figures.COLOURS[0 if name == "min" else 3], zorder=2)
    for v in range(size * size):
        kind = ("low", "middle", "high")[v // size] if size == 3 else f"row {v // size}"
        ax.text(-0.1, -v, f"{kind}, column {v % size}", ha="right", va="center", fontsize=8)
    ax.set(xlim=(-1.4, max(level.values()) + 0.6), xlabel="step", xticks=range(max(level.values()) + 1))
    ax.set_yticks([])


fig, ax = plt.subplots(figsize=(8, 3.6))
draw_network(network, 3, ax)
for name, marker in (("minimum", "v"), ("maximum", "^")):
    ax.plot([], [], marker, color=figures.COLOURS[0 if name == "minimum" else 3], label=name)
ax.legend(loc="upper right")
ax.set_title(f"{len(network)} operations find the median of nine values in sorted columns")
plt.show()

# %%
#NBVAL_CHECK_OUTPUT
values = torch.rand(10_000, 3, 3).sort(1).values.flatten(1).unbind(1)  # columns sorted
for name, a, b in network:
    values += (getattr(torch, f"{name}imum")(values[a], values[b]),)
expected = torch.stack(values[:9], 1).median(1).values
print("✓ the network finds the median" if torch.equal(values[-1], expected) else "✗ the network fails")
print("operations for sizes 3, 5, 7:", [len(selection.median_network(size)) for size in (3, 5, 7)])

# %% [markdown]
# ### One byte for the gradient
#
# The gradient of a median is simple: it goes to the neighbour *that was* the median. Autograd through the network would
# keep every minimum and maximum in memory. We keep one byte a pixel: the number of that neighbour (0 .. 8, in reading order).

# %%
#NBVAL_CHECK_OUTPUT
small = torch.tensor([[3.0, 1, 4, 1], [5, 9, 2, 6], [5, 3, 5, 8], [9, 7, 9, 3]]).requires_grad_()
median, index = torch.ops.deepfake.noise_block(small[None, None], None, None, 3, True)
print(median[0, 0].int(), index[0, 0], sep="\n")

# %% [markdown]
# In the backward pass each value asks its neighbours: "was I your median?", and sums the gradients of those that say yes.
# It only *gathers*, so no two threads ever write to the same place:

# %%
#NBVAL_CHECK_OUTPUT
pull = torch.arange(16.0).reshape(4, 4)
received = torch.zeros(4, 4)
for y in range(4):
    for x_ in range(4):
        row, column = divmod(index[0, 0, y, x_].item(), 3)
        source = [abs(v) if v < 4 else 6 - v for v in (y + row - 1, x_ + column - 1)]  # the mirrored border
        received[source[0], source[1]] += pull[y, x_]
(by_autograd,) = torch.autograd.grad(ops.median_filter(small[None, None]), small, pull[None, None])
print("✓ the gradient of the op agrees" if torch.equal(received, by_autograd) else "✗ the gradients differ")

# %% [markdown]
# ### How near to the floor?
#
# No operation can be faster than reading its input and writing its output once: copying as many bytes is the **floor**. Here
# are both operations of PEL, forward and backward, as the paper writes them and as `lib.ops` does them, on this machine
# (`python -m lib.benchmarks.ops` measures the sizes of EfficientNet-B4):

# %%
whole = params.scale != "smoke"
shape, images = ((8, 24, 80, 80), (8, 3, 160, 160)) if whole else ((1, 4, 16, 16), (1, 3, 32, 32))
measured = benchmarks_ops.table("cpu", rounds=7 if whole else 1, shapes=(shape,), images=images)
columns = ["operation", "shape", "reference", "ours", "floor", "ours / floor", "reference / ours"]
measured[columns].style.format(precision=2).hide()

# %%
fig, ax = plt.subplots(figsize=(7, 4.6))
benchmarks_ops.roofline(measured, ax)
plt.show()

# %% [markdown]
# A **roofline**: to the left of the corner memory is the limit, to the right arithmetic. The median has little to compute for
# each byte, so it can only hope for the sloping roof; the stem has much to compute and lies under the flat one. Arrows lead
# from the plain version to ours.

# %% [markdown]
# ### Could a compiler have written it?
#
# The same network in plain PyTorch under `torch.compile` becomes one fused loop too, without a line of C++. Forward it comes
# nearest to ours. With the backward pass it falls behind: autograd goes back through every minimum and maximum, where
# we read one byte. And its first call has to wait for the compiler. Milliseconds, read from `results/ops_benchmark.csv`
# (`python -m lib.benchmarks.ops` makes it; "-": the library has no such operation):

# %%
benchmark = pd.read_csv(paths.ROOT / "results" / "ops_benchmark.csv").dropna(subset="compiled")
columns = ["operation", "shape", "reference", "kornia", "compiled", "ours", "compiled / ours", "first compiled call, s"]
display(benchmark[columns].style.format(precision=1, na_rep="-").hide())
with_backward = benchmark["operation"].str.contains("backward")
for name, rows in (("forward", benchmark[~with_backward]), ("forward and backward", benchmark[with_backward])):
    ratio = rows["compiled / ours"]
    print(f"{name}: ours is {ratio.min():.1f} to {ratio.max():.1f} times as fast as what torch.compile makes")

# %%
with torch.no_grad():
    difference = (short - long).abs().max().item()
report.write_metrics("fine_grained_frequency", {
    "crops": len(picked),
    "best_band": {"channel": int(top["channel"]), "auc": top["auc"], "ratio": 1 + top["fake / real - 1"]},
    "bands_beyond_0.6": int((best["tells apart"] > 0.1).sum()),
})  # fmt: skip
print(f"largest difference between the short and the long way, in float64: {difference:.1e}")

# %% [markdown]
# ## What we saw
#
# - A patch is a sum of 64 patterns; the DCT gives their weights, loses nothing, and is undone by its transpose.
# - Sliding the window and grouping equal frequencies turns a picture into 192 maps at half its side.
# - The heat map of section 5 shows which bands the forgeries of this data set disturb, and how little one band alone says.
# - A median needs no sort: minima and maxima in a fixed order find it, and one byte a pixel is enough for its gradient.
# - Linear steps in a row are one linear step: one convolution replaces three, with the same output and gradient.
#
# ## Exercises
#
# **1** Which colour and frequency is channel 157? Set `answer_1` to a tuple such as `("Y", 0, 0)`.

# %%
answer_1 = None

if answer_1 is None:
    print("1: not solved yet")
else:
    one = torch.zeros(1, 192, 1, 1)
    one[0, COLOURS.index(answer_1[0]) * 64 + answer_1[1] * 8 + answer_1[2]] = 1
    print("1: ✓" if one[0, 157] == 1 else "1: ✗ divide 157 by 64, then the rest by 8")

# %% [markdown]
# **2** Remove the mean of brightness from every 8×8 patch of the real face: what would the map of channel 0 be, and which
# kernel of `weight_2` (1, 192) passes every frequency of Y *but* (0,0), summed? Set `weight_2`.

# %%
weight_2 = None

if weight_2 is None:
    print("2: not solved yet")
else:
    expected = maps[:1, 1:64].sum(1, keepdim=True)
    close = torch.allclose(ops.frequency_stem(real[None], weight_2), expected, atol=1e-3)
    print("2: ✓" if close else "2: ✗ ones for channels 1 .. 63, zeros elsewhere")

# %% [markdown]
# **3** Undo the sliding DCT. From `maps[0]` (the real face), rebuild the Y patch whose window lies at row 10, column 20 of
# the map. Set `patch_3` (8, 8).

# %%
patch_3 = None

if patch_3 is None:
    print("3: not solved yet")
else:
    padded = F.pad(real[None], (3,) * 4, mode="reflect")[0]
    expected = torch.einsum("k,kyx->yx", matrix[0], padded)[20:28, 40:48]
    print("3: ✓" if torch.allclose(patch_3, expected, atol=1e-4) else "3: ✗ the two transposes, as in section 2")


# %% [markdown]
# **4** Write the network that finds the median of *five* values with `torch.minimum` and `torch.maximum` alone. (Hint: of
# two pairs, neither the smaller of the minima nor the larger of the maxima can be the median.) The check needs only zeros
# and ones: a network that sorts all of these rightly is right for all numbers.

# %%
def median_5(a, b, c, d, e):
    return None


zeros_and_ones = torch.tensor(list(itertools.product((0.0, 1.0), repeat=5)))  # (32, 5)
found = median_5(*zeros_and_ones.unbind(1))
if found is None:
    print("4: not solved yet")
else:
    print("4: ✓" if torch.equal(found, zeros_and_ones.median(1).values) else "4: ✗ try it on 0, 0, 1, 1, 1 by hand")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. 157 = 2 · 64 + 29 and 29 = 3 · 8 + 5: `answer_1 = ("Cr", 3, 5)`.
# 2. Channel 0 would be zero everywhere. `weight_2 = torch.zeros(1, 192); weight_2[0, 1:64] = 1`.
# 3. `d = maps[0, :64, 10, 20].reshape(8, 8); patch_3 = waves.T @ d @ waves`.
# 4. `low = torch.maximum(torch.minimum(a, b), torch.minimum(c, d)); high = torch.minimum(torch.maximum(a, b), torch.maximum(c, d))`;
#    the median of `low`, `high` and `e` is `torch.maximum(torch.minimum(low, high), torch.minimum(torch.maximum(low, high), e))`.
#
# </details>
#
# Previous: [04 results](04_beyond_the_spectrum_results.ipynb) ·
# Next: [06 progressive enhancement](06_progressive_enhancement.ipynb)
