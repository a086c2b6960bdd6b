# %% [markdown]
# # 05 · Fine-grained frequency: which waves does a forged face lack?
#
# A forged face can fool the eye and still have the wrong texture. PEL therefore shows its network not only the picture,
# but also 192 *frequency maps* of it: one map for each colour and each of 64 small waves. Here you build these maps.
#
# **After this notebook you can**
# - turn an 8×8 patch into 64 frequencies and back, by hand;
# - read any of the 192 channels of the sliding DCT: which colour, which frequency, which place;
# - say which frequencies differ between real and forged faces, and how little a single one of them tells;
# - fold colour conversion, DCT and 1×1 convolution into **one** convolution, and check that nothing is lost;
# - find a median without sorting, and differentiate it with one byte a pixel.
#
# **You need**: matrix products, what a convolution does. **Run alone**: `make lab`, any CPU; minutes: in the table of
# [README.md](../README.md). **Paper**: [PEL](https://arxiv.org/abs/2112.13977) (Gu et al., AAAI 2022), section
# "Fine-grained Clues", Eq. 1 and the left of Fig. 1; Eq. 2 for the median.
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
from IPython.display import Markdown, display
from sklearn.metrics import roc_auc_score

from lib import figures, ops, paths
from lib.benchmarks import ops as benchmarks_ops
from lib.data import cards, faces
from lib.data.items import FaceImages
from lib.evaluation import report
from lib.evaluation.metrics import metrics
from lib.ops import dct
from lib.ops.median import selection
from lib.params import load

# %%
params = load(scale)
figures.style()
torch.manual_seed(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=100)
data_name = cards.title(params.data.forged)
print(f"scale {params.scale}: {data_name}, face crops of {params.faces.size} px")

# %% [markdown]
# The bundled videos show people of the ORL portraits (AT&T, grey), forged by this project;
# [01](01_real_and_forged_faces.ipynb) makes and shows them. They stand in for FaceForensics++, which must be asked for.
#
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

# %% tags=["nbval-check-output"]
red = torch.tensor([1.0, 0.0, 0.0])
ycbcr = torch.tensor(dct.RGB_TO_YCBCR) @ red + torch.tensor(dct.YCBCR_OFFSET)
print("Y, Cb, Cr =", [f"{255 * v:.2f}" for v in ycbcr.tolist()])

# %% [markdown]
# Cr lies at the very top of its range: red is the colour it measures.
#
# ## 2 One patch by hand
#
# The **discrete cosine transform** (DCT) writes an 8×8 patch $p$ as a sum of 64 fixed waves. How much of wave $(u, v)$ is
# in the patch is its coefficient, which we call the *frequency* $(u, v)$ of the patch:
#
# $$d_{uv} = \sum_{y=0}^{7}\sum_{x=0}^{7} p_{yx}\, c_u(y)\, c_v(x), \qquad
# c_u(y) = \begin{cases} \sqrt{1/8} & u = 0 \\ \tfrac{1}{2}\cos\frac{\pi (2y+1) u}{16} & u > 0 \end{cases}$$
#
# $c_u(y)$ is one row of an 8×8 table. Row 0 is flat, and each next row waves faster:

# %% tags=["nbval-check-output"]
n = torch.arange(8.0)
waves = torch.cos(torch.pi * (2 * n + 1) * n[:, None] / 16) / 2  # (u, y)
waves[0] /= 2**0.5
print(waves)

# %% [markdown]
# The patch is a ramp: 0, 1, 2, … 63, row after row. The double sum is two matrix products.

# %% tags=["nbval-check-output"]
patch = torch.arange(64.0).reshape(8, 8)
spectrum = waves @ patch @ waves.T  # (u, v)
for u, v in [(0, 0), (0, 1), (1, 0), (1, 1)]:
    print(f"d[{u},{v}] = {spectrum[u, v].item():9.3f}".replace("-0.000", " 0.000"))

# %% [markdown]
# - $d_{00}$ is 8 times the mean of the patch (31.5).
# - The ramp climbs 8 times faster downwards than to the right. So $d_{10}$ is 8 times $d_{01}$.
# - It has no diagonal wave, so $d_{11}$ is zero.
#
# SciPy agrees, no energy (sum of squares) is lost, and the way back is the transpose:

# %% tags=["nbval-check-output"]
by_scipy = torch.tensor(scipy.fft.dctn(patch.numpy(), norm="ortho"))
same = torch.allclose(spectrum, by_scipy, atol=1e-3)
print("✓ SciPy agrees" if same else "✗ SciPy differs")
energies = [values.square().sum().item() for values in (patch, spectrum)]
print("energy of the patch {:.0f}, of its spectrum {:.0f}".format(*energies))
back = waves.T @ spectrum @ waves
print("✓ the patch is back" if torch.allclose(back, patch, atol=1e-3) else "✗ something is lost")

# %% [markdown]
# The 64 waves. Top left is the mean. To the right they get finer across, downwards they get finer down.

# %%
patterns = dct.dct_basis()  # (64, 8, 8), pattern row * 8 + column first
fig, axes = plt.subplots(8, 8, figsize=(5, 5))
for index, ax in enumerate(axes.flat):
    ax.imshow(patterns[index], cmap="gray", vmin=-0.25, vmax=0.25)
    ax.set(xticks=[], yticks=[])
title = f"{len(patterns)} waves: finer across to the right, finer down to the bottom"
fig.suptitle(title, fontsize=11)
figures.show(fig, alt=f"8 by 8 small grey patterns. {title}. The one at the top left is flat.")

# %% [markdown]
# ## 3 The window slides
#
# JPEG cuts a picture into separate patches. PEL slides the window instead, in steps of 2. Each place then has its own
# spectrum, and values of the same frequency become one **channel** (one map of a network's input):
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

# %% tags=["nbval-check-output"]
from_op = ops.sliding_dct(tiny[None], stride=2, padding=0)[0]
same = torch.allclose(from_op, by_hand, atol=1e-5)
print("shape", tuple(from_op.shape))
print("✓ ops.sliding_dct agrees" if same else "✗ ops.sliding_dct differs")

# %% [markdown]
# The channel number is colour · 64 + row · 8 + column. With 3 reflected pixels around the picture the maps have exactly
# half its side. That is the size of PEL's other stream, which reads the pixels, after its first layer: the two fit. (The
# paper prints 64×H×W; [docs/choices.md](../docs/choices.md) says why we read it so.)

# %% tags=["nbval-check-output"]
for size in (128, 224, 320):
    print(f"{size} px -> {tuple(ops.sliding_dct(torch.zeros(1, 3, size, size)).shape[1:])}")
channel = 1 * 64 + 2 * 8 + 5
print(f"Cb, row 2, column 5 is channel {channel}")

# %% [markdown]
# ## 4 One frequency at a time, over a face
#
# Now one of the test people, real and forged, in the same frame of the same scene.

# %%
table = faces.prepare(params.data.forged, params.faces, params.seed)
fakes = table[(table["label"] == 1) & (table["split"] == "test")]
reals = table[table["label"] == 0]
both = fakes.merge(reals, on=["identity", "frame"], suffixes=("", "_real"))
pair = both.iloc[0] if len(both) else fakes.iloc[0]
real_row = table[table["path"] == pair["path_real"]] if len(both) else reals.head(1)
fake_row = table[table["path"] == pair["path"]]
real, fake = (FaceImages(row, params.faces.size)[0]["rgb"] for row in (real_row, fake_row))
fig = figures.show_grid([real, fake], ["real", f"fake: {pair['method']}"], side=2.4)
figures.show(fig, alt=f"The same face twice: real, and forged by {pair['method']}.")

# %%
maps = ops.sliding_dct(torch.stack([real, fake]))  # (2, 192, h, w)
bands = [(0, 0), (0, 1), (1, 0), (2, 2), (4, 4), (7, 7)]
strength = [maps[:, 8 * u + v].abs() for u, v in bands]  # of Y: channels 0 .. 63
pictures = [band[side] / band.quantile(0.98) for side in (0, 1) for band in strength]
titles = [f"{kind} ({u},{v})" for kind in ("real", "fake") for u, v in bands]
fig = figures.show_grid(pictures, titles, columns=6, limits=(0, 1))
h, w = maps.shape[2:]
in_real, in_fake = strength[4][:, h // 4 : -h // 4, w // 4 : -w // 4].mean((1, 2)).tolist()
change = f"{in_fake / in_real - 1:+.0%}"
found = f"Middle of this face, frequency (4,4) of brightness: {change} in the fake"
fig.suptitle(found, fontsize=11)
figures.show(fig, name="pel_frequency_bands",
             alt=f"Six frequencies of brightness, real face above, forged face below. {found}.")

# %% [markdown]
# Each pair of pictures is scaled by itself. (0,0) is a small blurred photograph. (0,1) marks upright edges, (1,0) level
# ones. The high frequencies are hardly a face any more: there the texture of skin, the blending and the **codec** remain
# (the program that compresses the video).
#
# Look at any of the 192 channels (the sliders need a running kernel; below them the picture that they start with):

# %%
COLOURS = ["Y", "Cb", "Cr"]


def band_picture(colour, row, column):
    band = maps[:, COLOURS.index(colour) * 64 + row * 8 + column]
    limit = band.abs().quantile(0.98).item() or 1.0
    shown, titles = [real, *band[:1], fake, *band[1:]], ["real", "its band", "fake", "its band"]
    fig = figures.show_grid(shown, titles, columns=4, limits=(-limit, limit))
    text = f"{colour}, row {row}, column {column}; black {-limit:.2g}, white {limit:.2g}"
    fig.suptitle(text, fontsize=11)
    return fig


# %%
two = [widgets.IntSlider(3, 0, 7, description=name, continuous_update=False)
       for name in ("row", "column")]
controls = [widgets.Dropdown(options=COLOURS, description="colour"), *two]
picture = widgets.Image()
figures.follow(controls, picture, band_picture)
display(widgets.VBox([*controls, picture]))
figures.show(band_picture("Y", 3, 3),
             alt="Real face, its frequency (3,3) of brightness, forged face, its frequency (3,3).")

# %% [markdown]
# ## 5 Which frequencies give a fake away?
#
# For each crop and each channel we take the mean strength $\overline{|d|}$: one number for the whole face. Then, for each
# of the 64 frequencies of each colour: how much stronger is it in fakes, in percent?

# %%
def mean_strengths(split):
    """Return (rows, strengths): as many real as fake crops of a split, at most 200; (n, 192)."""
    crops = table[table["split"] == split]
    each = min(200, crops["label"].value_counts().min())
    rows = crops.groupby("label").sample(n=each, random_state=params.seed)
    items = FaceImages(rows, params.faces.size)
    of_crop = lambda item: ops.sliding_dct(item["rgb"][None]).abs().mean((0, 2, 3))
    return rows, torch.stack([of_crop(item) for item in items]).numpy()


picked, strengths = mean_strengths("train")
label = picked["label"].to_numpy()
means = np.stack([strengths[label == kind].mean(0) for kind in (0, 1)])  # (2, 192)
more = (means[1] / means[0] - 1).reshape(3, 8, 8)
print(f"{(label == 0).sum()} real and {(label == 1).sum()} fake crops of the training people")

# %%
loud = [strengths[:, 64 * c + 1 : 64 * c + 64].mean() for c in range(3)]  # without (0,0)
heard = [c for c in range(3) if loud[c] > 1e-3 * loud[0]]  # in grey pictures only Y
fig, axes = plt.subplots(1, len(heard), figsize=(2 + 3.4 * len(heard), 4.3), squeeze=False)
limit = 100 * np.abs(more[heard]).max()
for ax, c in zip(axes[0], heard, strict=True):
    values = 100 * more[c]
    sns.heatmap(values, ax=ax, cmap="PuOr_r", vmin=-limit, vmax=limit, annot=True, fmt="+.0f",
                square=True, annot_kws={"size": 8}, cbar=False)
    u, v = np.unravel_index(np.abs(values).argmax(), (8, 8))
    ax.set_title(f"{COLOURS[c]}: most at ({u},{v}), {values[u, v]:+.0f} %", fontsize=11)
    ax.set(xlabel="column (finer across →)", ylabel="row (finer down →)")
fine, coarse = more[0, 4:, 4:].mean(), more[0, :2, :2].mean()
found = f"Strength in fakes against reals: finest {fine:+.0%}, coarsest {coarse:+.0%}"
fig.suptitle(found, fontsize=11)
figures.show(fig, name="pel_mean_spectrum", alt=f"8 by 8 percentages a colour. {found}.")

# %%
colourless = f"""Only Y is drawn. These pictures are **grey**: the mean strength of their Cb and Cr
is {max(loud[1:]):.0e} (of Y {loud[0]:.0e}), nothing but rounding. Whether forgeries disturb
*colour* cannot be tested on them."""
kept = "keep the large shapes" if abs(coarse) < abs(fine) / 3 else "change the large shapes, too"
lost = "lose fine texture" if fine < 0 else "add fine texture"
why = "Warping, blending and drawing anew average neighbouring pixels, and that smooths."
Markdown(f"""In brightness, the sixteen finest waves (rows and columns 4 to 7) are {fine:+.1%} in
fakes, the four coarsest {coarse:+.1%}: these forgeries {kept} and {lost}.
{why if fine < 0 else ''}

{colourless if heard == [0] else ''}""")

# %% [markdown]
# How well would one such number tell fakes from reals? The **AUC** is the chance that a random fake has more of it than a
# random real: 0.5 is guessing, 1 is perfect, and below 0.5 fakes have *less* of it. The six that tell most:

# %%
rows = []
for channel in range(192):
    colour, rest = divmod(channel, 64)
    auc = roc_auc_score(label, strengths[:, channel])
    rows.append((channel, COLOURS[colour], rest // 8, rest % 8, more.flat[channel], auc))
by_band = pd.DataFrame(rows, columns="channel colour row column change AUC".split())
by_band["tells apart"] = (by_band["AUC"] - 0.5).abs()
best = by_band.sort_values("tells apart", ascending=False)
shown = best.drop(columns="tells apart").head(6)
shown.style.format({"change": "{:+.1%}", "AUC": "{:.3f}"}).hide()

# %% [markdown]
# The best of 192 numbers is partly luck: it was chosen on these very crops. So we measure it again on the test people,
# whom the choice has not seen. The **95 % interval** says how far the number would move with other people: the *people*
# are drawn again and again, with replacement (the *bootstrap*), since twenty frames of one person are not twenty facts.

# %%
top = best.iloc[0]
sign = 1 if top["AUC"] > 0.5 else -1
test_rows, test_strengths = mean_strengths("test")
score = sign * test_strengths[:, int(top["channel"])]
new = metrics(test_rows, score, level="frame", seed=params.seed)
low, high = new["frame_auc_low"], new["frame_auc_high"]
paper = report.paper_table("pel_table4").query("self == '0' and mutual == '0'")
theirs = {stream: paper.query(f"{stream} == '1' and {other} == '0'")["auc"].item()
          for stream, other in (("rgb", "freq"), ("freq", "rgb"))}

# %%
beyond = (best["tells apart"] > 0.1).sum()
band = f"{top['colour']} ({top['row']},{top['column']})"
beside = "better" if low > 0.5 else "worse"
guess = "guessing lies inside the interval" if low <= 0.5 <= high else f"{beside} than guessing"
on_test = f"{new['frame_auc']:.3f} [{low:.3f}, {high:.3f}] on {new['identities']} test people"
Markdown(f"""**{band}** tells most, and fakes have {'more' if sign > 0 else 'less'} of it. Its
AUC is {0.5 + top['tells apart']:.3f} on the training crops (turned so that it is above 0.5) and
{on_test}: {guess}. Of 192 bands, {beyond} reach 0.6. So one band alone is a weak witness.

Yet the paper's network that reads *only* these maps reaches an AUC of **{theirs['freq']}**, as
much as the one that reads only pixels (**{theirs['rgb']}**; Table 4, FaceForensics++ at low
quality). It sees *where* a band is odd, and which bands are odd *together*.""")

# %% [markdown]
# To let the network choose among the bands, PEL mixes the 192 maps into 64 with a 1×1 convolution: at each place, 64
# weighted sums of the 192 values there.
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

# %% tags=["nbval-check-output"]
composed, constant = dct.compose(weight)
print("one convolution:", tuple(composed.shape), "from the weights", tuple(weight.shape))
same = torch.allclose(composed, kernel, atol=1e-5)
print("✓ dct.compose agrees" if same else "✗ dct.compose differs")

# %% [markdown]
# The constant comes from the 128/255 of Cb and Cr, which only lifts their frequency (0,0). Now the real module against
# the long way, with gradients. The network trains `weight`; the kernel is composed anew at each step.

# %% tags=["nbval-check-output"]
weight = (torch.randn(64, 192, dtype=torch.float64) / 14).requires_grad_()
rgb = torch.stack([real, fake]).double()
short = ops.frequency_stem(rgb, weight)
long = F.conv2d(ops.sliding_dct(rgb), weight[..., None, None])
pull = torch.randn_like(short)
grads = [torch.autograd.grad(out, weight, pull)[0] for out in (short, long)]
print("✓ same output" if torch.allclose(short, long) else "✗ outputs differ")
print("✓ same gradient" if torch.allclose(*grads) else "✗ gradients differ")

# %% [markdown]
# What it is worth, on this machine, for a batch of 8 pictures:

# %%
batch, mix = torch.rand(8, 3, *real.shape[1:]), weight.detach().float()
ways = {"192 maps, then the 1×1 convolution": lambda: ops.frequency_stem_ref(batch, mix),
        "one convolution": lambda: ops.frequency_stem(batch, mix)}
taken = benchmarks_ops.paired(ways, batch.device, rounds=5)
for name, milliseconds in taken.items():
    print(f"{milliseconds:7.1f} ms  {name}")
print(f"never made: {8 * 192 * maps[0, 0].numel() * 4 / 1e6:.0f} MB of maps")

# %% [markdown]
# ## 7 Noise needs a median
#
# The network of [notebook 06](06_progressive_enhancement.ipynb) takes from each feature map $f_{in}$ (a map inside the
# network) what a 3×3 median filter $M$ removes, and calls the rest its *noise*:
#
# $$f_{noi} = f_{in} - M(f_{in}) \tag{2}$$
#
# $M$ replaces each value by the middle one of its nine neighbours. As one first writes it: gather the nine neighbours of
# each value, sort them, take the fifth.

# %% tags=["nbval-check-output"]
small = torch.tensor([[3.0, 1, 4, 1], [5, 9, 2, 6], [5, 3, 5, 8], [9, 7, 9, 3]]).requires_grad_()
nine = small[:3, :3].flatten().sort().values  # the neighbours of row 1, column 1
print(nine.int().tolist(), "-> median", nine[4].int().item())
by_op = ops.median_filter(small[None, None])[0, 0, 1, 1]
print("✓ ops.median_filter agrees" if by_op == nine[4] else "✗ ops.median_filter differs")

# %%
x = torch.randn(4, 24, 80, 80)
padded = F.pad(x, (1,) * 4, mode="reflect")
gather = lambda: padded.unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2)  # (4, 24, 80, 80, 9)
windows = gather()
steps = {"gather nine neighbours": gather,
         "sort them, take the fifth": lambda: windows.median(-1).values,
         "ours: all of it in one pass": lambda: ops.median_filter(x),
         "copy x, for comparison": lambda: x.clone()}
with torch.no_grad():
    taken = benchmarks_ops.paired(steps, x.device, rounds=5)
for name, milliseconds in taken.items():
    print(f"{milliseconds:7.1f} ms  {name}")
print(f"x: {x.nbytes / 1e6:.1f} MB, its windows: {windows.nbytes / 1e6:.1f} MB")

# %% [markdown]
# The sort is where the time goes.
#
# ### A median without a sort
#
# Nobody asked for nine values in order, only for the fifth. A **selection network** finds it with minima and maxima alone:
# no branch, no index, the same few instructions for every pixel, so a processor does 16 pixels at once. First sort each
# *column* of the window. A column's sort serves the three windows that it is in:

# %% tags=["nbval-check-output"]
print("sort three values:", selection.sort_network(3))
network = selection.median_network(3)
first = ", ".join(f"{name}({a},{b})" for name, a, b in network[:4])
print(f"then {len(network)} operations:", first, "...")

# %% [markdown]
# Of three sorted columns, the largest minimum, the median of the medians and the smallest maximum remain. The median of
# these three is the median of all nine. Drawn as a network, from the nine sorted values at the left to the median:

# %% tags=["hide-input"]
def draw_network(network, size, ax):
    """Draw minima and maxima as nodes, from the sorted columns at the left to the median."""
    level, place = {v: 0 for v in range(size * size)}, {v: (0, -v) for v in range(size * size)}
    for v, (name, a, b) in enumerate(network, size * size):
        level[v] = 1 + max(level[a], level[b])
        shift = 0.3 if name == "min" else -0.3
        place[v] = (level[v], (place[a][1] + place[b][1]) / 2 + shift)
        for operand in (a, b):
            ax.plot(*zip(place[operand], place[v], strict=True), "-", color="lightgrey", zorder=1)
        ax.plot(*place[v], **NODES[name], zorder=2)
    for v in range(size * size):
        text = f"{('low', 'middle', 'high')[v // size]}, column {v % size}"
        ax.text(-0.1, -v, text, ha="right", va="center", fontsize=8)
    last = max(level.values())
    ax.set(xlim=(-1.4, last + 0.6), xlabel="step", xticks=range(last + 1), yticks=[])


# %% tags=["hide-input"]
NODES = {"min": {"marker": "v", "color": figures.COLOURS[0], "linestyle": ""},
         "max": {"marker": "^", "color": figures.COLOURS[3], "linestyle": ""}}
fig, ax = plt.subplots(figsize=(8, 3.6))
draw_network(network, 3, ax)
for name, node in NODES.items():
    ax.plot([], [], **node, label=f"{name}imum")
ax.legend(loc="upper right")
ax.set_title(f"{len(network)} operations find the median of nine values in sorted columns")
figures.show(fig, alt=f"A network of {len(network)} minima and maxima in six steps: nine sorted "
             "values enter at the left, their median leaves at the right.")

# %% tags=["nbval-check-output"]
values = torch.rand(10_000, 3, 3).sort(1).values.flatten(1).unbind(1)  # columns sorted
for name, a, b in network:
    values += (getattr(torch, f"{name}imum")(values[a], values[b]),)
expected = torch.stack(values[:9], 1).median(1).values
same = torch.equal(values[-1], expected)
print("✓ the network finds the median" if same else "✗ the network fails")
counts = [len(selection.median_network(size)) for size in (3, 5, 7)]
print("operations for sizes 3, 5, 7:", counts)

# %% [markdown]
# ### One byte for the gradient
#
# The gradient of a median is simple: it goes to the neighbour *that was* the median. Autograd (PyTorch's own derivatives)
# would keep every minimum and maximum in memory. We keep one byte a pixel: the number of that neighbour (0 .. 8, in
# reading order).

# %% tags=["nbval-check-output"]
median, index = torch.ops.deepfake.noise_block(small[None, None], None, None, 3, True)
print(median[0, 0].int(), index[0, 0], sep="\n")

# %% [markdown]
# In the backward pass each value asks its neighbours: "was I your median?", and sums the gradients of those that say yes.
# It only *gathers*, so no two threads ever write to the same place:

# %% tags=["nbval-check-output"]
pull = torch.arange(16.0).reshape(4, 4)
received = torch.zeros(4, 4)
for y in range(4):
    for x_ in range(4):
        row, column = divmod(index[0, 0, y, x_].item(), 3)
        places = (y + row - 1, x_ + column - 1)
        source = [abs(v) if v < 4 else 6 - v for v in places]  # the mirrored border
        received[source[0], source[1]] += pull[y, x_]
(by_autograd,) = torch.autograd.grad(ops.median_filter(small[None, None]), small, pull[None, None])
same = torch.equal(received, by_autograd)
print("✓ the gradient of the op agrees" if same else "✗ the gradients differ")

# %% [markdown]
# ### How near to the floor?
#
# No operation can be faster than reading its input and writing its output once. A copy of as many bytes is the **floor**.
# The picture below is a **roofline**. To the left of the corner memory is the limit, to the right arithmetic. The median
# has little to compute for each byte, so it can only hope for the sloping roof; the convolution of section 6 (the *stem*,
# a network's first layer) has much to compute and lies under the flat one. Arrows lead from the plain version to ours.

# %%
whole = params.scale != "smoke"
shape, images = ((8, 24, 80, 80), (8, 3, 160, 160)) if whole else ((1, 4, 16, 16), (1, 3, 32, 32))
rounds = 7 if whole else 1
measured = benchmarks_ops.table("cpu", rounds=rounds, shapes=(shape,), images=images)
fig, ax = plt.subplots(figsize=(7, 4.6))
benchmarks_ops.roofline(measured, ax)
times = measured.set_index("operation")["reference / ours"].items()
faster = ", ".join(f"{name} {ratio:.1f}" for name, ratio in times)
figures.show(fig, alt="Roofline: operations per byte against billion operations per second. "
             f"Times as fast as the plain version: {faster}.")


# %%
columns = ["operation", "shape", "reference", "ours", "floor", "ours / floor", "reference / ours"]
report.folded("The same in milliseconds, on this machine", measured[columns].round(2))

# %% [markdown]
# **Could a compiler have written it?** The same network in plain PyTorch under `torch.compile` becomes one fused loop too,
# without a line of C++. With the backward pass it falls behind: autograd goes back through every minimum and maximum,
# where we read one byte. And its first call has to wait for the compiler.

# %%
benchmark = pd.read_csv(paths.ROOT / "results/ops_benchmark.csv").dropna(subset="compiled")
columns = "operation shape reference kornia compiled ours".split() + ["first compiled call, s"]
with_backward = benchmark["operation"].str.contains("backward")
kinds = {"forward": benchmark[~with_backward], "forward and backward": benchmark[with_backward]}
for name, rows in kinds.items():
    ratio = rows["compiled / ours"]
    print(f"{name}: torch.compile's takes {ratio.min():.1f} to {ratio.max():.1f} times as long")
said = "Milliseconds at the sizes of EfficientNet-B4, measured once by <code>python -m "
said += "lib.benchmarks.ops</code> (-: the library has no such operation)"
report.folded(said, benchmark[columns].round(1).astype(object).fillna("-"))

# %% tags=["hide-input"]
with torch.no_grad():
    difference = (short - long).abs().max().item()
report.write_metrics("fine_grained_frequency", {
    "crops": len(picked),
    "best_band": {"channel": int(top["channel"]), "auc": top["AUC"], "ratio": 1 + top["change"]},
    "bands_beyond_0.6": int(beyond),
})
print(f"largest difference of the two ways of section 6, in float64: {difference:.1e}")

# %% [markdown]
# ## What we saw

# %%
Markdown(f"""
- A patch is a sum of 64 waves; the DCT says how much of each, loses nothing, and is undone by its
  transpose.
- Sliding the window and grouping equal frequencies turns a picture into **192 maps at half its
  side**.
- On {data_name}: the finest waves of brightness are {fine:+.0%} in fakes, the coarsest
  {coarse:+.0%}. The paper shows maps, but no such number.
- One band alone is a weak witness: {band} has an AUC of {on_test} ({guess}). The paper gives no
  number for a single band; its network that reads all of them has {theirs['freq']}, on other faces,
  in colour, at 320 px.
- Linear steps in a row are one linear step: one convolution replaces three, with the same output
  and gradient.
- A median needs no sort: {len(network)} minima and maxima find it, and one byte a pixel is enough
  for its gradient.
""")

# %% [markdown]
# ## Exercises
#
# **1** (easy) Which colour and frequency is channel 157? Set `answer_1` to a tuple such as `("Y", 0, 0)`.

# %%
answer_1 = None

if answer_1 is None:
    print("1: not solved yet")
else:
    one = torch.zeros(1, 192, 1, 1)
    one[0, COLOURS.index(answer_1[0]) * 64 + answer_1[1] * 8 + answer_1[2]] = 1
    print("1: ✓" if one[0, 157] == 1 else "1: ✗ divide 157 by 64, then the rest by 8")

# %% [markdown]
# **2** (easy) Which `weight_2` (1, 192) adds up all waves of brightness *but* (0,0)? The map that it makes knows nothing of
# how bright a place is.

# %%
weight_2 = None

if weight_2 is None:
    print("2: not solved yet")
else:
    expected = maps[:1, 1:64].sum(1, keepdim=True)
    close = torch.allclose(ops.frequency_stem(real[None], weight_2), expected, atol=1e-3)
    print("2: ✓" if close else "2: ✗ ones for channels 1 .. 63, zeros elsewhere")

# %% [markdown]
# **3** (medium) Undo the sliding DCT. From `maps[0]` (the real face), rebuild the Y patch whose window lies at row 10,
# column 20 of the map. Set `patch_3` (8, 8).

# %%
patch_3 = None

if patch_3 is None:
    print("3: not solved yet")
else:
    padded = F.pad(real[None], (3,) * 4, mode="reflect")[0]
    expected = torch.einsum("k,kyx->yx", matrix[0], padded)[20:28, 40:48]
    close = torch.allclose(patch_3, expected, atol=1e-4)
    print("3: ✓" if close else "3: ✗ the two transposes, as in section 2")


# %% [markdown]
# **4** (hard) Write the network that finds the median of *five* values with `torch.minimum` and `torch.maximum` alone.
# (Hint: of two pairs, neither the smaller of the minima nor the larger of the maxima can be the median.) The check needs
# only zeros and ones: a network that is right for all of these is right for all numbers.

# %%
def median_5(a, b, c, d, e):
    return None


zeros_and_ones = torch.tensor(list(itertools.product((0.0, 1.0), repeat=5)))  # (32, 5)
found = median_5(*zeros_and_ones.unbind(1))
if found is None:
    print("4: not solved yet")
else:
    right = torch.equal(found, zeros_and_ones.median(1).values)
    print("4: ✓" if right else "4: ✗ try it on 0, 0, 1, 1, 1 by hand")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. 157 = 2 · 64 + 29 and 29 = 3 · 8 + 5: `answer_1 = ("Cr", 3, 5)`.
# 2. `weight_2 = torch.zeros(1, 192); weight_2[0, 1:64] = 1`.
# 3. `d = maps[0, :64, 10, 20].reshape(8, 8); patch_3 = waves.T @ d @ waves`.
# 4. `low = torch.maximum(torch.minimum(a, b), torch.minimum(c, d)); high = torch.minimum(torch.maximum(a, b), torch.maximum(c, d))`;
#    the median of `low`, `high` and `e` is `torch.maximum(torch.minimum(low, high), torch.minimum(torch.maximum(low, high), e))`.
#
# </details>
#
# Previous: [04 results](04_beyond_the_spectrum_results.ipynb) ·
# Next: [06 progressive enhancement](06_progressive_enhancement.ipynb)
