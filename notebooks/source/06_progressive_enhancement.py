# %% [markdown]
# # 06 · Progressive enhancement: does a second look, at frequencies, find more?
#
# PEL looks at a face twice: as pixels, and as fine-grained frequencies. Between the blocks of its two networks, small
# modules strengthen what may be a trace of forgery. Here you build these modules one at a time, put them together, and
# ask what they gain.
#
# **After this notebook you can**
# - compute noise enhancement, channel attention and mutual enhancement by hand, on tensors you can print;
# - write PEL's whole `forward` in fifteen lines, and say what each module costs;
# - train it on a handful of faces in seconds, and see why that proves nothing;
# - compare PEL with its own RGB stream honestly: frames and videos, each forgery, with intervals.
#
# **You need**: [05 fine-grained frequency](05_fine_grained_frequency.ipynb) (Eq. 1); how a network is trained. **Run
# alone**: `make lab`, any CPU; minutes: in the table of [README.md](../README.md). **Paper**:
# [PEL](https://arxiv.org/abs/2112.13977) (Gu et al., AAAI 2022), Fig. 1, Eq. 2-7 and row "Ours" of Table 1.
#
# Previous: [05 fine-grained frequency](05_fine_grained_frequency.ipynb) ·
# Next: [07 PEL: results](07_pel_results.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display
from sklearn.metrics import roc_auc_score

from lib import detectors, figures, ops, paths, seeds
from lib.backbones.imagenet import normalise
from lib.data import cards
from lib.data.items import FaceImages
from lib.evaluation import report, verdicts
from lib.evaluation.metrics import metrics, videos
from lib.evaluation.predict import predict
from lib.params import load
from lib.pel import network as pel_network
from lib.pel import score, tables, train
from lib.pel.sets import FaceSets
from lib.training.device import seed_everything

# %%
params = load(scale)
figures.style()
seed_everything(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=100)
data_name = cards.title(params.data.forged)
print(f"scale {params.scale}: {data_name}, {params.faces.size} px, {params.pel.backbone} twice")

# %% [markdown]
# ## 1 The machine
#
# ![A diagram from left to right. A picture of 3 by 128 by 128 goes two ways. Above, the RGB stream: scaled pixels, a stem,
# stages 1 to 7, a head. Below, the frequency stream: a sliding DCT of 192 by 64 by 64, a 1 by 1 convolution to 64 maps, and
# the same stem, stages and head. Noise enhancement, N, follows stages 1 and 2 of each stream. Channel attention, A, follows
# stages 2 to 6. Mutual enhancement, M, joins both streams after stages 2 to 6. At the end both heads are averaged and one
# classifier makes one logit of 2560 numbers.](diagrams/pel.svg)
#
# - A **stream** is one EfficientNet, a small convolutional network that was trained on photographs of things (ImageNet).
#   It has a **stem** (its first convolution), seven **stages** (groups of layers; most halve the side of the maps), and a
#   **head** (a last convolution). The two streams differ in what they read, and so in their stem; the rest is built alike.
# - A **logit** is the network's answer before it becomes a probability: its sigmoid $\sigma(z) = 1/(1 + e^{-z})$ is the
#   *score*, 0 for real, 1 for fake.
# - The **modules** N, A and M are what is new in PEL. They *add* to their input, and never change its shape.
#
# The shapes are those of this project's small scale: 128 px and EfficientNet-Lite0. The paper has 320 px and
# EfficientNet-B4. Its "convolutional blocks" are the stages here ([docs/choices.md](../docs/choices.md)).
#
# ## 2 Noise enhancement: what the median removes
#
# Forgeries have become smooth. What they get wrong, says the paper, is the *noise*. The noise of a feature map $f_{in}$ (a
# map inside the network) is what a 3×3 median filter $M$ takes away:
#
# $$f_{noi} = f_{in} - M(f_{in}) \tag{2}$$
#
# A flat map with one loud and one quiet spot; the border is mirrored:

# %% tags=["nbval-check-output"]
f_in = torch.ones(5, 5)
f_in[1, 1], f_in[3, 3] = 9, 1.5
padded = F.pad(f_in[None, None], (1, 1, 1, 1), mode="reflect")[0, 0]
median = torch.zeros(5, 5)
for y in range(5):
    for x in range(5):
        median[y, x] = padded[y : y + 3, x : x + 3].median()  # Eq. 2, M
f_noi = f_in - median  # Eq. 2
print(f_noi)

# %% [markdown]
# Both spots are noise, the rest is none. A sigmoid then tames the loud one, and each channel scales the result by its own
# weight and bias (a *depth-wise* 1×1 convolution: it mixes no channels):
#
# $$f_{ne} = f_{in} + \mathrm{Conv}(\sigma(f_{noi})) \tag{3}$$

# %% tags=["nbval-check-output"]
weight, bias = torch.tensor([2.0]), torch.tensor([-1.0])
f_ne = f_in + weight * torch.sigmoid(f_noi) + bias  # Eq. 3
print(f_ne - f_in)
from_op = ops.noise_enhance(f_in[None, None], weight, bias)[0, 0]
same = torch.allclose(from_op, f_ne)
print("✓ ops.noise_enhance agrees" if same else "✗ ops.noise_enhance differs")

# %% [markdown]
# The loud spot is 16 times the quiet one, but its enhancement is only about 4 times as large. Note $\sigma(0) = 0.5$: a
# flat map gains the constant $0.5\,w + b$, here zero. In the network $w$ and $b$ start at zero, so that the pretrained
# features survive the first step (`literal_init=True` starts them at random).
#
# Now on real features: what stage 1 of the pretrained network says about a face.

# %%
sets = FaceSets(params.data, params.faces, params.pel_detectors, params.seed)
table = sets.table(sets.own)
splits = {name: part.reset_index(drop=True) for name, part in table.groupby("split")}
size = params.faces.size
face = FaceImages(splits["test"].query("label == 0").head(1), size)[0]["rgb"]
alone = pel_network.PEL(params.pel.backbone, params.pel.pretrained, streams=("rgb",)).eval()
backbone = alone.trunks["rgb"]
with torch.no_grad():
    stem = backbone.bn1(backbone.conv_stem(normalise(face[None], backbone)))
    feature = backbone.blocks[0](stem)  # (1, channels, side, side)
    noise = feature - ops.median_filter(feature)
loudest = noise.std((2, 3))[0].argsort(descending=True)[:3].tolist()

# %%
pictures, titles = [], []
for channel in loudest:
    f, n = feature[0, channel], noise[0, channel]
    scaled = (f - f.min()) / (f.max() - f.min())
    pictures += [None if pictures else face, scaled, 0.5 + n / (4 * n.std()), n.sigmoid()]
    name = f"channel {channel}: $f_{{in}}$"
    titles += ["" if titles else "face", name, "$f_{noi}$", r"$\sigma(f_{noi})$"]
share = (noise[0, loudest].var((1, 2)) / feature[0, loudest].var((1, 2))).mean().item()
fig = figures.show_grid(pictures, titles, columns=4, limits=(0, 1))
found = f"The three noisiest channels: the variance of noise is {share:.0%} of that of the map"
fig.suptitle(found, fontsize=11)
figures.show(fig, alt=f"A face, and three feature maps with their noise and its sigmoid. {found}. "
             "Edges of eyes, hair and mouth stand out in all of them.")

# %% [markdown]
# Noise in this sense is fine detail, not camera noise alone: edges of eyes and hair are in it, in every face. What is *odd*
# about it in a fake, the layers behind have to learn.
#
# ## 3 Channel attention: which channels matter in this picture
#
# One number a channel, from its mean (GAP, global average pooling) and its maximum (GMP, global max pooling), **added**,
# through a small network of two layers (MLP, multi-layer perceptron):
#
# $$f_{out} = f_{ne} + f_{ne} \otimes \sigma(\mathrm{MLP}(\mathrm{GAP}(f_{ne}) + \mathrm{GMP}(f_{ne}))) \tag{4}$$
#
# Two channels of 2×2 values, and an MLP with one hidden unit:

# %% tags=["nbval-check-output"]
f_ne = torch.tensor([[[[1.0, 1.0], [1.0, 5.0]], [[0.0, 2.0], [0.0, 2.0]]]])  # (1, 2, 2, 2)
first, second = torch.tensor([[0.5, -1.0]]), torch.tensor([[1.0], [-1.0]])
pooled = f_ne.mean((2, 3)) + f_ne.amax((2, 3))  # GAP + GMP: (1, 2)
attention = torch.sigmoid(torch.relu(pooled @ first.T) @ second.T)  # (1, 2)
f_out = f_ne + f_ne * attention[..., None, None]  # Eq. 4
print("pooled", pooled.tolist(), "gain", [f"{1 + a:.3f}" for a in attention[0].tolist()])

# %% tags=["nbval-check-output"]
block = pel_network.ChannelAttention(channels=2, reduction=2)
with torch.no_grad():
    block.mlp[0].weight.copy_(first)
    block.mlp[2].weight.copy_(second)
    same = torch.allclose(block(f_ne), f_out)
print("✓ pel.ChannelAttention agrees" if same else "✗ pel.ChannelAttention differs")

# %% [markdown]
# The gain lies between 1 and 2: a channel can be stressed, never silenced.
#
# ## 4 Mutual enhancement: each stream points, both listen
#
# Both streams have the same shape. One 1×1 convolution reads them together and draws two maps of attention, one a stream:
#
# $$A = \sigma(\mathrm{Conv}(\mathrm{Cat}(f^{rgb}_{in}, f^{freq}_{in}))), \qquad A \in \mathbb{R}^{2 \times h \times w} \tag{5}$$
#
# $$f^{s}_{out} = f^{s}_{in} + \mathrm{Conv}(f^{s}_{in} \otimes a^{s}) \tag{6}$$
#
# Two streams, one channel each, 2×2 places. The frequency stream sees something at the top right:

# %% tags=["nbval-check-output"]
rgb, freq = torch.ones(1, 1, 2, 2), torch.tensor([[[[0.0, 4.0], [0.0, 0.0]]]])
kernel = torch.tensor([[0.0, 1.0], [0.0, 0.0]])  # rows: a_rgb, a_freq; columns: rgb, freq
both = torch.cat([rgb, freq], 1)
A = torch.sigmoid(torch.einsum("oc,nchw->nohw", kernel, both))  # Eq. 5
scale_rgb = 0.8  # the depth-wise convolution of the RGB stream
out = rgb + scale_rgb * (rgb * A[:, :1])  # Eq. 6
print(A[0, 0], out[0, 0], sep="\n")

# %% tags=["nbval-check-output"]
block = pel_network.MutualEnhancement(channels=1)
with torch.no_grad():
    block.attention.weight.copy_(kernel[..., None, None])
    block.attention.bias.zero_()
    block.weights[0].fill_(scale_rgb)
    enhanced = block([rgb, freq])
same, unchanged = torch.allclose(enhanced[0], out), torch.equal(enhanced[1], freq)
print("✓ pel.MutualEnhancement agrees" if same else "✗ pel.MutualEnhancement differs")
print("✓ the other stream starts unchanged" if unchanged else "✗ the other stream changed")

# %% [markdown]
# The RGB stream was flat. Now it is stronger where the *other* stream saw something.
#
# ## 5 The whole network, in fifteen lines
#
# First the three modules, as the equations say. `block` holds the learned weights.

# %%
def noise_enhancement(x, block):  # x: (N, C, h, w)
    noise = x - ops.median_filter(x)  # Eq. 2
    return x + block.weight[:, None, None] * noise.sigmoid() + block.bias[:, None, None]  # Eq. 3


def channel_attention(x, block):
    pooled = x.mean((2, 3)) + x.amax((2, 3))  # GAP + GMP: (N, C)
    return x + x * block.mlp(pooled).sigmoid()[..., None, None]  # Eq. 4


def mutual_enhancement(f, block):  # f: the maps of both streams
    A = block.attention(torch.cat(f, 1)).sigmoid().split(1, dim=1)  # Eq. 5: (N, 1, h, w) each
    parts = zip(f, A, block.weights, block.biases, strict=True)
    return [x + w[:, None, None] * (x * a) + b[:, None, None] for x, a, w, b in parts]  # Eq. 6


# %% [markdown]
# Then the way through the diagram, from left to right:

# %%
def forward(net, rgb):  # rgb: (N, 3, H, W) in [0, 1] -> logits (N,)
    trunks = list(net.trunks.values())  # the two EfficientNets
    mixed = net.frequency_stem(ops.sliding_dct(rgb))  # Eq. 1, then 1x1: (N, 64, H/2, W/2)
    f = normalise(rgb, trunks[0]), mixed
    f = [trunk.bn1(trunk.conv_stem(x)) for trunk, x in zip(trunks, f, strict=True)]
    for stage, point in enumerate(net.enhancements[1:], start=1):
        f = [trunk.blocks[stage - 1](x) for trunk, x in zip(trunks, f, strict=True)]
        if stage in params.pel.noise_after:
            f = [noise_enhancement(x, own[0]) for x, own in zip(f, point.alone, strict=True)]
        if stage in params.pel.enhance_after:
            f = [channel_attention(x, own[-1]) for x, own in zip(f, point.alone, strict=True)]
            f = mutual_enhancement(f, point.mutual)
    f = [trunk.bn2(trunk.conv_head(x)) for trunk, x in zip(trunks, f, strict=True)]
    pooled = torch.cat([x.mean((2, 3)) for x in f], 1)  # (N, 2560)
    return net.classifier(pooled)[:, 0]


# %% [markdown]
# A network whose modules start at zero would hide a mistake in them. So the comparison is with one whose modules start at
# random; and without the modules, its answer is another one:

# %% tags=["nbval-check-output"]
make = detectors.entry("PEL").make
network, options = make(params.seed, size, pel=params.pel)
at_random = pel_network.PEL(**{**options, "literal_init": True}).eval().double()
with torch.no_grad():
    ours, lib = forward(at_random, face[None].double()), at_random(face[None].double())
    at_random.enhancements = at_random.enhancements[:1] + [torch.nn.Identity()] * 7
    without = at_random(face[None].double())
same, matter = torch.allclose(ours, lib, atol=1e-9), not torch.allclose(lib, without, atol=1e-3)
print("✓ lib.pel.network.PEL agrees" if same else "✗ lib.pel.network.PEL differs")
print("✓ the modules matter" if matter else "✗ the modules do nothing")

# %% [markdown]
# What stands behind which stage, how large the maps are there, and what it costs:

# %%
count = lambda module: sum(p.numel() for p in module.parameters())
is_module = lambda part: not isinstance(part, torch.nn.Identity)
rows, shapes, text = [], [], "{}×{}×{}".format
keep = lambda point, given, out: shapes.append(text(*out[0].shape[1:]))
hooks = [point.register_forward_hook(keep) for point in network.enhancements]
with torch.no_grad():
    last = network.eval().forward_features(face[None])
for hook in hooks:
    hook.remove()
for index, (point, shape) in enumerate(zip(network.enhancements, shapes, strict=True)):
    kinds = [type(part).__name__ for part in (*point.alone[0], point.mutual) if is_module(part)]
    stage = f"stage {index}" if index else "stem"
    rows.append((stage, shape, ", ".join(kinds), count(point)))
columns = ["behind", "maps of each stream", "modules", "parameters of the modules"]
pd.DataFrame(rows, columns=columns).style.format(thousands=",").hide()

# %%
whole, extra = count(network), count(network.enhancements)
share = extra / whole
print(f"parameters: {whole:,} in all, of which {extra:,} ({share:.2%}) enhance")
drawn = (paths.NOTEBOOKS / "diagrams" / "pel.svg").read_text()
shapes += [text(*maps.shape[1:]) for maps in last.values()]
fits = all(f">{shape}<" in drawn or f": {shape}<" in drawn for shape in shapes)
print("✓ the diagram shows these shapes" if fits else "the diagram shows those of 128 px and Lite0")

# %% [markdown]
# ## 6 Training
#
# The loss is the binary cross-entropy of real ($y_{gt} = 0$) and fake ($y_{gt} = 1$):
#
# $$L = -\frac{1}{n}\sum \left( y_{gt} \log y_{pred} + (1 - y_{gt}) \log(1 - y_{pred}) \right) \tag{7}$$

# %% tags=["nbval-check-output"]
labels, logits = torch.tensor([1.0, 0.0]), torch.tensor([2.0, -1.0])
predicted = torch.sigmoid(logits)
by_hand = -(labels * predicted.log() + (1 - labels) * (1 - predicted).log()).mean()  # Eq. 7
from_lib = pel_network.loss(lambda rgb: rgb, {"rgb": logits, "label": labels})
same = torch.isclose(by_hand, from_lib)
print(f"{by_hand.item():.4f}", "✓ pel.loss agrees" if same else "✗ pel.loss differs")

# %% [markdown]
# **How does the frequency stream start?** The paper says only that it has ImageNet weights except for its first layer, which
# reads 64 maps. Drawn at random, that layer hands the pretrained blocks features that they have never met. But an 8×8 window
# holds the pixels that a 3×3 filter of the pretrained first layer reads, and the DCT loses nothing. So 1×1 weights exist that
# *repeat* these filters, and the stream can start as the pretrained network. The remaining maps listen to every frequency
# equally loud, and fade in from weight 0 (`frequency_start` in params.yaml):

# %% tags=["nbval-check-output"]
fresh, _ = make(0, size, pel=params.pel)
with torch.no_grad():
    first = {stream: trunk.conv_stem(fresh._input(face[None], stream))[..., 1:-1, 1:-1]
             for stream, trunk in fresh.trunks.items()}
same = torch.allclose(first["freq"], first["rgb"], atol=1e-3)
same = same or params.pel.frequency_start == "random"
print("✓ both streams start with the same first features" if same else "✗")

# %% [markdown]
# ### A training that you can watch
#
# Before a long training, a test of seconds: can the network learn a handful of faces by heart? If not, something is
# broken. Sixteen training faces, half of them fake, at 64 px, are shown to it again and again. Each step computes the
# loss and its gradient, and moves all weights a little (Adam, a common rule for such steps).

# %%
def handful(split, most):
    """Return faces (N, 3, 64, 64) and labels (N,): `most` real and as many fake ones."""
    each = min(most, splits[split]["label"].value_counts().min())
    rows = splits[split].groupby("label").sample(n=each, random_state=params.seed)
    items = list(FaceImages(rows, 64))
    return tuple(torch.stack([item[key] for item in items]) for key in ("rgb", "label"))


toy, _ = make(params.seed, 64, pel=params.pel)
rgb, label = handful("train", most=8)
toy.standardise_frequencies(rgb)
toy.eval()
with torch.no_grad():
    by_loop = F.binary_cross_entropy_with_logits(toy(rgb), label)
    by_lib = pel_network.loss(toy, {"rgb": rgb, "label": label})
same = torch.isclose(by_loop, by_lib)
print("✓ the loss of the loop below is pel.loss" if same else "✗ the losses differ")

# %%
toy.train()
optimizer, losses, began = torch.optim.Adam(toy.parameters(), 1e-3), [], time.perf_counter()
for _ in range(15 if params.scale != "smoke" else 3):
    loss = F.binary_cross_entropy_with_logits(toy(rgb), label)  # Eq. 7
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
seconds = time.perf_counter() - began

# %%
fig, ax = plt.subplots(figsize=(6, 3))
ax.plot(range(1, len(losses) + 1), losses, marker="o", label="PEL on its training faces")
ax.axhline(np.log(2), color="grey", linestyle=":", label="guessing: log 2")
found = f"Loss {losses[0]:.2f} → {losses[-1]:.3f} in {len(losses)} steps"
ax.set(xlabel="step", ylabel="loss (Eq. 7)", title=found, ylim=(0, None))
ax.legend()
figures.show(fig, alt=f"{found} of training on {len(label)} faces; guessing would be 0.69.")

# %%
unseen = handful("val", most=16)
toy.eval()
with torch.no_grad():
    right = [((toy(x) > 0) == y).sum().item() for x, y in ((rgb, label), unseen)]
count_val = len(unseen[1])
by_heart = f"**{right[0]} of {len(label)}** training faces"
by_guess = f"**{right[1]} of {count_val}** faces of other people"
can = "the machine can learn" if right[0] == len(label) else "it has not learned them all yet"
Markdown(f"""{len(losses)} steps took {seconds:.0f} s. The network now is right about {by_heart} and
about {by_guess} (guessing: {count_val // 2}). So {can}. But learning by heart is not detecting:
that is measured on people it has never met.""")

# %% [markdown]
# ### The real training
#
# The paper trains with Adam, learning rate 2·10⁻⁴, weight decay 10⁻⁵ (weights shrink a little at each step), batches of 32.
# Ours takes fewer steps. As for all its rivals, the learning rate is the better of two on the **validation people**, who are
# neither in the training nor in the test (`python -m lib.pel.grid`). Four kinds of fakes outnumber the reals, so each
# **epoch** (round through the data) draws as many fakes as there are reals. Faces are mirrored at random. The epoch with the
# best AUC on the validation people is kept (**AUC**: the chance that a random fake scores higher than a random real; 0.5 is
# guessing). "RGB stream alone" is the first stream without any module. Both networks get the same pictures and steps.

# %%
own = params.pel.training
budgets = [train.budget(name, params.pel, params.pel_detectors) for name in ("PEL", "RGB")]
rates = " and ".join(f"{budget.learning_rate:g}" for budget in budgets)
print(f"PEL and RGB: learning rates {rates}, batches of {own.batch_size}, {own.epochs} epochs")
people = table.groupby("split")["identity"].nunique()
print("people:", ", ".join(f"{people[split]} {split}" for split in ("train", "val", "test")))
pd.crosstab(table["method"], table["split"])[["train", "val", "test"]]

# %% [markdown]
# > **Train it yourself: about 10 minutes on two CPU cores.** In a shell, at the root of the project:
# >
# > `python -m lib.pel.score PEL RGB`
# >
# > trains both side by side, each with one thread, and scores the test faces. What is trained already stays. The cell below
# > does not train: it reads the weights that are there.

# %%
NETWORKS = {"PEL": "PEL", "RGB stream alone": "RGB"}
models, histories = {}, {}
for title, name in NETWORKS.items():
    models[title], histories[title] = train.load(train.weights(name))
    print(f"{train.weights(name)}: trained for {len(histories[title])} epochs")

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4))
for (title, history), marker in zip(histories.items(), figures.MARKERS, strict=False):
    axes[0].plot(history["epoch"], history["loss"], marker=marker, label=title)
    axes[1].plot(history["epoch"], history["val_auc"], marker=marker, label=title)
kept = {title: history["val_auc"].max() for title, history in histories.items()}
found = "kept: " + ", ".join(f"{title} {value:.3f}" for title, value in kept.items())
last = " and ".join(f"{history['loss'].iloc[-1]:.2f}" for history in histories.values())
axes[0].set(xlabel="epoch", ylabel="training loss (Eq. 7)", ylim=(0, None))
axes[0].set_title(f"Training loss at the end: {last}", fontsize=11)
axes[1].set(xlabel="epoch", ylabel="validation AUC (frames)", ylim=(0.5, 1.01))
axes[1].set_title(found, fontsize=11)
axes[1].legend(loc="lower right")
figures.show(fig, name="pel_training",
             alt="Two plots against the epoch, of PEL and its RGB stream: the training loss, at "
             f"last {last}, and the AUC on validation people; {found}.")

# %% [markdown]
# ## 7 People it never saw
#
# - **accuracy**: the share that is right if a score above 0.5 means fake;
# - **AUC**: as above, it needs no threshold;
# - **EER** (equal error rate): the error at the threshold where as many reals are called fake as fakes are missed, in
#   shares; lower is better;
# - **AP** (average precision): the share of fakes among what is called fake, averaged over all thresholds; guessing gets the
#   share of fakes.
#
# A video's score is the mean of its frames. Brackets hold the 95 % **interval**: the *people* are drawn again and again, with
# replacement (1,000 bootstrap draws), since frames of one person are not independent.

# %%
test_images = FaceImages(splits["test"], size)
scores = {title: predict(model, test_images) for title, model in models.items()}
results = {title: metrics(splits["test"], s, seed=params.seed) for title, s in scores.items()}
paper = report.paper_table("pel_table1").set_index("detector").loc["Ours"]
quality = {"c23": "HQ", "c40": "LQ"}.get(params.data.forged.compression, "HQ")
of_paper = {"frame_accuracy": f"{float(paper[f'{quality}_acc']) / 100:.3f}",
            "frame_auc": f"{float(paper[f'{quality}_auc']):.3f}"}


def with_interval(result, key):
    return f"{result[key]:.3f} [{result[key + '_low']:.3f}, {result[key + '_high']:.3f}]"


MEASURES = ("accuracy", "auc", "eer", "ap")
keys = [f"{level}_{measure}" for level in ("frame", "video") for measure in MEASURES]
shown = {title: [with_interval(result, key) for key in keys] for title, result in results.items()}
shown[f"paper's PEL ({quality})"] = [of_paper.get(key, "") for key in keys]
names = [f"{level}s: {measure}" for level in ("frame", "video")
         for measure in ("accuracy", "AUC", "EER", "AP")]
pd.DataFrame(shown, index=names)

# %%
counts, share = results["PEL"], splits["test"]["label"].mean()
print(f"{counts['frames']} frames, {counts['videos']} videos, {counts['identities']} people")


def mistakes(title):
    clips = videos(splits["test"].assign(score=scores[title]))
    clips["wrong"] = (clips["score"] > 0.5) != clips["label"]
    real, fake = (clips.loc[clips["label"] == kind, "wrong"] for kind in (0, 1))
    of = lambda part: f"{part.sum()} of {len(part)}"
    return f"{title} is wrong about {of(real)} real and {of(fake)} fake videos"


# %%
notes = [f"""{share:.0%} of the frames are fake: a detector that calls everything fake has an
accuracy (and an AP) of {share:.3f}. Read the accuracies from there.""",
         f"{'; '.join(map(mistakes, NETWORKS))}."]
for title, result in results.items():
    auc, accuracy = result["video_auc"], result["video_accuracy"]
    if auc > 0.9 and auc - accuracy > 0.03:
        notes.append(f"""A video AUC of {auc:.3f} with an accuracy of {accuracy:.3f} ({title}) is no
contradiction: the scores are in (nearly) the right order, but 0.5 does not lie between reals and
fakes.""")
    if result["video_auc_low"] == 1:
        notes.append(f"""An interval [1.000, 1.000] ({title}) is not certainty: a bootstrap cannot
draw a mistake that none of these {result['identities']} people shows.""")
Markdown("\n".join(f"- {note}" for note in notes))

# %%
fig, ax = plt.subplots(figsize=(4.8, 4.4))
figures.roc({title: (splits["test"]["label"], s) for title, s in scores.items()}, ax)
ax.set_title(f"{counts['identities']} unseen people, one training each")
both = " and ".join(f"{title} {result['frame_auc']:.3f}" for title, result in results.items())
figures.show(fig, name="pel_roc",
             alt=f"ROC curves of frames. AUC: {both}. {counts['identities']} people.")

# %% [markdown]
# A **ROC** curve goes through all thresholds: how many fakes are caught, at which share of reals called fake. The area
# under it is the AUC.
#
# ### Each forgery on its own
#
# The frames of one method against all real frames, with intervals over people:

# %%
def by_method(title):
    part = splits["test"].assign(score=scores[title])
    real = part[part["label"] == 0]
    for method, fake in part[part["label"] == 1].groupby("method"):
        both = pd.concat([real, fake])
        found = metrics(both, both["score"], level="frame", seed=params.seed)
        yield title, method, found["frame_auc"], found["frame_auc_low"], found["frame_auc_high"]


rows = [row for title in models for row in by_method(title)]
methods = pd.DataFrame(rows, columns=["network", "method", "frame AUC", "low", "high"])
lowest = methods.loc[methods.groupby("network", sort=False)["frame AUC"].idxmin()]
lowest = lowest.set_index("network")["method"]

# %%
fig, ax = plt.subplots(figsize=(8, 3))
look = zip(figures.line_styles(), (-0.12, 0.12), strict=False)
for (title, part), (style, shift) in zip(methods.groupby("network", sort=False), look, strict=True):
    auc = part["frame AUC"].to_numpy()
    reach = np.abs(part[["low", "high"]].to_numpy().T - auc)
    ax.errorbar(auc, np.arange(len(part)) + shift, xerr=reach, label=title, capsize=3,
                **{**style, "linestyle": ""})
hardest = " and ".join(f"{method} for {title}" for title, method in lowest.items())
hardest = f"{lowest.iloc[0]} for both" if lowest.nunique() == 1 else hardest
ax.set(yticks=range(len(part)), yticklabels=part["method"], xlabel="frame AUC (0.5 is guessing)",
       title=f"Lowest in this run: {hardest}", xlim=(min(0.5, methods["low"].min() - 0.02), 1.01))
ax.invert_yaxis()
ax.legend(bbox_to_anchor=(1, 1), loc="upper left")
every = "; ".join(f"{row.network}, {row.method}: {row[3]:.3f}" for row in methods.itertuples())
figures.show(fig, name="pel_methods",
             alt=f"One dot and interval a method and network, frame AUC. {every}.")

# %% [markdown]
# ### Table 1, row "Ours", beside the paper's
#
# The paper measures FaceForensics++ with EfficientNet-B4 at 320 px: 28,000 fake and 7,000 real frames of its test videos.
# HQ is its compression c23 (mild), LQ is c40 (strong). Accuracy in percent. The next notebook fills the other rows; the
# paper has none for the RGB stream alone on HQ.

# %%
cells = lambda result: (report.cell(f"{quality}_acc", result, "frame_accuracy")
                        | report.cell(f"{quality}_auc", result, "frame_auc"))
ours = pd.DataFrame([{"detector": "Ours" if title == "PEL" else title} | cells(result)
                     for title, result in results.items()])
print(f"ours: {data_name} ({params.data.forged.compression}), {params.pel.backbone}, {size} px")
compared = report.compare("pel_table1", ours)
compared = compared[compared["detector"].isin(ours["detector"])]
compared.replace({"detector": {"Ours": "PEL (the paper's row Ours)"}}).style.hide()

# %%
few = data_name != params.data.forged.layout
lower = results["PEL"]["frame_auc"] < float(of_paper["frame_auc"])
why = f"""PEL's AUC is {'lower' if lower else 'not lower'} here, and much differs: a backbone of
a fifth of the size, a sixth of the pixels, minutes of training on {people['train']} people instead
of 720 videos, and grey faces, so that 128 of the 192 frequency channels (Cb and Cr) are as good as
silent. What colour adds to PEL cannot be tested here. The rows stand side by side; they do not
compete."""
Markdown(why if few else "Both rows are measured on the paper's data set.")

# %% [markdown]
# ### Faces of other data sets

# %%
is_other = lambda name: sets.sets[name] in params.data.cross_forged
others = {name: sets.table(name) for name in sets.names if is_other(name)}
scored = lambda other, model: predict(model, FaceImages(other, size))
cross = {name: {title: metrics(other, scored(other, model), seed=params.seed)
                for title, model in models.items()} for name, other in others.items()}
rows = [(name, title, result["frames"],
         with_interval(result, "frame_auc"), with_interval(result, "frame_eer"))
        for name, both in {"test people of this data set": results, **cross}.items()
        for title, result in both.items()]
columns = ["tested on", "network", "frames", "frame AUC", "frame EER"]
none = Markdown("""None at this scale: no further set is named in `data.cross_forged` of
params.yaml. The paper's (WildDeepfake, Celeb-DF, DFD, DFDC) are named at its scale; all their
videos are for testing.""")
pd.DataFrame(rows, columns=columns).style.hide() if cross else none

# %% tags=["hide-input"]
ends = ("", "_low", "_high")
by_name = lambda both: {{"PEL": "pel", "RGB stream alone": "pel_rgb"}[title]:
                        {key + end: result[key + end] for key in keys for end in ends}
                        for title, result in both.items()}
per_method = {name: methods[methods["network"] == title].set_index("method")["frame AUC"].to_dict()
              for title, name in (("PEL", "pel"), ("RGB stream alone", "pel_rgb"))}
report.write_metrics("progressive_enhancement", {
    **by_name(results),
    **{key: counts[key] for key in ("frames", "videos", "identities")},
    "frame_auc_by_method": per_method,
    **({"cross": {name: by_name(both) for name, both in cross.items()}} if cross else {}),
})

# %% [markdown]
# ## 8 Is the difference luck?
#
# One training is one draw: another **seed** (the start of the random numbers: weights, order, mirroring) gives another
# network. `python -m lib.seeds 0 1 2 3 4` repeats the trainings with other seeds and keeps the scores in `results/seeds`.
# The gain of PEL has two kinds of luck in it, that of the seeds and that of the test people.

# %%
this_run = {name: score.read([name]) for name in NETWORKS.values()}
runs, told = seeds.together("pel", NETWORKS.values(), params, this_run)
own_test = lambda frame: frame.query("train == @sets.own and test == @sets.own")
per_seed = {name: {seed: own_test(frame) for seed, frame in of_seeds.items()}
            for name, of_seeds in runs.items()}
gain = tables.gain(per_seed["PEL"], per_seed["RGB"], params.seed)
word, several = verdicts.verdict(gain["effect"], gain["p"]), gain["seeds"] > 1
if told:
    print(told)
paper = report.paper_table("pel_table4").set_index(["rgb", "freq", "self", "mutual"])["auc"]
theirs = float(paper["1", "1", "1", "1"]) - float(paper["1", "0", "0", "0"])

# %%
interval = f"[{gain['low']:+.3f}, {gain['high']:+.3f}]"
if several:
    how = f"""the mean of {gain['seeds']} trainings each; interval over seeds and people:
{interval}. The smallest gain that this comparison would have found in 80 of 100 repetitions is
{gain['visible']:.3f}."""
else:
    how = f"""**one** training each; interval over people alone: {interval}. This interval does not
know the luck of the training, which one seed cannot show."""
inside = gain["low"] <= 0 <= gain["high"]
told_apart = ("Zero lies inside: these faces do not tell the two apart." if inside else
              "Zero lies outside: other test people would hardly turn the sign.")
finding = f"""PEL's frame AUC minus that of its RGB stream: **{gain['effect']:+.3f}**, {how}
{told_apart} The claim that PEL is ahead: **{word}**. The paper's own difference is
**{theirs:+.3f}** (Table 4, FaceForensics++ at low quality; one training, no interval)."""
reason = f"""\n\nWhy it may differ from the paper: {counts['identities']} test people are few,
the faces are grey, and they were enlarged from portraits 92 pixels wide. So the frequency stream
finds little that is fine, and no colour. Both streams also start from the same first features
(section 6)."""
Markdown(finding + (reason if few else ""))

# %%
aucs = pd.DataFrame([(title, seed, roc_auc_score(frame["label"], frame["score"]))
                     for title, name in NETWORKS.items() for seed, frame in per_seed[name].items()],
                    columns=["network", "seed", "frame AUC"])
if several:
    fig, ax = plt.subplots(figsize=(7, 1.9))
    sns.stripplot(aucs, x="frame AUC", y="network", ax=ax, size=9, jitter=False, marker="D",
                  color=figures.COLOURS[0], alpha=0.6)
    ax.set(xlabel="frame AUC on unseen people, one mark a seed", ylabel="")
    ax.set_title(f"That PEL is ahead: {word}")
    spread = aucs.groupby("network", sort=False)["frame AUC"].agg(["mean", "std", "min", "max"])
    figures.show(fig, alt="Frame AUC, one mark a seed. " + spread.round(3).to_string())
    display(spread.round(4))
else:
    print("One seed is there, so there is no spread to draw.")

# %% [markdown]
# ## 9 What the trained noise block adds
#
# The enhancement of the first noise block, $|f_{out} - f_{in}|$, averaged over channels (in the spirit of the paper's
# Fig. 3), for a real face and a forged version of the same frame:

# %%
part = splits["test"]
fakes = part[part["label"] == 1].merge(part[part["label"] == 0], on=["identity", "frame"],
                                       suffixes=("", "_real"))
in_pair = part["path"].isin(fakes.iloc[0][["path_real", "path"]]) if len(fakes) else None
pair = part[in_pair] if len(fakes) else part.groupby("label").head(1)
items = list(FaceImages(pair.sort_values("label"), size))
pictures = torch.stack([item["rgb"] for item in items])

# %%
added, before = {}, {}
model = models["PEL"].cpu()


def hook_of(stream):
    def keep(module, given, out):
        added[stream], before[stream] = (out - given[0]).abs().mean(1), given[0].abs().mean().item()

    return keep


blocks = zip(model.streams, model.enhancements[1].alone, strict=True)
hooks = [block.register_forward_hook(hook_of(stream)) for stream, block in blocks]
with torch.no_grad():
    probability = model(pictures).sigmoid()
for hook in hooks:
    hook.remove()

# %%
maps = [added[stream][side] for side in (0, 1) for stream in model.streams]
centred = [0.5 + (m - m.median()) / (6 * m.std().clamp_min(1e-9)) for m in maps]
grid = [pictures[0], *centred[:2], pictures[1], *centred[2:]]
streams = {"rgb": "RGB stream", "freq": "frequency stream"}
titles = [title for kind, p in zip(("real", "fake"), probability, strict=True)
          for title in (f"{kind}, score {p:.2f}", *(streams[name] for name in model.streams))]
fig = figures.show_grid(grid, titles, columns=3, limits=(0, 1), side=2.2)
changes = [f"{(added[s].mean() / before[s]).item():.2%} ({streams[s]})" for s in model.streams]
found = f"The first noise block changes its maps by {' and '.join(changes)}"
fig.suptitle(f"Maps change by {' and '.join(changes)}", fontsize=10)
figures.show(fig, alt="A real and a forged face, each with what the first noise block adds to the "
             f"maps of its two streams. {found}.")

# %%
small = max(added[s].mean().item() / before[s] for s in model.streams) < 0.01
little = """That is little: the block starts at zero, and a short training moves it little.
Whether so small a part helps at all, only a network without it can say
([08](08_pel_ablations.ipynb)). """
Markdown(f"""White is much, black is little, each map by itself. {found}. {little if small else ''}
It stresses fine detail all over the picture, hair and edges included, in the real face as in the
fake. So it does not point to the forgery: it makes texture louder, and the layers behind it judge.
Where the evidence of the whole network falls, [09](09_what_the_networks_see.ipynb) measures.""")

# %% [markdown]
# ## What we saw

# %%
weak = methods[methods["network"] == "PEL"].sort_values("frame AUC").iloc[0]
Markdown(f"""
- Noise enhancement adds what a median removes, channel attention stresses channels, mutual
  enhancement lets each stream point the other to a place. All of it is **{extra / whole:.2%}** of
  the network's {whole / 1e6:.1f} M parameters.
- On {counts['identities']} people it never saw, PEL has a frame AUC of
  **{with_interval(results['PEL'], 'frame_auc')}**. The paper's is {of_paper['frame_auc']}
  ({quality}), with EfficientNet-B4, 320 px and all of FaceForensics++.
- Its lowest AUC in this run is on {weak['method']}: {weak['frame AUC']:.3f} [{weak['low']:.3f},
  {weak['high']:.3f}].
- {finding}
- Learning {len(label)} faces by heart takes {seconds:.0f} seconds, and says little about other
  people ({right[1]} of {count_val} right).
""")

# %% [markdown]
# ## Exercises
#
# **1** (easy) A 3×3 window holds 2, 7, 7, 1, 9, 4, 4, 8, 3, with 9 in the centre. What is $f_{noi}$ of the centre?

# %%
answer_1 = None

if answer_1 is None:
    print("1: not solved yet")
else:
    window = torch.tensor([[2.0, 7, 7], [1, 9, 4], [4, 8, 3]])[None, None]
    expected = (window - ops.median_filter(window))[0, 0, 1, 1].item()
    print("1: ✓" if answer_1 == expected else "1: ✗ sort the nine values first")

# %% [markdown]
# **2** (medium) How many parameters does `pel.ChannelAttention(channels=160)` have, with its hidden layer 16 times narrower
# and no bias?

# %%
answer_2 = None

if answer_2 is None:
    print("2: not solved yet")
else:
    close = answer_2 == count(pel_network.ChannelAttention(160))
    print("2: ✓" if close else "2: ✗ two matrices, 160 by hidden and back")

# %% [markdown]
# **3** (hard) With the zero start, can a loss on the RGB stream teach the *frequency* stream through mutual enhancement in
# the very first step? Predict `answer_3` (True or False); the cell tries it.

# %%
answer_3 = None

if answer_3 is None:
    print("3: not solved yet")
else:
    there = torch.randn(1, 4, 6, 6, requires_grad=True)
    enhanced = pel_network.MutualEnhancement(4)([torch.randn(1, 4, 6, 6), there])
    enhanced[0].square().sum().backward()
    learns = bool(there.grad.abs().sum() > 0)
    print("3: ✓" if answer_3 == learns else "3: ✗ what multiplies a_rgb in Eq. 6 at the start?")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. Sorted: 1 2 3 4 **4** 7 7 8 9. The median is 4, so `answer_1 = 5`.
# 2. The hidden layer has 160 // 16 = 10 units: `answer_2 = 2 * 160 * 10`.
# 3. `answer_3 = False`: the depth-wise weight is zero, so nothing that passes through $a^{rgb}$ reaches the loss. From the
#    second step on the weight has moved, and the frequency stream learns from the RGB stream's mistakes.
#
# </details>
#
# Previous: [05 fine-grained frequency](05_fine_grained_frequency.ipynb) ·
# Next: [07 PEL: results](07_pel_results.ipynb)
