# %% [markdown]
# # 02 · Re-synthesis: what can be explained about a real face?
#
# Many detectors learn the fingerprints that a generator leaves in the frequencies, and fail when the next generator
# leaves others. *Beyond the Spectrum* asks another question: take the details of a picture away, let a network that has
# only ever seen **real** faces paint them in again, and look at what it got wrong.
#
# **After this notebook you can**
# - shrink a picture so that exactly 15 of 16 numbers are gone, and say which;
# - write the network that enlarges it again (RDN) in fifteen lines, and read its size off its equations;
# - compute the loss it learns from, in pixels (Eq. 1) and at five perceptual stages (Eq. 3), by hand;
# - train a small one, step by step, and say what the variants SR+C and SR+D learn besides;
# - show the residual: what is left of a photograph and of a fake when the network has explained what it can.
#
# **You need**: what a convolution and a gradient are. **Run alone**: after `make lab`, on any CPU; the minutes are in
# the table of [README.md](../README.md). **Paper**: *Beyond the Spectrum* (He et al., IJCAI 2021), sections 3.1 and 3.2,
# Eq. 1 and 3, the left half of Fig. 2.
#
# Previous: [01 real and forged faces](01_real_and_forged_faces.ipynb) ·
# Next: [03 residual detectors](03_residual_detectors.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display

from lib import figures, paths
from lib.bts import degradations, re_synthesis, sets
from lib.bts.patches import Patches
from lib.bts.perceptual import Perceptual, equations, re_synthesis_loss
from lib.bts.re_synthesizer import RDN, ResidualDenseBlock, box_mean, rdn_options
from lib.data import cards, layouts
from lib.data.items import FaceImages, batches
from lib.evaluation import report, resampling
from lib.params import load
from lib.training.device import device, seed_everything

params = load(scale)
settings = params.re_synthesizer
figures.style()
seed_everything(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=100)

# %% [markdown]
# ## The whole machine in one picture
#
# ![Diagram of Beyond the Spectrum. The picture X (3×128×128) is shrunk to X↓ (3×32×32) and enlarged again by the
# re-synthesizer Φ, an RDN. X and Φ(X↓) are subtracted in pixels and, behind a frozen network Θ, at five stages; this
# gives six residuals. Two classifiers, C₀ and C₅, read the pixel residual and that of stage 5. The mean of their two
# probabilities is the score.](diagrams/bts.svg)
#
# A **residual** is what remains of a picture after subtracting its explanation. Here the explanation is the
# *re-synthesis* $\Phi(X_\downarrow)$: the picture, made small, and painted large again. This notebook builds everything
# down to the row of six residuals; [notebook 03](03_residual_detectors.ipynb) adds the two classifiers.
#
# ## 1 The pictures
#
# Photographs, and faces that a generator drew. People are split into three groups: those the networks learn from
# (train), those who decide when to stop (val), and those everything is tested on (test). No person is in two groups.

# %%
def named(method):
    """The name of a source of pictures, for readers."""
    return cards.source(params.data.generated, method)


table = layouts.images(params.data.generated, params.seed, settings.limit)
display(cards.card(params.data.generated, table))
counts = table.assign(source=table["method"].map(named)).groupby(["source", "split"]).size()
counts.unstack(fill_value=0)[["train", "val", "test"]]

# %%
def pictures_of(rows):
    """The pictures of some rows, (N, 3, H, W) in [0, 1], on the device that computes."""
    return torch.stack([item["rgb"] for item in FaceImages(rows, settings.size)]).to(device())


test = sets.rows(table, "test")
shown = test.groupby("method", sort=False).head(3).reset_index(drop=True)
pictures = pictures_of(shown)
kinds = [f"{'fake' if row.label else 'real'}: {named(row.method)}" for row in shown.itertuples()]
fig = figures.show_grid(pictures, kinds, columns=3, side=2.2)
figures.show(fig, alt=f"Test pictures, three of each source: {', '.join(dict.fromkeys(kinds))}.")

# %% tags=["hide-input"]
grey = bool((pictures == pictures[:, :1]).all())
Markdown(
    "These pictures are **grey**: red, green and blue are equal. The networks read three channels "
    "all the same. But what the paper does with colour (SR+C, section 7) cannot be tested on them."
    if grey else "These pictures have colour, as the paper's have."
)

# %% [markdown]
# ## 2 Take the details away
#
# $X_\downarrow$ is the picture at a quarter of its side. Each of its pixels is the mean of a box of 4×4:
#
# $$X_\downarrow[i, j] = \frac{1}{16}\sum_{a=0}^{3}\sum_{b=0}^{3} X[4i+a,\; 4j+b]$$
#
# Four rows of eight pixels are two boxes. By hand:

# %% tags=["nbval-check-output"]
tiny = torch.arange(32.0).reshape(1, 1, 4, 8)
by_hand = torch.stack([tiny[..., 4 * j : 4 * j + 4].sum() / 16 for j in range(2)])
print(tiny[0, 0].int())
print("means of the two boxes:", by_hand.tolist())
agree = torch.equal(box_mean(tiny).flatten(), by_hand)
print("✓ box_mean agrees" if agree else "✗ box_mean differs")

# %% [markdown]
# Sixteen numbers became one. Whatever you do *inside* a box, as long as its mean stays, $X_\downarrow$ does not notice.
# Here every box of a photograph is turned upside down:

# %%
photograph = pictures[:1]
boxes = F.pixel_unshuffle(photograph, 4).unflatten(1, (3, 16))  # (1, 3, place in box, h, w)
turned = F.pixel_shuffle(boxes.flip(2).flatten(1, 2), 4)
same = torch.allclose(box_mean(photograph), box_mean(turned), atol=1e-6)
print("✓ both have the same X↓" if same else "✗ X↓ differs")
small = F.interpolate(box_mean(photograph), scale_factor=4)
cells = [photograph[0], turned[0], small[0]]
fig = figures.show_grid(cells, ["X", "each box turned", "X↓ of both"], side=2.4)
figures.show(fig, alt="A photograph; the same with each box of 4×4 pixels turned, which looks "
             "broken; their common small picture, a coarse face.")

# %% [markdown]
# ## 3 Paint the details in: RDN
#
# $\Phi$ has to guess them. It is a *residual dense network*. Its brick is the **dense layer**: a 3×3 convolution, a ReLU
# (negative numbers become zero), and the output is **appended** to the input, so that later layers see everything that
# earlier ones found. A block of $C$ such layers ends with a 1×1 convolution and adds its input again:
#
# $$x_{k+1} = [\,x_k,\; \max(0, W_k * x_k + b_k)\,], \qquad \text{block}(x) = x + W_{1\times1} * x_C$$
#
# A block that is small enough to print: 2 channels, 2 layers that add 1 channel each.

# %%
block = ResidualDenseBlock(num_features=2, growth_rate=1, num_layers=2)
x = torch.rand(1, 2, 1, 3)
first, second = (layer.conv for layer in block.layers)
new = F.conv2d(x, first.weight, first.bias, padding=1).clamp(min=0)
x1 = torch.cat([x, new], 1)  # (1, 3, 1, 3)
new = F.conv2d(x1, second.weight, second.bias, padding=1).clamp(min=0)
x2 = torch.cat([x1, new], 1)  # (1, 4, 1, 3)
by_hand = x + F.conv2d(x2, block.lff.weight, block.lff.bias)
print("channels grow:", [t.shape[1] for t in (x, x1, x2)], "and come back to", by_hand.shape[1])
print(by_hand[0].detach())

# %% tags=["nbval-check-output"]
agree = torch.allclose(block(x), by_hand, atol=1e-6)
print("✓ ResidualDenseBlock agrees" if agree else "✗ ResidualDenseBlock differs")

# %% [markdown]
# The picture grows at the end, by *pixel shuffle*: four channels of one pixel become one channel of 2×2 pixels.

# %% tags=["nbval-check-output"]
channels = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
print(F.pixel_shuffle(channels, 2)[0, 0].int())

# %% [markdown]
# ### The whole network in fifteen lines
#
# Two shallow convolutions, the blocks, a fusion of the outputs of **all** blocks, two doublings, and a last convolution
# to RGB. `forward` below is all of it. It borrows nothing but the weights from `lib`:

# %%
untrained = RDN(**rdn_options(settings))
weights = untrained.state_dict()


def conv(x, name):
    """The convolution called `name`: 3×3 with one pixel of zeros around the picture, or 1×1."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


# %%
def forward(low_res):  # (1, 3, h, w)
    shallow = conv(low_res, "sfe1")  # (1, channels, h, w)
    x, outputs = conv(shallow, "sfe2"), []
    for block in range(settings.num_blocks):
        dense = x
        for layer in range(settings.num_layers):
            new = conv(dense, f"rdbs.{block}.layers.{layer}.conv").relu()
            dense = torch.cat([dense, new], 1)  # grows with every layer
        x = x + conv(dense, f"rdbs.{block}.lff")  # back to the width of x
        outputs.append(x)
    fused = conv(torch.cat(outputs, 1), "gff.0")  # all blocks at once
    x = shallow + conv(fused, "gff.1")
    for step in range(0, settings.factor, 2):
        x = F.pixel_shuffle(conv(x, f"upscale.{step}"), 2)  # (1, channels, 2h, 2w)
    return conv(x, "output")  # (1, 3, 4h, 4w)


# %% tags=["nbval-check-output"]
low_res = torch.rand(1, 3, 8, 8)
with torch.no_grad():
    agree = torch.allclose(forward(low_res), untrained(low_res), atol=1e-5)
print(tuple(low_res.shape), "->", tuple(forward(low_res).shape))
print("✓ the fifteen lines are RDN" if agree else "✗ they differ from RDN")

# %% [markdown]
# With the sizes of the released code, part by part:

# %% tags=["nbval-check-output"]
with torch.device("meta"):  # shapes without memory
    released = RDN(num_features=64, growth_rate=64, num_blocks=16, num_layers=8, factor=4)
for name, part in released.named_children():
    print(f"{name:8} {sum(p.numel() for p in part.parameters()):>12,}")
total = sum(p.numel() for p in released.parameters())
print(f"{'all':8} {total:>12,} parameters in {len(released.state_dict())} tensors")

# %% [markdown]
# With random weights such a network shows no face at all, and its first epochs (an **epoch** is one round through all
# training photographs) go into finding out that the large picture looks like the small one. A day on a GPU hides that; minutes do
# not. So ours starts with three of its channels set to carry the colours through: it repeats each pixel. Names, shapes
# and number of the weights stay the same.

# %%
untrained = untrained.to(device())
with torch.inference_mode():
    noise = untrained.re_synthesize(photograph)[0]
    start = untrained.start_as_repetition().re_synthesize(photograph)[0]
print(f"at this scale: {sum(p.numel() for p in untrained.parameters()):,} parameters")
print("X↓", tuple(box_mean(photograph).shape), "-> Φ(X↓)", (1, *start.shape))
titles = ["X", "random weights", "our start"]
fig = figures.show_grid([photograph[0], noise, start], titles, side=2.4)
figures.show(fig, alt="A photograph; what random weights make of its small picture, no face; "
             "what our start makes of it, the same face in squares.")

# %% [markdown]
# ## 4 What it learns from
#
# The first loss is the mean absolute difference (also called L1), over photographs only:
#
# $$L = \lVert X - \Phi(\Omega(X_\downarrow)) \rVert_1 \tag{1}$$
#
# $\Omega$ may damage $X_\downarrow$ on the way (section 7). At first it does nothing: the model the paper calls **SR**.

# %% tags=["nbval-check-output"]
X, guess = torch.tensor([0.2, 0.5, 0.9]), torch.tensor([0.3, 0.5, 0.5])
mean = (X - guess).abs().mean()
print("differences", [f"{d:.1f}" for d in (X - guess).abs().tolist()], f"mean {mean:.4f}")
print("✓ F.l1_loss agrees" if torch.isclose(F.l1_loss(guess, X), mean) else "✗ it differs")

# %% [markdown]
# With this loss alone the best guess is a blurred one: where an edge may lie here or there, the middle costs least. So
# the paper also compares what a frozen network $\Theta$, trained to recognise a thousand kinds of things (ImageNet), sees.
# The outputs of its layers are its **features**; read at five depths, they are the five perceptual **stages**:
#
# $$L = \alpha_0 \lVert X-\Phi(X_\downarrow)\rVert_1 + \sum_{i=1}^{5}\alpha_i \lVert \Theta_i(X)-\Theta_i(\Phi(X_\downarrow))\rVert_1,
# \qquad \alpha = \left[1, \tfrac1{32}, \tfrac1{16}, \tfrac18, \tfrac14, 1\right] \tag{3}$$
#
# The paper's $\Theta$ is VGG-19, read at relu1_1 to relu5_1; `perceptual: vgg19` in params.yaml selects it. The bundled
# scale uses **EfficientNet-Lite0** instead, because its ImageNet weights come with the project and need no network. Its
# features are large numbers, so each stage is divided by its usual spread, or the pixels would not count. All that changes
# the numbers, not the method.

# %%
perceptual = Perceptual(settings.perceptual).to(device())
stages = perceptual(photograph)
rows = [(i, *x.shape[1:3], f"1/{settings.size // x.shape[2]}") for i, x in enumerate(stages, 1)]
columns = ["stage", "channels", "pixels a side", "of the picture"]
pd.DataFrame(rows, columns=columns).style.hide()

# %%
drawn = (paths.NOTEBOOKS / "diagrams" / "bts.svg").read_text()
shapes = ["×".join(map(str, x.shape[1:])) for x in (photograph, box_mean(photograph), *stages)]
if settings.size in (128, 1024):
    right = all(f">{shape}<" in drawn for shape in shapes)
    print("✓ the diagram shows these shapes" if right else "✗ the diagram shows other shapes")
else:
    print(f"the diagram is drawn for 128 and 1024 pixels, these have {settings.size}")

# %%
with torch.no_grad():
    output = untrained.re_synthesize(photograph)  # not trained yet: our start
    pairs = [(photograph, output), *zip(stages, perceptual(output), strict=True)]
    alpha = settings.stage_weights
    terms = [a * (x - y).abs().mean().item() for a, (x, y) in zip(alpha, pairs, strict=True)]
    module = re_synthesis_loss(perceptual, photograph, output, alpha)["loss"].item()
print("six weighted terms:", [f"{term:.3f}" for term in terms])
print(f"sum by hand {sum(terms):.4f}, the module {module:.4f}:",
      "✓ agree" if np.isclose(sum(terms), module, rtol=1e-4) else "✗ differ")

# %% tags=["hide-input"]
largest, share = int(np.argmax(terms)), np.array(terms) / sum(terms)
name = f"stage {largest}" if largest else "the pixels"
asks = "a picture in which Θ sees the same" if share[0] < 0.5 else "the right pixels"
Markdown(f"The largest term is that of {name}, {share[largest]:.0%} of the loss; the pixels make "
         f"{share[0]:.0%}. So Eq. 3 asks above all for {asks}.")

# %% [markdown]
# ## 5 Learning, step by step
#
# Before the real training, a small one that you can watch: a very small $\Phi$, twelve patches of photographs, Eq. 1.
# A **patch** is a square cut out of a photograph, mirrored, flipped and turned by chance. In each step the loss is
# computed, its gradient says for each weight whether more or less of it would help, and all weights move a little.

# %%
def patches_of(split, side=48):
    """Twelve patches of photographs of one split, spread over its people: (12, 3, side, side)."""
    rows = sets.spread(sets.rows(table, split, 0), 12)
    patches = Patches(FaceImages(rows, settings.size), rows, side, params.seed)
    return torch.stack([patches[index]["rgb"] for index in range(len(patches))])


seen, unseen = patches_of("train"), patches_of("val")
names = [f"{kind} {i}" for kind in ("learn", "other") for i in range(1, 7)]
fig = figures.show_grid([*seen[:6], *unseen[:6]], names, columns=6, side=1.3)
figures.show(fig, alt="Six patches of faces to learn from, and six patches of other people.")

# %%
def learn(loss, steps=80):
    """Train a very small Φ on `seen`: the network, and its losses on `seen` and `unseen`."""
    torch.manual_seed(params.seed)
    phi = RDN(num_features=16, growth_rate=8, num_blocks=2, num_layers=2).start_as_repetition()
    optimizer = torch.optim.Adam(phi.parameters(), lr=0.0003)
    curve = []
    for _ in range(steps):
        value = loss(phi, {"rgb": seen})
        with torch.no_grad():
            curve.append((value.item(), loss(phi, {"rgb": unseen}).item()))
        optimizer.zero_grad()
        value.backward()  # the gradient of each weight
        optimizer.step()  # a small step against it
    return phi, np.array(curve)


# %% [markdown]
# The loss is one line, Eq. 1. The check runs the same loop with the loss that `lib` trains with:

# %%
def equation_1(phi, batch):
    return (batch["rgb"] - phi(box_mean(batch["rgb"]))).abs().mean()


ours, curve = learn(equation_1)
theirs, same_curve = learn(equations(perceptual, degradations.identity, settings)[0])
pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
agree = np.allclose(curve, same_curve, atol=1e-5)
agree &= all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)
print(f"✓ lib: the same {len(curve)} losses and weights" if agree else "✗ lib's loss differs")

# %%
gains = curve[-1] / curve[0] - 1
fig, ax = plt.subplots(figsize=(6.5, 3.2))
labels = [f"patches it learns from: {gains[0]:+.0%}", f"patches of other people: {gains[1]:+.0%}"]
for values, label in zip(curve.T, labels, strict=True):
    ax.plot(values, marker="", label=label)
ax.set(xlabel="step", ylabel="Eq. 1: mean |X − Φ(X↓)|", ylim=(0, None))
ax.set_title(f"{len(curve)} steps change the error on other people by {gains[1]:+.0%}")
ax.legend()
figures.show(fig, alt=f"Two loss curves over {len(curve)} steps. {'; '.join(labels)}.")

# %% [markdown]
# It starts as "repeat each pixel", so it starts well, and the rest is edges.

# %% tags=["hide-input"]
jump = "" if curve[1, 0] <= curve[0, 0] else (
    "The second point lies above the first: Adam's first step moves every weight by the same "
    "amount, before it knows which ones matter. That is too far, and the next steps mend it. ")
holds = "also holds for" if gains[1] < 0 else "does not hold for"
Markdown(f"{jump}What it learns on these patches {holds} people it has not seen ({gains[1]:+.0%}, "
         f"on its own patches {gains[0]:+.0%}): how edges look, more than who somebody is.")

# %% [markdown]
# ## 6 The real training, on photographs only
#
# The real training runs the same loop for longer: all training photographs, a new random patch of each in every epoch, no
# fake ever. First Eq. 1 alone: its steps are cheap and may be large. Then Eq. 3, in small steps. (The paper has the time
# to use Eq. 3 from the start.)
#
# **Train it yourself: about a quarter of an hour on two cores.** Remove the folder `checkpoints/re_synthesizer` and run
# `python -m lib.bts.re_synthesis`. The next cell trains nothing. It reads the weights that this command has left.

# %%
phis = {name: re_synthesis.load(name).to(device()) for name in re_synthesis.NAMES}
re_synthesizer = phis["SR"]
size_of_ours = sum(p.numel() for p in re_synthesizer.parameters())
print(f"read: {', '.join(phis)}, {size_of_ours:,} parameters each")

# %%
def history(name):
    """The errors of each epoch, on photographs of the validation people; Eq. 1 comes first."""
    parts = {"Eq. 3": name}
    if settings.pixel_epochs and not settings.weights:
        parts = {"Eq. 1": f"{name}_pixel", **parts}
    folder = paths.HISTORY / "re_synthesizer"
    read = [pd.read_csv(folder / f"{file}.csv").assign(equation=eq) for eq, file in parts.items()]
    joined = pd.concat(read, ignore_index=True)
    return joined.assign(epoch=joined.index + 1)


past = history("SR")
columns = ["epoch", "equation", "val_pixel", "val_stages"]
past.groupby("equation").tail(1)[columns].style.format(precision=4).hide()

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2))
changes = {}
for ax, what in zip(axes, ("pixel", "stages"), strict=True):
    error = past[f"val_{what}"]
    for (equation, part), marker in zip(past.groupby("equation"), figures.MARKERS, strict=False):
        ax.plot(part["epoch"], error[part.index], marker=marker, label=f"learning from {equation}")
    changes[what] = error.iloc[-1] / error.iloc[0] - 1
    ax.set(xlabel="epoch", ylabel=f"weighted error, {what}", ylim=(0, 1.1 * error.max()))
    ax.set_title(f"{what}: {changes[what]:+.0%} since epoch 1")
fig.suptitle("Error on photographs of other people")
axes[0].legend(loc="lower right")
alt = ", ".join(f"{what} {change:+.0%}" for what, change in changes.items())
figures.show(fig, alt=f"Error by epoch; {alt}.", name="bts_re_synthesizer_loss")

# %% tags=["hide-input"]
ends = past.groupby("equation")[["val_pixel", "val_stages"]].last()
both = settings.pixel_epochs > 0 and len(ends) == 2
price = ends.loc["Eq. 3"] / ends.loc["Eq. 1"] - 1 if both else {"val_pixel": 0, "val_stages": 0}
turn = (f"The Eq. 3 part changed the error in pixels by {price['val_pixel']:+.1%} and that of the "
        f"stages by {price['val_stages']:+.1%}.") if both else "Eq. 3 was used all the way."
if price["val_pixel"] > 0 > price["val_stages"]:
    turn += " It pays in pixels for what Θ sees."
said = turn
if both and past[past["equation"] == "Eq. 3"]["val_stages"].iloc[0] > ends["val_stages"]["Eq. 1"]:
    said += (" Its first epoch is worse even in what it asks for: a new optimiser starts there, "
             "which knows nothing of the steps before.")
Markdown(f"{said} The two equations want different things: fewer wrong pixels, or a picture in "
         "which Θ sees the same.")

# %% [markdown]
# ## 7 Harder homework: SR+C and SR+D
#
# The paper trains two more re-synthesizers, whose $\Omega$ in Eq. 1 damages $X_\downarrow$ in half of the pictures, so
# that $\Phi$ must know faces better still:
#
# $$\Omega_C(x)_p = \begin{cases}\tfrac13\sum_c x_{p,c} & p \in G,\; |G| = 10 \ldots 25\,\% \\ x_p & \text{else}\end{cases}
# \qquad \Omega_D(x) = x + \epsilon,\; \epsilon \sim \mathcal N\!\left(0, (4/255)^2\right)$$
#
# C: some pixels lose their colour, and $\Phi$ has to find it again. D: noise, which $\Phi$ has to take away. Twelve
# pixels of one colour:

# %%
def damaged(task, low_res):
    """The first of a hundred draws in which Ω changes this picture; the picture, if none does."""
    draw = lambda seed: degradations.TASKS[task](low_res, torch.Generator().manual_seed(seed))
    return next((x for x in map(draw, range(100)) if (x != low_res).any()), low_res)


# %% tags=["nbval-check-output"]
coloured = torch.tensor([0.9, 0.3, 0.0]).view(1, 3, 1, 1).expand(1, 3, 3, 4)
changed = damaged("C", coloured)[0]
greyed = (changed != coloured[0]).any(0)
print(greyed.int())
print("grey by hand", f"{(0.9 + 0.3 + 0.0) / 3:.2f}",
      "- by the module", [f"{x:.2f}" for x in changed[:, greyed][:, 0].tolist()])

# %%
low_res = box_mean(photograph)
versions = [low_res, *(damaged(task, low_res) for task in "CD")]
moved = [(x - low_res).abs().max().item() for x in versions]
large = [F.interpolate(x, scale_factor=4)[0] for x in versions]
fig = figures.show_grid(large, ["X↓", "Ω_C(X↓)", "Ω_D(X↓)"], side=2.4)
changes = f"largest change of a pixel: greying {moved[1]:.3f}, noise {moved[2]:.3f}"
figures.show(fig, alt=f"A small photograph, the same greyed, and the same with noise; {changes}.")
print(changes)

# %% [markdown]
# The noise has colours even on a grey photograph, because each of the three channels gets its own.

# %% tags=["hide-input"]
Markdown(
    "**SR+C cannot be tested on grey pictures.** A pixel without colour has none to lose: Ω_C "
    "changes nothing, so SR+C is SR, trained a second time. Wherever SR+C appears in these "
    "notebooks, what sets it apart from SR is the luck of a training."
    if grey else "Greying changes these pictures, so SR+C has something to learn."
)

# %% [markdown]
# All three were trained with the same patches in the same order. How well does each put a test photograph together
# again, when $X_\downarrow$ is clean (as it is for the detectors) and when it is noisy? The usual measure is the **PSNR**
# (peak signal-to-noise ratio), in decibels; more is better, and halving the error adds 6 dB:
#
# $$\mathrm{PSNR} = 10 \log_{10}\frac{1}{\text{mean}\,(X - \Phi(X_\downarrow))^2}$$

# %% tags=["nbval-check-output"]
def psnr(guess, truth):
    """PSNR of each picture of (N, 3, H, W), in dB."""
    return -10 * (guess.clamp(0, 1) - truth).square().mean((1, 2, 3)).log10()


level = torch.full((1, 3, 4, 4), 0.5)
for error in (0.1, 0.05):
    print(f"wrong by {error} everywhere: {psnr(level + error, level).item():.2f} dB")

# %%
rows = sets.rows(table, "test", 0).head(24)
generator, found = torch.Generator().manual_seed(params.seed), []
for batch in batches(FaceImages(rows, settings.size), 8):
    real = batch["rgb"].to(device())
    low_res = box_mean(real)
    noise = degradations.DEVIATION * torch.randn(low_res.shape, generator=generator).to(device())
    with torch.inference_mode():
        found += [(name, kind, value) for name, phi in phis.items()
                  for kind, x in (("clean", low_res), ("noisy", low_res + noise))
                  for value in psnr(phi(x), real).tolist()]
per_picture = pd.DataFrame(found, columns=["Φ", "X↓", "PSNR"])
restored = per_picture.groupby(["Φ", "X↓"], sort=False)["PSNR"].mean().unstack()
restored.style.format("{:.2f} dB")

# %%
def over_people(values, rows):
    """The mean of one value a picture, and its 95 % interval over the people: (mean, low, high)."""
    values = np.asarray(values, float)
    mean = lambda weights: weights @ values / weights.sum(1)
    return values.mean(), *resampling.interval(rows["identity"], mean)


def in_words(mean, low, high):
    within = f"95 % interval [{low:+.2f}, {high:+.2f}]" if low == low else "one person, no interval"
    return f"{mean:+.2f} dB ({within})"


of = {key: part["PSNR"].to_numpy() for key, part in per_picture.groupby(["Φ", "X↓"])}
against_sr = {}
for kind in ("clean", "noisy"):
    against_sr[kind] = over_people(of["SR+D", kind] - of["SR", kind], rows)
    print(f"SR+D against SR, {kind} X↓: {in_words(*against_sr[kind])}")

# %% tags=["hide-input"]
said = (f"{len(rows)} photographs of {rows['identity'].nunique()} people, one training of each Φ: "
        "the intervals are over the people, and say nothing about the luck of a training.")
if against_sr["noisy"][0] < 0:
    said += " SR+D is behind at the very task that it was trained for."
if both and against_sr["noisy"][0] < 0:
    end = history("SR+D").groupby("equation")["val_pixel"].last()
    said += (f" Its curves say where: its Eq. 3 part changed the error in pixels by "
             f"{end['Eq. 3'] / end['Eq. 1'] - 1:+.0%}, that of SR by {price['val_pixel']:+.0%}. "
             "Eq. 3 cares little for pixels, and a few epochs are no time to make up for that. "
             "The released code trains for hundreds; whether these mend it is not tested here.")
Markdown(said)

# %% [markdown]
# ## 8 Better than plain enlarging?
#
# Test photographs, of people that neither $\Phi$ nor its choice of epoch has seen. The rivals know no faces: repeat each
# pixel, or draw smooth curves through them (bicubic).

# %%
@torch.inference_mode()
def explain(rgb):
    """What each way of enlarging makes of X↓."""
    low_res = box_mean(rgb)
    return {"repeat": F.interpolate(low_res, scale_factor=4),
            "bicubic": F.interpolate(low_res, scale_factor=4, mode="bicubic"),
            "Phi": re_synthesizer(low_res)}


chosen = test.groupby("method", sort=False).head(40).reset_index(drop=True)
parts = [batch["rgb"].to(device()) for batch in batches(FaceImages(chosen, settings.size), 8)]
ways = [{name: psnr(guess, part).cpu() for name, guess in explain(part).items()} for part in parts]
quality = pd.concat([pd.DataFrame(way) for way in ways], ignore_index=True)
quality = quality.assign(method=chosen["method"], label=chosen["label"])

# %%
found = {(named(method), way): over_people(part[way], chosen.loc[part.index])
         for method, part in quality.groupby("method", sort=False)
         for way in ("repeat", "bicubic", "Phi")}
measured = pd.DataFrame(found, index=["mean", "low", "high"]).T
sources = list(dict.fromkeys(source for source, _ in found))
written = measured["mean"].unstack().loc[sources, ["repeat", "bicubic", "Phi"]]
written.rename(columns={"Phi": "Φ"}).style.format("{:.2f} dB")

# %%
real_rows = quality["label"] == 0
gain = over_people((quality["Phi"] - quality["bicubic"])[real_rows], chosen[real_rows])
fig, ax = plt.subplots(figsize=(7, 3))
for step, way in enumerate(written):
    part = measured.xs(way, level=1).loc[sources]
    bars = [(part["mean"] - part["low"]).clip(0), (part["high"] - part["mean"]).clip(0)]
    style = {"fmt": figures.MARKERS[step], "color": figures.COLOURS[step], "capsize": 3}
    height = np.arange(len(sources)) + 0.2 * (step - 1)
    ax.errorbar(part["mean"], height, xerr=bars, label=way.replace("Phi", "Φ"), **style)
ax.set_yticks(range(len(sources)), sources)
ax.invert_yaxis()
ax.set(xlabel="PSNR (dB), 95 % interval over the people")
ax.set_title(f"Φ − bicubic, on photographs: {gain[0]:+.1f} dB [{gain[1]:+.1f}, {gain[2]:+.1f}]")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
alt = written.round(1).to_dict("index")
figures.show(fig, alt=f"Dots: PSNR in dB, {alt}.", name="bts_re_synthesis_psnr")

# %% tags=["hide-input"]
people = chosen[real_rows]["identity"].nunique()
Markdown(f"""
The intervals of the ways overlap, because people differ: a beard is harder than a cheek. But all
ways saw the same pictures, so compare them picture by picture. On {real_rows.sum()} photographs of
{people} people, Φ has {in_words(*gain)} against bicubic. The paper reports no PSNR. Eq. 3 does not
ask for PSNR alone: its perceptual terms reward detail that *looks* right, even at a cost in pixels.
""")

# %% [markdown]
# ## 9 What is left: the residual
#
# $$R_0 = |X-\Phi(X_\downarrow)|, \qquad R_i = |\Theta_i(X)-\Theta_i(\Phi(X_\downarrow))|$$
#
# One picture of each kind: the original, what $\Phi$ was given, what it made of it, and the residual in pixels (bright =
# not explained; one scale for all).

# %%
one_each = test.groupby("method", sort=False).head(1).reset_index(drop=True)
kinds = one_each["method"].map(named).tolist()
X = pictures_of(one_each)
with torch.inference_mode():
    output = re_synthesizer.re_synthesize(X)
    small, residual = F.interpolate(box_mean(X), scale_factor=4), (X - output).abs().mean(1)
brightest = residual.quantile(0.995)
cells = [cell for row in zip(X, small, output, residual / brightest, strict=True) for cell in row]
titles = ["X", "X↓", "Φ(X↓)", "|X − Φ(X↓)|"]
fig = figures.show_grid(cells, titles, columns=4, side=2, limits=(0, 1), rows=kinds)
figures.show(fig, alt="Picture, small picture, re-synthesis and pixel residual, one row a source; "
             "the residual is bright along eyes, mouth and outline.", name="bts_re_synthesis")

# %%
with torch.inference_mode():
    maps = [(a - b).abs().mean(1) for a, b in zip(perceptual(X), perceptual(output), strict=True)]
cells = [stage[row] / stage.max() for row in range(len(X)) for stage in (residual, *maps)]
sides = [stage.shape[-1] for stage in (residual, *maps)]
titles = [f"{'pixel' if i == 0 else f'stage {i}'}: {side}×{side}" for i, side in enumerate(sides)]
fig = figures.show_grid(cells, titles, columns=6, side=1.7, limits=(0, 1), rows=kinds)
alt = f"Residual maps, one row a source; they get coarser, from {sides[0]} to {sides[-1]} a side."
figures.show(fig, alt=alt, name="bts_residual_stages")

# %% [markdown]
# Each column has its own scale, the same for every row. From left to right the maps get coarser: a place of stage 5 has
# seen a large part of the face. Eyes, mouth and outline can still be found at stage 2, hardly at stage 4.
#
# ## 10 Where does it fail?
#
# Enlarging is easy where nothing happens and hard at edges. We sort all places by the contrast of their surroundings in
# $X_\downarrow$ (largest minus smallest of the 3×3 neighbours) and average the residual in ten groups of equal size.

# %%
def residual_by_contrast(rgb):
    low_res = box_mean(rgb).mean(1, keepdim=True)
    contrast = F.max_pool2d(low_res, 3, 1, 1) + F.max_pool2d(-low_res, 3, 1, 1)
    left = box_mean((rgb - re_synthesizer.re_synthesize(rgb)).abs().mean(1, keepdim=True))
    return pd.DataFrame({"contrast": contrast.flatten().cpu(), "residual": left.flatten().cpu()})


with torch.inference_mode():
    places = pd.concat([residual_by_contrast(part) for part in parts], ignore_index=True)
places["method"] = np.repeat(chosen["method"], (settings.size // settings.factor) ** 2).to_numpy()
places["group"] = pd.qcut(places["contrast"].rank(method="first"), 10, labels=range(1, 11))
curve = places.pivot_table("residual", "group", "method", observed=True, sort=False).sort_index()

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.4))
for method, marker in zip(curve, figures.MARKERS, strict=False):
    ax.plot(curve.index.astype(int), curve[method], marker=marker, label=named(method))
times = (curve.loc[10] / curve.loc[1]).mean()
ax.set(xlabel="contrast of the place, from flattest (1) to strongest (10)",
       ylabel="mean residual, of [0, 1]", ylim=(0, None), xticks=range(1, 11))
ax.set_title(f"The strongest edges leave {times:.0f} times as much as flat places")
ax.legend()
alt = f"Mean residual against contrast, a line for each source; at edges {times:.0f} times more."
figures.show(fig, alt=alt, name="bts_residual_by_contrast")

# %%
means = places.groupby("method", sort=False)["residual"].mean()
of_photographs = means[chosen.loc[real_rows, "method"].iloc[0]]
for method, value in means.items():
    share = value / of_photographs - 1
    print(f"{named(method):16} mean residual {value:.4f} ({share:+.1%} against the photographs)")

# %% tags=["hide-input"]
shares = means / of_photographs - 1
amounts = ", ".join(f"{named(m)} {s:+.1%}" for m, s in shares.items() if means[m] != of_photographs)
fewer = " and ".join(named(method) for method, share in shares.items() if share < 0)
real_name = chosen.loc[real_rows, "method"].iloc[0]
ends = curve.loc[[1, 10]].div(curve.loc[[1, 10], real_name], axis=0).drop(columns=real_name) - 1
places_say = "; ".join(f"{named(method)} {flat:+.0%} and {edge:+.0%}"
                       for method, (flat, edge) in ends.items())
Markdown(f"""
The paper sees *more* left of fakes, of both generators (Fig. 4, at 1024 pixels).
{f'Here **less** is left of {fewer}. ' if fewer else ''}But a mean hides *where*. In the flattest
places and at the strongest edges, against the photographs: {places_say}. What a detector needs is
not more residual but **another** one.
[Notebook 03](03_residual_detectors.ipynb) goes on from here, with the whole test set.
""")

# %% tags=["hide-input"]
report.write_metrics("re_synthesis", {
    "parameters": sum(p.numel() for p in re_synthesizer.parameters()),
    "val_loss": past["val_loss"].iloc[-1],
    "psnr_of_photographs": quality[real_rows][["bicubic", "Phi"]].mean().to_dict(),
    "psnr_by_task": restored.T.to_dict(),
    "mean_pixel_residual": means.to_dict(),
})

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
colour = "cannot be tested: the pictures are grey" if grey else "has colour to learn from"
Markdown(f"""
- A quarter of the side keeps one number of sixteen. What happens inside a box is gone; it must be
  guessed.
- RDN guesses it, and fits into fifteen lines. The released one has {total:,} parameters, ours
  {size_of_ours:,}, under the same names.
- Eq. 1 asks for the right pixels, Eq. 3 also for what a recognition network sees. {turn}
- On photographs of people it never saw, Φ has {in_words(*gain)} against bicubic, from one
  training. The paper gives no such number.
- SR+D against SR on noisy small pictures: {in_words(*against_sr['noisy'])}. SR+C {colour}.
- The residual sits at edges ({times:.0f} times that of flat places): hair, eyes, mouth, as in the
  paper's Fig. 3. Its mean against the photographs: {amounts}; in the paper all fakes leave more.
  In flat places and at the strongest edges alone: {places_say}.
""")

# %% [markdown]
# ## Exercises
#
# **1** (easy) How many parameters has one dense layer that takes 64 channels and adds 64? Set `answer_1`.

# %%
answer_1 = None

if answer_1 is None:
    print("1: not solved yet")
else:
    layer = released.rdbs[0].layers[0].conv
    right = answer_1 == sum(p.numel() for p in layer.parameters())
    print("1: ✓" if right else "1: ✗ 9 weights for each pair of channels, a bias for each output")

# %% [markdown]
# **2** (medium) Change the photograph so that $\Phi(X_\downarrow)$ stays the same but the residual does not. Set
# `changed`, a tensor of the shape of `photograph`.

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
# **3** (medium) What does the loss of Eq. 3 become if $\Phi$ is perfect, and what if it returns $X$ plus 0.1 everywhere?
# Set `pixel_term`, the first term in the second case.

# %%
pixel_term = None

if pixel_term is None:
    print("3: not solved yet")
else:
    losses = re_synthesis_loss(perceptual, photograph, photograph + 0.1, settings.stage_weights)
    right = np.isclose(pixel_term, losses["pixel"].item(), atol=1e-4)
    print("3: ✓" if right else "3: ✗ the mean of |X - (X + 0.1)|")

# %% [markdown]
# **4** (hard) The best constant guess. Five pixels may be 0, 0, 0, 1 or 1, and $\Phi$ must answer with one number. Which
# one costs least by Eq. 1 (`least_absolute`), and which one if the differences are squared (`least_squares`)? Then say which
# of the two losses gives a blurred edge.

# %%
least_absolute, least_squares = None, None

if least_absolute is None or least_squares is None:
    print("4: not solved yet")
else:
    wrong = np.abs(np.array([0.0, 0, 0, 1, 1]) - np.linspace(0, 1, 101)[:, None])  # (guess, pixel)
    best = [cost.mean(1).argmin() / 100 for cost in (wrong, wrong**2)]
    right = np.allclose([least_absolute, least_squares], best)
    print("4: ✓" if right else "4: ✗ one is the median, one the mean")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. $64 \cdot 64 \cdot 9 + 64$: `answer_1 = 64 * 64 * 9 + 64`.
# 2. `changed = turned`: every box keeps its mean.
# 3. A perfect $\Phi$ has loss 0 at every stage. A constant shift costs `pixel_term = 0.1` (times $\alpha_0 = 1$) in the
#    first term; the other five depend on what $\Theta$ makes of a brighter picture.
# 4. `least_absolute, least_squares = 0.0, 0.4`: the median and the mean. Squares pay for a guess in between, so they blur
#    most. Eq. 1 blurs less, but where many values are possible its median is no sharp picture, either.
#
# </details>
#
# Previous: [01 real and forged faces](01_real_and_forged_faces.ipynb) ·
# Next: [03 residual detectors](03_residual_detectors.ipynb)
