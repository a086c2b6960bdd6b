# %% [markdown]
# # 06 · Progressive enhancement
#
# PEL looks at a face twice: as pixels, and as fine-grained frequencies. Behind each block of the two networks small modules
# strengthen what may be a trace of forgery. Here you build these modules one at a time, then train the whole.
#
# **After this notebook you can**
# - compute noise enhancement, channel attention and mutual enhancement by hand, on tensors you can print;
# - say where each of them stands in the network, and what it costs;
# - train PEL and its own RGB stream with the same budget, and compare them honestly: frames and videos, each forgery, with
#   intervals.
#
# **You need**: [05 fine-grained frequency](05_fine_grained_frequency.ipynb); how a network is trained. **Hardware**: two CPU
# cores for the bundled faces, a GPU for the paper's scale; the minutes are in the table of [README.md](../README.md).
# **Paper**: PEL (Gu et al., AAAI 2022), Eq. 2-7 and row "Ours" of Table 1.
#
# Previous: [05 fine-grained frequency](05_fine_grained_frequency.ipynb) ·
# Next: [07 PEL: results](07_pel_results.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %%
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from lib import detectors, figures, ops, seeds
from lib.data.items import FaceImages
from lib.evaluation import report, verdicts
from lib.evaluation.metrics import metrics
from lib.evaluation.predict import predict
from lib.params import load
from lib.pel import network as pel_network
from lib.pel import score, tables, train
from lib.pel.sets import FaceSets
from lib.training.device import seed_everything

params = load(scale)
figures.style()
seed_everything(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=120)
print(f"scale {params.scale}: faces of {params.data.forged.root}, {params.faces.size} px, {params.pel.backbone} x 2")

# %% [markdown]
# ## 1 Noise enhancement: what the median removes
#
# Forgeries have become smooth. What they get wrong is the *noise*. The noise of a feature map is what a 3×3 median
# filter $M$ takes away:
#
# $$f_{noi} = f_{in} - M(f_{in}) \tag{2}$$
#
# A flat map with one loud and one quiet spot; the border is mirrored:

# %%
#NBVAL_CHECK_OUTPUT
f_in = torch.tensor([[1.0, 1, 1, 1, 1], [1, 9, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1.5, 1], [1, 1, 1, 1, 1]])
padded = F.pad(f_in[None, None], (1, 1, 1, 1), mode="reflect")[0, 0]
median = torch.zeros(5, 5)
for y in range(5):
    for x in range(5):
        median[y, x] = padded[y : y + 3, x : x + 3].median()  # Eq. 2, M
f_noi = f_in - median  # Eq. 2
print(f_noi)

# %% [markdown]
# Both spots are noise, the rest is none. A sigmoid then tames the loud one, and each channel scales the result by its own
# weight and bias (a depth-wise 1×1 convolution):
#
# $$f_{ne} = f_{in} + \mathrm{Conv}(\sigma(f_{noi})) \tag{3}$$

# %%
#NBVAL_CHECK_OUTPUT
weight, bias = torch.tensor([2.0]), torch.tensor([-1.0])
f_ne = f_in + weight * torch.sigmoid(f_noi) + bias  # Eq. 3
print(f_ne - f_in)
from_op = ops.noise_enhance(f_in[None, None], weight, bias)[0, 0]
print("✓ ops.noise_enhance agrees" if torch.allclose(from_op, f_ne) else "✗ ops.noise_enhance differs")

# %% [markdown]
# The loud spot is 16 times the quiet one, but its enhancement is only about 4 times as large. Note $\sigma(0) = 0.5$: a flat
# map gains the constant $0.5\,w + b$, here zero. In the network $w$ and $b$ start at zero, so the pretrained features
# survive the first step (`literal_init=True` starts them at random).
#
# Now on real features: what the first stage of the pretrained backbone says about a face.

# %%
sets = FaceSets(params.data, params.faces, params.pel_detectors, params.seed)
table = sets.table(sets.own)
test = table[table["split"] == "test"]
face = FaceImages(test[test["label"] == 0].head(1), params.faces.size)[0]["rgb"]
backbone = pel_network.PEL(params.pel.backbone, params.pel.pretrained, streams=("rgb",)).eval().trunks["rgb"]
with torch.no_grad():
    feature = backbone.blocks[0](backbone.bn1(backbone.conv_stem(2 * face[None] - 1)))  # (1, channels, side, side)
    noise = feature - ops.median_filter(feature)
loudest = noise.std((2, 3))[0].argsort(descending=True)[:3].tolist()

# %%
pictures, titles = [], []
for channel in loudest:
    f, n = feature[0, channel], noise[0, channel]
    pictures += [face, (f - f.min()) / (f.max() - f.min()), 0.5 + n / (4 * n.std()), n.sigmoid()]
    titles += ["face", f"channel {channel}: $f_{{in}}$", "$f_{noi}$", r"$\sigma(f_{noi})$"]
figures.show_grid(pictures, titles, columns=4, limits=(0, 1))
plt.show()

# %% [markdown]
# ## 2 Channel attention: which channels matter in this picture
#
# One number a channel, from its mean (GAP) and its maximum (GMP), **added**, through a small network (MLP):
#
# $$f_{out} = f_{ne} + f_{ne} \otimes \sigma(\mathrm{MLP}(\mathrm{GAP}(f_{ne}) + \mathrm{GMP}(f_{ne}))) \tag{4}$$
#
# Two channels of 2×2 values, and an MLP with one hidden unit:

# %%
#NBVAL_CHECK_OUTPUT
f_ne = torch.tensor([[[[1.0, 1.0], [1.0, 5.0]], [[0.0, 2.0], [0.0, 2.0]]]])  # (1, 2, 2, 2)
first, second = torch.tensor([[0.5, -1.0]]), torch.tensor([[1.0], [-1.0]])
pooled = f_ne.mean((2, 3)) + f_ne.amax((2, 3))  # GAP + GMP: (1, 2)
attention = torch.sigmoid(torch.relu(pooled @ first.T) @ second.T)  # (1, 2)
f_out = f_ne + f_ne * attention[..., None, None]  # Eq. 4
print("pooled", pooled.tolist(), "gain", [f"{1 + a:.3f}" for a in attention[0].tolist()])

# %%
#NBVAL_CHECK_OUTPUT
block = pel_network.ChannelAttention(channels=2, reduction=2)
with torch.no_grad():
    block.mlp[0].weight.copy_(first)
    block.mlp[2].weight.copy_(second)
    print("✓ pel.ChannelAttention agrees" if torch.allclose(block(f_ne), f_out) else "✗ pel.ChannelAttention differs")

# %% [markdown]
# The gain lies between 1 and 2: a channel can be stressed, never silenced.
#
# ## 3 Mutual enhancement: each stream points, both listen
#
# Both streams have the same shape. One 1×1 convolution reads them together and draws two maps of attention,
# one a stream:
#
# $$A = \sigma(\mathrm{Conv}(\mathrm{Cat}(f^{rgb}_{in}, f^{freq}_{in}))), \qquad A \in \mathbb{R}^{2 \times h \times w} \tag{5}$$
#
# $$f^{s}_{out} = f^{s}_{in} + \mathrm{Conv}(f^{s}_{in} \otimes a^{s}) \tag{6}$$
#
# Two streams, one channel each, 2×2 places. The frequency stream sees something at the top right:

# %%
#NBVAL_CHECK_OUTPUT
rgb, freq = torch.ones(1, 1, 2, 2), torch.tensor([[[[0.0, 4.0], [0.0, 0.0]]]])
kernel = torch.tensor([[0.0, 1.0], [0.0, 0.0]])  # rows: a_rgb, a_freq; columns: what they read, rgb and freq
A = torch.sigmoid(torch.einsum("oc,nchw->nohw", kernel, torch.cat([rgb, freq], 1)))  # Eq. 5
scale_rgb = 0.8  # the depth-wise convolution of the RGB stream
out = rgb + scale_rgb * (rgb * A[:, :1])  # Eq. 6
print(A[0, 0], out[0, 0], sep="\n")

# %%
#NBVAL_CHECK_OUTPUT
block = pel_network.MutualEnhancement(channels=1)
with torch.no_grad():
    block.attention.weight.copy_(kernel[..., None, None])
    block.attention.bias.zero_()
    block.weights[0].fill_(scale_rgb)
    enhanced = block([rgb, freq])
print("✓ pel.MutualEnhancement agrees" if torch.allclose(enhanced[0], out) else "✗ pel.MutualEnhancement differs")
print("✓ the other stream starts unchanged" if torch.equal(enhanced[1], freq) else "✗ the other stream changed")

# %% [markdown]
# The RGB stream was flat. Now it is stronger where the *other* stream saw something.
#
# ## 4 The whole network
#
# Two EfficientNets without shared weights. Noise enhancement stands behind stages 1 and 2, where features are local.
# Channel attention and mutual enhancement stand behind stages 2 to 6. At the end the two streams are pooled, joined, and
# one linear layer gives the logit. its entry in the list of detectors builds it from params.yaml, the same for the same seed:

# %%
network, options = detectors.entry("PEL").make(params.seed, params.faces.size, pel=params.pel)
print(options)
count = lambda module: sum(p.numel() for p in module.parameters())
rows = []
for index, point in enumerate(network.enhancements):
    kinds = [type(part).__name__ for part in (*point.alone[0], point.mutual) if not isinstance(part, torch.nn.Identity)]
    rows.append((f"stage {index}" if index else "stem", ", ".join(kinds), count(point)))
pd.DataFrame(rows, columns=["behind", "module", "parameters"]).style.hide()

# %%
whole, extra = count(network), count(network.enhancements)
print(f"parameters: {whole:,} in all, of which {extra:,} ({100 * extra / whole:.2f} %) enhance")
with torch.no_grad():
    last = network.eval().forward_features(face[None])
print("last maps:", {stream: tuple(maps.shape) for stream, maps in last.items()})

# %% [markdown]
# ## 5 Training
#
# The loss is the binary cross-entropy of real and fake:
#
# $$L = -\frac{1}{n}\sum \left( y_{gt} \log y_{pred} + (1 - y_{gt}) \log(1 - y_{pred}) \right) \tag{7}$$

# %%
#NBVAL_CHECK_OUTPUT
labels, logits = torch.tensor([1.0, 0.0]), torch.tensor([2.0, -1.0])
predicted = torch.sigmoid(logits)
by_hand = -(labels * predicted.log() + (1 - labels) * (1 - predicted).log()).mean()  # Eq. 7
from_lib = pel_network.loss(lambda rgb: rgb, {"rgb": logits, "label": labels})
print(f"{by_hand.item():.4f}", "✓ pel.loss agrees" if torch.isclose(by_hand, from_lib) else "✗ pel.loss differs")

# %% [markdown]
# **How does the frequency stream start?** The paper says only that it has ImageNet weights except for its first layer, which
# reads 64 maps. Drawn at random, that layer hands the pretrained blocks features that they have never met. But an 8×8 window
# holds the pixels that a 3×3 filter of the pretrained first layer reads, and the DCT loses nothing. So 1×1 weights exist that
# *repeat* these filters, and the stream can start as the pretrained network. The remaining maps listen to every frequency
# equally loud, and fade in from weight 0 (`frequency_start` in params.yaml):

# %%
#NBVAL_CHECK_OUTPUT
fresh, _ = detectors.entry("PEL").make(0, params.faces.size, pel=params.pel)
with torch.no_grad():
    first = {s: trunk.conv_stem(fresh._input(face[None], s))[..., 1:-1, 1:-1] for s, trunk in fresh.trunks.items()}
same = torch.allclose(first["freq"], first["rgb"], atol=1e-3)
print("✓ both streams start with the same first features" if same or params.pel.frequency_start == "random" else "✗")

# %% [markdown]
# The paper trains with Adam, learning rate 2·10⁻⁴, weight decay 10⁻⁵, batches of 32; the bundled scale takes fewer steps,
# printed below, with the better of two learning rates on the validation people, as all its rivals (`python -m lib.pel.grid`). Fakes may outnumber reals, so each epoch draws as many of the one as of the other. Faces are
# mirrored at random. The epoch with the best AUC on the validation people is kept. Both networks get the same pictures and
# the same number of steps.

# %%
splits = {name: part.reset_index(drop=True) for name, part in table.groupby("split")}
size = params.faces.size
test_images = FaceImages(splits["test"], size)
own = params.pel.training
rates = [train.budget(name, params.pel, params.pel_detectors).learning_rate for name in ("PEL", "RGB")]
print(f"this run: learning rates {rates}, batches of {own.batch_size}, {own.epochs} epochs")
pd.crosstab(table["method"], table["split"])[["train", "val", "test"]]

# %% [markdown]
# `lib.pel.train` does just that, for PEL and for its rivals in the next notebook. Both networks train side by side, each
# with one thread; what is trained already stays. "RGB" is the first stream alone, without any enhancement.

# %%
NETWORKS = {"PEL": "PEL", "RGB stream alone": "RGB"}
score.run_all(NETWORKS.values(), sets, params.pel, params.pel_detectors, params.training_seed, params.machine.threads)
models, histories = {}, {}
for title, name in NETWORKS.items():
    models[title], histories[title] = train.load(train.weights(name))

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4))
for (title, history), marker in zip(histories.items(), figures.MARKERS, strict=False):
    axes[0].plot(history["epoch"], history["loss"], marker=marker, label=title)
    axes[1].plot(history["epoch"], history["val_auc"], marker=marker, label=title)
best = {title: history["val_auc"].max() for title, history in histories.items()}
axes[0].set(xlabel="epoch", ylabel="training loss (Eq. 7)", title="How well the training faces are learned")
axes[1].set(xlabel="epoch", ylabel="AUC of validation frames", title=", ".join(f"{title}: best {value:.3f}" for title, value in best.items()))
axes[1].legend()
figures.save(fig, "pel_training")
plt.show()

# %% [markdown]
# ## 6 People it never saw
#
# `frame_...` counts each frame, `video_...` the mean score of each video. Intervals hold 95 % of 1,000 bootstrap draws of
# people, since frames of one person are not independent.

# %%
scores = {title: predict(model, test_images) for title, model in models.items()}
results = {title: metrics(splits["test"], s, seed=params.seed) for title, s in scores.items()}


def with_interval(result, key):
    return f"{result[key]:.3f} [{result[key + '_low']:.3f}, {result[key + '_high']:.3f}]"


shown = [f"{level}_{metric}" for level in ("frame", "video") for metric in ("accuracy", "auc", "eer", "ap")]
pd.DataFrame({title: {key: with_interval(result, key) for key in shown} for title, result in results.items()})

# %%
gap = results["PEL"]["frame_auc"] - results["RGB stream alone"]["frame_auc"]
counts = results["PEL"]
print(f"{counts['frames']} frames, {counts['videos']} videos, {counts['identities']} people")
print(f"frame AUC, PEL minus its RGB stream, in this one run: {gap:+.4f} (section 7 asks whether that is luck)")
fig, ax = plt.subplots(figsize=(4.8, 4.4))
figures.roc({title: (splits["test"]["label"], s) for title, s in scores.items()}, ax)
ax.set_title(f"{counts['identities']} unseen people, one training each")
figures.save(fig, "pel_roc")
plt.show()


# %% [markdown]
# ### Each forgery on its own
#
# The frames of one method against all real frames:

# %%
def by_method(title):
    part = splits["test"].assign(score=scores[title])
    real = part[part["label"] == 0]
    for method, fake in part[part["label"] == 1].groupby("method"):
        both = pd.concat([real, fake])
        yield title, method, roc_auc_score(both["label"], both["score"])


rows = [row for title in models for row in by_method(title)]
methods = pd.DataFrame(rows, columns=["network", "method", "frame AUC"])
hardest = methods.loc[methods["network"] == "PEL"].sort_values("frame AUC").iloc[0]
bars = {"hue": "network", "palette": [figures.COLOURS[0], "lightgrey"], "edgecolor": "black"}
fig, ax = plt.subplots(figsize=(8.5, 3.8))
sns.barplot(methods, x="method", y="frame AUC", ax=ax, **bars)
ax.set(ylim=(0.5, 1.0), xlabel="", title=f"Lowest of PEL in this run: {hardest['method']}, {hardest['frame AUC']:.3f}")
sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), title=None)
figures.save(fig, "pel_methods")
plt.show()

# %% [markdown]
# ### Table 1, row "Ours", beside the paper's
#
# The paper measures FaceForensics++ with EfficientNet-B4 at 320 px: 28,000 fake and 7,000 real frames of its test videos.
# Ours are measured on the data that the first cell names; at the bundled scale on other, far fewer and smaller faces,
# so the numbers stand side by side but do not compete. HQ is c23, LQ is c40. The next notebook fills the other rows.

# %%
quality = {"c23": "HQ", "c40": "LQ"}.get(params.data.forged.compression, "HQ")
ours = pd.DataFrame([
    {"detector": "Ours" if title == "PEL" else title}
    | report.cell(f"{quality}_acc", result, "frame_accuracy") | report.cell(f"{quality}_auc", result, "frame_auc")
    for title, result in results.items()
])  # fmt: skip
source = params.data.forged
print(f"ours: {source.root} ({source.compression}), {params.pel.backbone}, {size} px, frame level")
report.compare("pel_table1", ours).style.hide()

# %% [markdown]
# ### Faces of other data sets
#
# Each entry of `data.cross_forged` in params.yaml is a further test set; all its videos are used, none were trained on.

# %%
others = {name: sets.table(name) for name in sets.names if sets.sets[name] in params.data.cross_forged}
cross = {
    name: {title: metrics(other, predict(model, FaceImages(other, size)), seed=params.seed)
           for title, model in models.items()}
    for name, other in others.items()
}  # fmt: skip
rows = [(name, title, result["frames"], *(with_interval(result, key) for key in ("frame_auc", "frame_eer")))
        for name, both in {"test people of this data set": results, **cross}.items()
        for title, result in both.items()]  # fmt: skip
pd.DataFrame(rows, columns=["tested on", "network", "frames", "frame AUC", "frame EER"]).style.hide()

# %%
keys = ["frame_accuracy", "frame_auc", "frame_eer", "frame_ap", "video_accuracy", "video_auc", "video_eer", "video_ap"]
every = [key + end for key in keys for end in ("", "_low", "_high")]
names = {"PEL": "pel", "RGB stream alone": "pel_rgb"}
by_name = lambda both: {names[title]: {key: result[key] for key in every} for title, result in both.items()}
per_method = {
    names[title]: part.set_index("method")["frame AUC"].to_dict() for title, part in methods.groupby("network")
}
report.write_metrics("progressive_enhancement", {
    **by_name(results), "frames": counts["frames"], "videos": counts["videos"], "identities": counts["identities"],
    "frame_auc_by_method": per_method,
    **({"cross": {name: by_name(both) for name, both in cross.items()}} if cross else {}),
})  # fmt: skip

# %% [markdown]
# ## 7 Is the difference luck?
#
# One training is one draw. `python -m lib.seeds 0 1 2 3 4` repeats it with other seeds and keeps the scores in
# `results/seeds`. The gain of PEL has two kinds of luck in it, that of the seeds and that of the test people; its interval
# knows both. `visible` is the smallest gain that this comparison would have found in 80 of 100 repetitions.
#

# %%
this_run = {name: score.read([name]) for name in NETWORKS.values()}
runs, told = seeds.together("pel", NETWORKS.values(), params, this_run)
own_test = lambda frame: frame.query("train == @sets.own and test == @sets.own")
kept = {name: {seed: own_test(frame) for seed, frame in of_seeds.items()} for name, of_seeds in runs.items()}
gain = tables.gain(kept["PEL"], kept["RGB"], params.seed)
word = verdicts.verdict(gain["effect"], gain["p"])
if told:
    print(told)
print(f"PEL's frame AUC minus that of its RGB stream, {gain['seeds']} seeds: {gain['effect']:+.4f} "
      f"[{gain['low']:+.4f}, {gain['high']:+.4f}]; visible: {gain['visible']:.4f}; the claim that it is larger: {word}")

# %%
rows = [(title, seed, roc_auc_score(frame["label"], frame["score"]))
        for title, name in NETWORKS.items() for seed, frame in kept[name].items()]  # fmt: skip
aucs = pd.DataFrame(rows, columns=["network", "seed", "frame AUC"])
ax = sns.stripplot(aucs, x="frame AUC", y="network", hue="network", size=9, jitter=False, marker="D", legend=False)
ax.figure.set_size_inches(7, 1.9)
ax.set(xlabel="frame AUC on unseen people, one mark a seed", ylabel="", title=f"That PEL is ahead: {word}")
plt.show()
aucs.groupby("network", sort=False)["frame AUC"].agg(["mean", "std", "min", "max"]).round(4)

# %% [markdown]
# ## 8 What the trained noise block adds
#
# The enhancement of the first noise block, $|f_{out} - f_{in}|$, averaged over channels (in the spirit of the paper's
# Fig. 3), for a real face and a forged version of the same frame:

# %%
part = splits["test"]
fakes = part[part["label"] == 1].merge(part[part["label"] == 0], on=["identity", "frame"], suffixes=("", "_real"))
pair = part[part["path"].isin(fakes.iloc[0][["path_real", "path"]])] if len(fakes) else part.groupby("label").head(1)
pictures = torch.stack([item["rgb"] for item in FaceImages(pair.sort_values("label"), size)])
kept = {}
model = models["PEL"].cpu()
hooks = [block.register_forward_hook(lambda m, args, out, s=stream: kept.update({s: (out - args[0]).abs().mean(1)}))
         for stream, block in zip(model.streams, model.enhancements[1].alone, strict=True)]  # fmt: skip
with torch.no_grad():
    probability = model(pictures).sigmoid()
for hook in hooks:
    hook.remove()

# %%
maps = [kept[stream][side] for side in (0, 1) for stream in model.streams]
level = {stream: kept[stream].mean().item() for stream in model.streams}
centred = [0.5 + (m - m.median()) / (6 * m.std().clamp_min(1e-9)) for m in maps]
grid = [pictures[0], *centred[:2], pictures[1], *centred[2:]]
titles = [f"{kind}, score {p:.2f}" if i == 0 else stream for kind, p in zip(("real", "fake"), probability, strict=True)
          for i, stream in enumerate(("", *model.streams))]  # fmt: skip
figures.show_grid(grid, titles, columns=3, limits=(0, 1), side=2.2)
plt.show()
print("mean enhancement:", {stream: f"{value:.4f}" for stream, value in level.items()})

# %% [markdown]
# ## What we saw
#
# - Noise enhancement keeps what a median removes; channel attention stresses channels; mutual enhancement lets each stream
#   point the other to a place. Section 4 prints how few parameters all of it takes.
# - Sections 6 and 7 say how much PEL gains over its own RGB stream on people it never saw, with the uncertainty. Read the
#   intervals before the means.
# - Section 6 also shows what becomes of both on other data sets, where any are named.
#
# ## Exercises
#
# **1** A 3×3 window holds 2, 7, 7, 1, 9, 4, 4, 8, 3, with 9 in the centre. What is $f_{noi}$ of the centre?

# %%
answer_1 = None

if answer_1 is None:
    print("1: not solved yet")
else:
    window = torch.tensor([[2.0, 7, 7], [1, 9, 4], [4, 8, 3]])[None, None]
    expected = (window - ops.median_filter(window))[0, 0, 1, 1].item()
    print("1: ✓" if answer_1 == expected else "1: ✗ sort the nine values first")

# %% [markdown]
# **2** How many parameters does `pel.ChannelAttention(channels=160)` have, with its hidden layer 16 times narrower and no bias?

# %%
answer_2 = None

if answer_2 is None:
    print("2: not solved yet")
else:
    print("2: ✓" if answer_2 == count(pel_network.ChannelAttention(160)) else "2: ✗ two matrices, 160 by hidden and back")

# %% [markdown]
# **3** With the zero start, can a loss on the RGB stream teach the *frequency* stream through mutual enhancement in the very
# first step? Predict `answer_3` (True or False); the cell tries it.

# %%
answer_3 = None

if answer_3 is None:
    print("3: not solved yet")
else:
    there = torch.randn(1, 4, 6, 6, requires_grad=True)
    pel_network.MutualEnhancement(4)([torch.randn(1, 4, 6, 6), there])[0].square().sum().backward()
    print(
        "3: ✓" if answer_3 == bool(there.grad.abs().sum() > 0) else "3: ✗ what multiplies a_rgb in Eq. 6 at the start?"
    )

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
