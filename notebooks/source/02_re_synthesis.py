# %% [markdown]
# # 02 · Re-synthesis: what can be explained about a real face?
#
# Many detectors learn the fingerprints that a generator leaves in the frequencies, and fail when the next generator
# leaves others. *Beyond the Spectrum* asks another question: take the details of a picture away, let a network that has
# only ever seen **real** faces paint them in again, and look at what it got wrong.
#
# **After this notebook you can**
# - shrink a picture so that exactly 15 of 16 numbers are gone, and say which;
# - build the network that enlarges it again (RDN), and read its size off its equations;
# - compute the loss it learns from, in pixels (Eq. 1) and at five perceptual stages (Eq. 3), by hand;
# - train the variants SR+C and SR+D, which must restore colour or remove noise as well;
# - show the residual: what is left of a photograph and of a fake when the network has explained what it can.
#
# **You need**: what a convolution and an L1 loss are. **Hardware**: any CPU; the minutes are in the table of
# [README.md](../README.md). **Paper**: *Beyond the Spectrum* (He et al., IJCAI 2021), sections 3.1 and 3.2, Eq. 1 and 3,
# the left half of Fig. 2.
#
# Previous: [01 real and forged faces](01_real_and_forged_faces.ipynb) ·
# Next: [03 residual detectors](03_residual_detectors.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
import torch.nn.functional as F

from lib import figures
from lib.bts import degradations, re_synthesis, sets
from lib.bts.perceptual import Perceptual, re_synthesis_loss
from lib.bts.re_synthesizer import RDN, ResidualDenseBlock, box_mean, rdn_options
from lib.data import layouts
from lib.data.items import FaceImages
from lib.evaluation import report
from lib.params import load
from lib.training.device import seed_everything

params = load(scale)
settings = params.re_synthesizer
figures.style()
seed_everything(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=120)
print(f"scale {params.scale}: images of {params.data.generated.root}, {settings.size} px")

# %% [markdown]
# ## 1 The pictures
#
# Photographs, and faces that a generator drew. No person of the training photographs is in the test photographs.

# %%
table = layouts.images(params.data.generated, params.seed, settings.limit)
table.groupby(["method", "split"]).size().unstack()[["train", "val", "test"]]

# %%
test = sets.rows(table, "test")
shown = test.groupby("method", sort=False).head(3).reset_index(drop=True)
pictures = torch.stack([item["rgb"] for item in FaceImages(shown, settings.size)])
kinds = [f"{'fake' if row.label else 'real'}: {row.method}" for row in shown.itertuples()]
figures.show_grid(pictures, kinds, columns=3, side=2.2)
plt.show()

# %% [markdown]
# ## 2 Take the details away
#
# $X_\downarrow$ is the picture at a quarter of its side. Each of its pixels is the mean of a box of 4×4:
#
# $$X_\downarrow[i, j] = \frac{1}{16}\sum_{a=0}^{3}\sum_{b=0}^{3} X[4i+a,\; 4j+b]$$
#
# One line of 4×8 pixels, two boxes, by hand:

# %%
#NBVAL_CHECK_OUTPUT
tiny = torch.arange(32.0).reshape(1, 1, 4, 8)
by_hand = torch.stack([tiny[..., 4 * j : 4 * j + 4].sum() / 16 for j in range(2)])
print(tiny[0, 0].int())
print("means of the two boxes:", by_hand.tolist())
print("✓ box_mean agrees" if torch.equal(box_mean(tiny).flatten(), by_hand) else "✗ box_mean differs")

# %% [markdown]
# Sixteen numbers became one. Whatever you do *inside* a box, as long as its mean stays, $X_\downarrow$ does not notice.
# Here every box of a photograph is turned upside down:

# %%
photograph = pictures[:1]
boxes = F.pixel_unshuffle(photograph, 4).unflatten(1, (3, 16))  # (1, colour, place in the box, box, box)
turned = F.pixel_shuffle(boxes.flip(2).flatten(1, 2), 4)
same = torch.allclose(box_mean(photograph), box_mean(turned), atol=1e-6)
print("✓ both have the same X_down" if same else "✗ X_down differs")
small = F.interpolate(box_mean(photograph), scale_factor=4)
figures.show_grid([photograph[0], turned[0], small[0]], ["X", "each box turned", "X_down of both"], side=2.4)
plt.show()

# %% [markdown]
# ## 3 Paint the details in: RDN
#
# $\Phi$ has to guess them. It is a *residual dense network*. Its brick is the dense layer: a 3×3 convolution, a ReLU,
# and the output is **appended** to the input, so later layers see everything that earlier ones found:
#
# $$x_{k+1} = [\,x_k,\; \max(0, W_k * x_k + b_k)\,], \qquad \text{block}(x) = x + W_{1\times1} * x_C$$
#
# A block that is small enough to print: 2 channels, 2 layers that add 1 channel each.

# %%
block = ResidualDenseBlock(num_features=2, growth_rate=1, num_layers=2)
x = torch.rand(1, 2, 1, 3)
first, second = (layer.conv for layer in block.layers)
x1 = torch.cat([x, F.conv2d(x, first.weight, first.bias, padding=1).clamp(min=0)], 1)  # (1, 3, 1, 3)
x2 = torch.cat([x1, F.conv2d(x1, second.weight, second.bias, padding=1).clamp(min=0)], 1)  # (1, 4, 1, 3)
by_hand = x + F.conv2d(x2, block.lff.weight, block.lff.bias)
print("channels grow:", [t.shape[1] for t in (x, x1, x2)], "and come back to", by_hand.shape[1])
print(by_hand[0])

# %%
#NBVAL_CHECK_OUTPUT
agree = torch.allclose(block(x), by_hand, atol=1e-6)
print("✓ ResidualDenseBlock agrees" if agree else "✗ ResidualDenseBlock differs")

# %% [markdown]
# The picture grows at the end, by *pixel shuffle*: four channels of one pixel become one channel of 2×2 pixels.

# %%
#NBVAL_CHECK_OUTPUT
channels = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
print(F.pixel_shuffle(channels, 2)[0, 0].int())

# %% [markdown]
# The whole network: two shallow convolutions, the blocks, a fusion of the outputs of **all** blocks, two doublings, and a
# last convolution to RGB. With the released numbers, and with ours:

# %%
#NBVAL_CHECK_OUTPUT
with torch.device("meta"):  # shapes without memory
    released = RDN(num_features=64, growth_rate=64, num_blocks=16, num_layers=8, factor=4)
for name, part in released.named_children():
    print(f"{name:8} {sum(p.numel() for p in part.parameters()):>12,}")
print(f"{'all':8} {sum(p.numel() for p in released.parameters()):>12,} parameters in {len(released.state_dict())} tensors")

# %% [markdown]
# With random weights such a network shows noise, and its first epochs go into finding out that the large picture looks
# like the small one. A day on a GPU hides that; minutes do not. So ours starts with three of its channels set to carry
# the colours through, so that it repeats each pixel. Names, shapes and number of the weights stay the same.

# %%
untrained = RDN(**rdn_options(settings))
with torch.inference_mode():
    noise = untrained.re_synthesize(photograph)[0]
    start = untrained.start_as_repetition().re_synthesize(photograph)[0]
print(f"at this scale: {sum(p.numel() for p in untrained.parameters()):,} parameters")
print("X_down", tuple(box_mean(photograph).shape), "-> Phi(X_down)", (1, *start.shape))
figures.show_grid([photograph[0], noise, start], ["X", "random weights", "our start"], side=2.4)
plt.show()

# %% [markdown]
# ## 4 What it learns from
#
# The first loss is the mean absolute difference, over photographs only:
#
# $$L = \lVert X - \Phi(\Omega(X_\downarrow)) \rVert_1 \tag{1}$$
#
# $\Omega$ may damage $X_\downarrow$ on the way (section 6). At first it does nothing: the model the paper calls SR.

# %%
#NBVAL_CHECK_OUTPUT
X, guess = torch.tensor([0.2, 0.5, 0.9]), torch.tensor([0.3, 0.5, 0.5])
print("differences", [f"{d:.1f}" for d in (X - guess).abs().tolist()], f"mean {(X - guess).abs().mean():.4f}")
print("✓ F.l1_loss agrees" if torch.isclose(F.l1_loss(guess, X), (X - guess).abs().mean()) else "✗ it differs")

# %% [markdown]
# With this loss alone the best guess is a blurred one. So the paper also compares what a frozen ImageNet network
# $\Theta$ sees, at five stages:
#
# $$L = \alpha_0 \lVert X-\Phi(X_\downarrow)\rVert_1 + \sum_{i=1}^{5}\alpha_i \lVert \Theta_i(X)-\Theta_i(\Phi(X_\downarrow))\rVert_1,
# \qquad \alpha = \left[1, \tfrac1{32}, \tfrac1{16}, \tfrac18, \tfrac14, 1\right] \tag{3}$$
#
# The paper's $\Theta$ is VGG-19, read at relu1_1 to relu5_1; `perceptual: vgg19` in params.yaml selects it. The bundled
# scale uses **EfficientNet-Lite0** instead, because its ImageNet weights come with the project and need no network. Its
# features are large numbers, so each stage is divided by its usual spread, or the pixels would not count. All that changes
# the numbers, not the method.

# %%
perceptual = Perceptual(settings.perceptual)
stages = perceptual(photograph)
pd.DataFrame(
    [(i, x.shape[1], x.shape[2], f"1/{settings.size // x.shape[2]}") for i, x in enumerate(stages, start=1)],
    columns=["stage", "channels", "pixels a side", "of the picture"],
).style.hide()

# %%
with torch.no_grad():
    output = untrained.re_synthesize(photograph)  # not trained yet: our start
    pairs = [(photograph, output), *zip(stages, perceptual(output), strict=True)]
    terms = [a * (x - y).abs().mean().item() for a, (x, y) in zip(settings.stage_weights, pairs, strict=True)]
    module = re_synthesis_loss(perceptual, photograph, output, settings.stage_weights)["loss"].item()
print("six weighted terms:", [f"{term:.3f}" for term in terms])
print(f"sum by hand {sum(terms):.4f}, the module {module:.4f}:", "✓ agree" if np.isclose(sum(terms), module) else "✗ differ")

# %% [markdown]
# ## 5 Training, on photographs only
#
# One random patch of each training photograph an epoch, mirrored, flipped and turned by chance. No fake is ever shown.
# First Eq. 1 alone: its steps are cheap and may be large. Then Eq. 3, in small steps. (The paper has the time to use
# Eq. 3 from the start.) If these weights have been trained before, the next cell only loads them.

# %%
re_synthesizer, history = re_synthesis.train(settings, table, "SR", params.seed)
re_synthesizer = re_synthesizer.cpu()
history.groupby("equation").tail(1)[["epoch", "equation", "val_pixel", "val_stages"]].style.format(precision=4).hide()

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2))
for ax, (column, what) in zip(axes, {"val_pixel": "Pixels", "val_stages": "Perceptual stages"}.items(), strict=True):
    for (equation, part), marker in zip(history.groupby("equation"), figures.MARKERS, strict=False):
        ax.plot(part["epoch"], part[column], marker=marker, label=f"learning from {equation}")
    change = history[column].iloc[-1] / history[column].iloc[0] - 1
    ax.set(xlabel="epoch", ylabel="weighted error", title=f"{what}: {change:+.0%}")
fig.suptitle("Error on photographs of other people")
axes[0].legend()
figures.save(fig, "bts_re_synthesizer_loss")
plt.show()


# %% [markdown]
# The two equations want different things: fewer wrong pixels, or a picture in which $\Theta$ sees the same.
#
# ## 6 Harder homework: SR+C and SR+D
#
# The paper trains two more re-synthesizers, whose $\Omega$ in Eq. 1 damages $X_\downarrow$ in half of the pictures, so
# that $\Phi$ must know faces better still:
#
# $$\Omega_C(x)_p = \begin{cases}\tfrac13\sum_c x_{p,c} & p \in G,\; |G| = 10 \ldots 25\,\% \\ x_p & \text{else}\end{cases}
# \qquad \Omega_D(x) = x + \epsilon,\; \epsilon \sim \mathcal N\!\left(0, (4/255)^2\right)$$
#
# C: some pixels lose their colour, and $\Phi$ has to find it again. D: noise, which $\Phi$ has to take away. Twelve pixels:

# %%
def damaged(task, low_res):
    """The first of a hundred draws in which Omega changes this picture."""
    draws = (degradations.TASKS[task](low_res, torch.Generator().manual_seed(seed)) for seed in range(100))
    return next((x for x in draws if (x != low_res).any()), low_res)


# %%
#NBVAL_CHECK_OUTPUT
coloured = torch.tensor([0.9, 0.3, 0.0])[None, :, None, None].expand(1, 3, 3, 4)  # (1, colour, 3, 4)
changed = damaged("C", coloured)[0]
grey = (changed != coloured[0]).any(0)
print(grey.int())
print("grey by hand", f"{(0.9 + 0.3 + 0.0) / 3:.2f}", "- by the module", [f"{x:.2f}" for x in changed[:, grey][:, 0].tolist()])

# %%
small = [box_mean(photograph), *(damaged(task, box_mean(photograph)) for task in "CD")]
has_colour = (photograph != photograph[:, :1]).any()
print("the photograph has", "colour" if has_colour else "no colour: Omega_C changes nothing here, and SR+C becomes SR")
large = [F.interpolate(x, scale_factor=4)[0] for x in small]
figures.show_grid(large, ["X_down", "Omega_C(X_down)", "Omega_D(X_down)"], side=2.4)
plt.show()

# %% [markdown]
# Trained like the first, with the same patches in the same order. How well does each put together what is left of a test
# photograph, when $X_\downarrow$ is clean (as it is for the detectors) and when it is noisy?

# %%
more = {name: re_synthesis.train(settings, table, name, params.seed)[0].cpu() for name in ("SR+C", "SR+D")}
phis = {"SR": re_synthesizer, **more}


def psnr(guess, truth):
    return -10 * (guess.clamp(0, 1) - truth).square().mean((1, 2, 3)).log10()


# %%
photographs = FaceImages(sets.rows(table, "test", 0).head(24), settings.size)
real = torch.stack([photographs[i]["rgb"] for i in range(len(photographs))])
with torch.inference_mode():
    noisy = box_mean(real) + degradations.DEVIATION * torch.randn(box_mean(real).shape)
    restored = {name: {"clean": psnr(phi(box_mean(real)), real), "noisy": psnr(phi(noisy), real)} for name, phi in phis.items()}
restored = pd.DataFrame({name: {kind: values.mean().item() for kind, values in row.items()} for name, row in restored.items()}).T
restored.style.format("{:.2f} dB")

# %%
cost, gain = (restored.loc["SR+D"] - restored.loc["SR"])[["clean", "noisy"]]
print(f"SR+D has {gain:+.2f} dB against SR where X_down is noisy, and {cost:+.2f} dB where it is clean")


# %% [markdown]
# ## 7 Better than plain enlarging?
#
# Test photographs, of people that neither $\Phi$ nor its choice of epoch has seen. PSNR counts errors in pixels, in
# decibels; more is better. The rivals know no faces: repeat each pixel, or draw smooth curves through them (bicubic).

# %%
@torch.inference_mode()
def explain(rgb):
    """What each way of enlarging makes of X_down."""
    low_res = box_mean(rgb)
    return {"repeat": F.interpolate(low_res, scale_factor=4), "bicubic": F.interpolate(low_res, scale_factor=4, mode="bicubic"),
            "Phi": re_synthesizer(low_res)}  # fmt: skip


# %%
chosen = test.groupby("method", sort=False).head(40).reset_index(drop=True)
images = FaceImages(chosen, settings.size)
parts = [torch.stack([images[i]["rgb"] for i in range(k, min(k + 8, len(images)))]) for k in range(0, len(images), 8)]
rows = [pd.DataFrame({name: psnr(guess, part) for name, guess in explain(part).items()}) for part in parts]
quality = pd.concat(rows, ignore_index=True).assign(method=chosen["method"], label=chosen["label"])
quality.groupby("method", sort=False)[["repeat", "bicubic", "Phi"]].mean().style.format("{:.2f} dB")

# %%
long = quality.melt(["method", "label"], var_name="enlarged by", value_name="PSNR (dB)")
gain = (quality["Phi"] - quality["bicubic"])[quality["label"] == 0].mean()
fig, ax = plt.subplots(figsize=(6.5, 3.2))
sns.barplot(long, x="method", y="PSNR (dB)", hue="enlarged by", ax=ax, errorbar=("ci", 95))
ax.set(xlabel="", ylim=(long["PSNR (dB)"].min() - 1, long["PSNR (dB)"].max() + 3))
ax.legend(loc="upper center", ncols=3, fontsize=9)
ax.set_title(f"On photographs, Phi has {abs(gain):.1f} dB {'more' if gain > 0 else 'less'} than bicubic")
figures.save(fig, "bts_re_synthesis_psnr")
plt.show()

# %% [markdown]
# Bars show means with 95 % intervals. Keep in mind that Eq. 3 does not ask for PSNR alone: the perceptual terms reward
# detail that *looks* right, even where it costs pixels.
#
# ## 8 What is left: the residual
#
# $$R_0 = |X-\Phi(X_\downarrow)|, \qquad R_i = |\Theta_i(X)-\Theta_i(\Phi(X_\downarrow))|$$
#
# One picture of each kind: the original, what $\Phi$ was given, what it made of it, and the residual in pixels (bright =
# not explained; one scale for all).

# %%
one_each = test.groupby("method", sort=False).head(1).reset_index(drop=True)
X = torch.stack([item["rgb"] for item in FaceImages(one_each, settings.size)])
with torch.inference_mode():
    output = re_synthesizer.re_synthesize(X)
    small, residual = F.interpolate(box_mean(X), scale_factor=4), (X - output).abs().mean(1)
brightest = residual.quantile(0.995)
cells = [cell for row in zip(X, small, output, residual / brightest, strict=True) for cell in row]
titles = [title for m in one_each["method"] for title in (m, "X_down", "Phi(X_down)", "residual")]
fig = figures.show_grid(cells, titles, columns=4, side=2, limits=(0, 1))
figures.save(fig, "bts_re_synthesis")
plt.show()

# %%
with torch.inference_mode():
    maps = [(a - b).abs().mean(1) for a, b in zip(perceptual(X), perceptual(output), strict=True)]
cells = [stage[row] / stage.max() for row in range(len(X)) for stage in (residual, *maps)]
titles = [f"{m}: {name}" for m in one_each["method"] for name in ("pixel", *(f"stage {i}" for i in range(1, 6)))]
fig = figures.show_grid(cells, titles, columns=6, side=1.7, limits=(0, 1))
figures.save(fig, "bts_residual_stages")
plt.show()


# %% [markdown]
# Each column has its own scale, the same for every row. From left to right the maps get coarser: a pixel of stage 5 has
# seen a large part of the face.
#
# ## 9 Where does it fail?
#
# Enlarging is easy where nothing happens and hard at edges. We sort the pixels by the contrast of their surroundings in
# $X_\downarrow$ and average the residual in ten groups of equal size.

# %%
def residual_by_contrast(rgb):
    low_res = box_mean(rgb).mean(1, keepdim=True)
    contrast = F.max_pool2d(low_res, 3, 1, 1) + F.max_pool2d(-low_res, 3, 1, 1)  # largest minus smallest neighbour
    left = box_mean((rgb - re_synthesizer.re_synthesize(rgb)).abs().mean(1, keepdim=True))
    return pd.DataFrame({"contrast": contrast.flatten(), "residual": left.flatten()})


with torch.inference_mode():
    frames = [residual_by_contrast(part) for part in parts]
places = pd.concat(frames, ignore_index=True)
places["method"] = np.repeat(chosen["method"], (settings.size // settings.factor) ** 2).to_numpy()
places["group"] = pd.qcut(places["contrast"].rank(method="first"), 10, labels=range(1, 11))

# %%
curve = places.groupby(["method", "group"], observed=True, sort=False)["residual"].mean().unstack(0)
curve = curve.sort_index()
fig, ax = plt.subplots(figsize=(6.5, 3.4))
for method in curve:
    ax.plot(curve.index.astype(int), curve[method], label=method)
times = (curve.loc[10] / curve.loc[1]).mean()
ax.set(xlabel="contrast of the place, from flattest (1) to strongest (10)", ylabel="mean residual, of [0, 1]")
ax.set_title(f"The residual at the strongest edges is {times:.0f} times that of flat places")
ax.legend()
figures.save(fig, "bts_residual_by_contrast")
plt.show()

# %%
means = places.groupby("method", sort=False)["residual"].mean()
real = means[chosen.loc[chosen["label"] == 0, "method"].iloc[0]]
for method, value in means.items():
    print(f"{method:12} mean residual {value:.4f}  ({value / real - 1:+.1%} against the photographs)")

# %% [markdown]
# A single mean says little, because it depends on how sharp a picture is. Whether *more* is left of a fake than of a
# photograph, as the paper found at 1024 pixels, is measured in the next notebook. What a detector needs is not more
# residual but **another** one.

# %%
by_kind = quality.groupby("method")[["bicubic", "Phi"]].mean()
report.write_metrics("re_synthesis", {
    "parameters": sum(p.numel() for p in re_synthesizer.parameters()),
    "val_loss": history["val_loss"].iloc[-1],
    "psnr_of_photographs": {"bicubic": quality[quality["label"] == 0]["bicubic"].mean(),
                            "Phi": quality[quality["label"] == 0]["Phi"].mean()},
    "psnr_by_task": restored.T.to_dict(),
    "mean_pixel_residual": means.to_dict(),
})  # fmt: skip

# %% [markdown]
# ## What we saw
#
# - A quarter of the side keeps one number of sixteen. What happens inside a box is gone, so it must be guessed.
# - RDN guesses it with dense blocks; its 302 tensors are those of the public code, so that released weights fit.
# - Eq. 1 asks for the right pixels, Eq. 3 also for what a recognition network would see.
# - The residual sits at edges: hair, eyes, mouth. The table above says how much of it photographs and fakes leave.
#
# ## Exercises
#
# **1** How many parameters has one dense layer that takes 64 channels and adds 64? Set `answer_1`.

# %%
answer_1 = None

if answer_1 is None:
    print("1: not solved yet")
else:
    layer = released.rdbs[0].layers[0].conv
    right = answer_1 == sum(p.numel() for p in layer.parameters())
    print("1: ✓" if right else "1: ✗ 9 weights for each pair of channels, and a bias for each output")

# %% [markdown]
# **2** Change the photograph so that $\Phi(X_\downarrow)$ stays the same but the residual does not. Set `changed`,
# a tensor of the shape of `photograph`.

# %%
changed = None

if changed is None:
    print("2: not solved yet")
else:
    with torch.inference_mode():
        before, after = (re_synthesizer.re_synthesize(x) for x in (photograph, changed))
    solved = torch.allclose(before, after, atol=1e-4) and (photograph - changed).abs().max() > 0.01
    print("2: ✓" if solved else "2: ✗ section 2 has one such change")

# %% [markdown]
# **3** What does the loss of Eq. 3 become if $\Phi$ is perfect, and what if it returns $X$ plus 0.1 everywhere? Set
# `pixel_term`, the first term in the second case.

# %%
pixel_term = None

if pixel_term is None:
    print("3: not solved yet")
else:
    losses = re_synthesis_loss(perceptual, photograph, photograph + 0.1, settings.stage_weights)
    print("3: ✓" if np.isclose(pixel_term, losses["pixel"].item(), atol=1e-4) else "3: ✗ the mean of |X - (X + 0.1)|")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. $64 \cdot 64 \cdot 9 + 64$: `answer_1 = 64 * 64 * 9 + 64`.
# 2. `changed = turned`: every box keeps its mean.
# 3. A perfect $\Phi$ has loss 0 at every stage. A constant shift costs `pixel_term = 0.1` (times $\alpha_0 = 1$) in the
#    first term; the other five depend on what $\Theta$ makes of a brighter picture.
#
# </details>
#
# Previous: [01 real and forged faces](01_real_and_forged_faces.ipynb) ·
# Next: [03 residual detectors](03_residual_detectors.ipynb)
