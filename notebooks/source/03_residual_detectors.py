# %% [markdown]
# # 03 · Residual detectors: can a fake be told by what cannot be explained?
#
# Notebook 02 trained a network $\Phi$ that paints details into real faces. Now we look at its mistakes, and train
# detectors that see *nothing but* these mistakes.
#
# **After this notebook you can**
# - compute the residual of a picture in pixels and at a perceptual stage, and draw the paper's Figs. 3 and 4;
# - say which side leaves more, photographs or fakes, and why the mean alone is a poor detector;
# - follow a residual through the detector of Eq. 2, and combine two detectors by Eq. 4, by hand;
# - explain how a detector can rank nearly all fakes above nearly all photographs and still err on a quarter of them;
# - say what it changes to train re-synthesizer and detectors together.
#
# **You need**: [02 re-synthesis](02_re_synthesis.ipynb); what a classifier is. **Run alone**: after `make lab`, on any
# CPU; the minutes are in the table of [README.md](../README.md). **Paper**: *Beyond the Spectrum* (He et al., IJCAI 2021),
# Eq. 2 and 4, Figs. 3 and 4, the raw columns of Table 1.
#
# Previous: [02 re-synthesis](02_re_synthesis.ipynb) ·
# Next: [04 results](04_beyond_the_spectrum_results.ipynb)

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
from sklearn.metrics import roc_auc_score

from lib import detectors, figures, paths
from lib.bts import score, sets, train
from lib.bts.detector import combine
from lib.bts.re_synthesizer import box_mean
from lib.data import cards, layouts
from lib.data.items import FaceImages
from lib.data.roots import bundled
from lib.evaluation import report, resampling
from lib.evaluation.metrics import METRICS, metrics, weighted
from lib.evaluation.predict import predict
from lib.ops import spectra
from lib.params import load
from lib.training.device import device, seed_everything

# %%
params = load(scale)
settings, size = params.residual_detectors, params.re_synthesizer.size
figures.style()
seed_everything(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=100)
print(f"scale {params.scale}: {cards.title(params.data.generated)}, {size} px, on {device().type}")

# %% [markdown]
# ## The whole machine in one picture
#
# ![Diagram of Beyond the Spectrum. The picture X (3×128×128) is shrunk to X↓ (3×32×32) and enlarged again by the
# re-synthesizer Φ, an RDN. X and Φ(X↓) are subtracted in pixels and, behind a frozen network Θ, at five stages; this
# gives six residuals. Two classifiers, C₀ and C₅, read the pixel residual and that of stage 5. The mean of their two
# probabilities is the score.](diagrams/bts.svg)
#
# Notebook 02 built the upper half. A **stage** is a depth of the frozen network $\Theta$; its outputs there are the
# *features* of that stage, and stage 0 stands for the pixels. This notebook builds the lower half: the residuals, the two
# classifiers, their mean.
#
# The pictures are those of notebook 02: no person of the training pictures is among the test pictures.

# %%
def named(method):
    """The name of a source of pictures, for readers."""
    known = method != sets.ALL
    return cards.source(params.data.generated, method) if known else "all generators"


table = layouts.images(params.data.generated, params.seed, params.re_synthesizer.limit)
test = sets.rows(table, "test")
counts = table.assign(source=table["method"].map(named)).groupby(["source", "split"]).size()
counts.unstack(fill_value=0)[["train", "val", "test"]]

# %% [markdown]
# ## 1 The residual
#
# Take a picture $X$, shrink it, let $\Phi$ enlarge it again, subtract:
#
# $$R_0 = |X-\Phi(X_\downarrow)|, \qquad R_i = |\Theta_i(X)-\Theta_i(\Phi(X_\downarrow))|$$
#
# On paper first. This $\Phi$ only repeats each pixel, and the picture is one row of two boxes of four pixels:

# %% tags=["nbval-check-output"]
X = torch.tensor([1.0, 1.0, 3.0, 3.0, 5.0, 5.0, 5.0, 5.0])
X_down = X.reshape(2, 4).mean(1)
explained = X_down.repeat_interleave(4)
print("X_down  ", X_down.tolist())
print("residual", (X - explained).abs().tolist())

# %% [markdown]
# The even box leaves nothing. The box with an edge leaves its edge. Now the real thing: `BeyondTheSpectrum` holds $\Phi$,
# $\Theta$ and one detector a stage, and `residuals` does the above for each stage it was told to use.

# %%
sections = {"re_synthesizer": params.re_synthesizer, "residual_detectors": settings}
model, options = train.network(detectors.entry("SR"), size, params.seed, **sections)
shown = test.groupby("method", sort=False).head(2).reset_index(drop=True)
X = torch.stack([item["rgb"] for item in FaceImages(shown, size)]).to(device())
with torch.inference_mode():
    guess = model.re_synthesizer(F.avg_pool2d(X, 4))
    seen, seen_again = [X, *model.perceptual(X)], [guess, *model.perceptual(guess)]
    by_hand = [(seen[stage] - seen_again[stage]).abs() for stage in settings.stages]
    residuals = model.residuals(X)

# %%
for stage, ours, theirs in zip(settings.stages, by_hand, residuals, strict=True):
    verdict = "✓ agree" if torch.allclose(ours, theirs, atol=1e-5) else "✗ differ"
    print(f"stage {stage}: {tuple(theirs.shape)} by hand and by the module {verdict}")

# %% [markdown]
# ## 2 Fig. 3: what is left of each kind of picture
#
# First row: the pictures. Below: the residual of each stage, averaged over its channels, one scale a row. The numbers
# are means over the picture.

# %%
names = ["pixel" if stage == 0 else f"stage {stage}" for stage in settings.stages]
maps = [residual.mean(1) for residual in residuals]
cells = [*X, *[image / stage.quantile(0.995) for stage in maps for image in stage]]
titles = [f"{'fake' if row.label else 'real'}: {named(row.method)}" for row in shown.itertuples()]
titles += [f"{name}: {image.mean():.3f}" for name, stage in zip(names, maps) for image in stage]
fig = figures.show_grid(cells, titles, columns=len(shown), side=1.8, limits=(0, 1))
figures.show(fig, alt="Two pictures of each source, and their residuals below: in pixels bright "
             f"along eyes and outline, later coarse maps. {'; '.join(titles)}.", name="bts_fig3")

# %% [markdown]
# Two things to see. The pixel residual draws the face again: hair, eyes, mouth, whoever drew them. And the map of a late
# stage has only a few places, each of which has seen much of the face. But before we believe six pictures, we look at all
# of the test set.
#
# ## 3 Fig. 4: how much is left
#
# The paper averages each residual over the picture and draws the histogram. There, at 1024 pixels, fakes lie to the
# right: more is left of them. To measure how well one number tells fakes from photographs, without choosing a threshold,
# we take the **AUC** (area under the ROC curve). Its meaning is simple: draw a fake and a photograph; how often has the
# fake the larger number? 1 is perfect, 0.5 is guessing. By hand:

# %% tags=["nbval-check-output"]
fakes, photographs = [3.0, 5.0], [1.0, 4.0]
right = [fake > photograph for fake in fakes for photograph in photographs]
print("pairs in the right order:", right, "-> AUC", sum(right) / len(right))
agree = roc_auc_score([1, 1, 0, 0], fakes + photographs) == sum(right) / len(right)
print("✓ scikit-learn agrees" if agree else "✗ scikit-learn differs")

# %%
items = FaceImages(test, size)


@torch.inference_mode()
def amounts(index):
    """The mean residual of each stage, and the mean |X - repeated X_down|: what shrinking takes."""
    rgb = items[index]["rgb"][None].to(device())
    taken = (rgb - F.interpolate(box_mean(rgb), scale_factor=4)).abs().mean().item()
    return [*(residual.mean().item() for residual in model.residuals(rgb)), taken]


left = pd.DataFrame([amounts(i) for i in range(len(items))], columns=[*names, "taken"])
left = left.assign(method=test["method"], label=test["label"])
means = left.groupby("method", sort=False)[names].agg(["mean", "std"])
means.rename(index=named).style.format(precision=4)

# %%
def with_interval(scores, rows, metric):
    """A metric of one score a picture, with its 95 % interval over the people."""
    labels, scores = rows["label"].to_numpy(int), np.asarray(scores, float)
    measure = lambda weights: weighted(labels, scores, weights)[METRICS.index(metric)]
    low, high = resampling.interval(rows["identity"], measure, labels=labels)
    return measure(np.ones((1, len(rows))))[0], low, high


def span(value, low, high, form=".3f"):
    """A number and its interval, in words; few people may have none."""
    around = f"[{low:{form}}, {high:{form}}]" if low == low else "[too few people]"
    return f"{value:{form}} {around}"


# %%
generators = test.loc[test["label"] == 1, "method"].unique()
rows = []
for name in names:
    for method in generators:
        two = test[(test["label"] == 0) | (test["method"] == method)]
        rows.append((name, method, *with_interval(left.loc[two.index, name], two, "auc")))
apart = pd.DataFrame(rows, columns=["stage", "method", "auc", "low", "high"])

# %%
kinds = list(left["method"].unique())
grid = {"figsize": (4.6 * len(names), 1.5 * len(kinds) + 0.4), "sharex": "col", "squeeze": False}
fig, axes = plt.subplots(len(kinds), len(names), **grid)
for column, name in enumerate(names):
    bins = np.linspace(left[name].min(), left[name].max(), 30)
    middle = left.loc[left["label"] == 0, name].median()
    for ax, method in zip(axes[:, column], kinds, strict=True):
        fake = method in generators
        ax.hist(left.loc[left["method"] == method, name], bins, color="0.35" if fake else "0.7")
        ax.axvline(middle, color="black", linestyle="--", linewidth=1)
        found = apart[(apart["stage"] == name) & (apart["method"] == method)]
        auc = f", AUC {found['auc'].iloc[0]:.2f}" if fake else ""
        ax.set_title(f"{name}, {named(method)}{auc}", fontsize=10)
    unit = "of [0, 1]" if name == "pixel" else "of the features"
    axes[-1, column].set_xlabel(f"mean residual ({unit})")
fig.supylabel("test pictures", fontsize=11)
fig.suptitle("How much is left; dashed: the median of the photographs", fontsize=11)
figures.show(fig, alt="Histograms of the mean residual, one row a source, one column a stage, with "
             "the median of the photographs dashed. The AUCs follow as a table.", name="bts_fig4")

# %% tags=["hide-input"]
def side(row):
    """What an AUC of the mean residual says of its generator."""
    if row.low <= 0.5 <= row.high or row.low != row.low:
        return "not told apart"
    return "fakes leave **more**, as in the paper" if row.auc > 0.5 else "fakes leave **less**"


lines = [f"| {row.stage} | {named(row.method)} | {span(row.auc, row.low, row.high, '.2f')} "
         f"| {side(row)} | fakes leave more |" for row in apart.itertuples()]
head = "residual | generator | AUC of the mean, 95 % interval over people | ours | paper, Fig. 4"
Markdown("\n".join([f"| {head} |", "|---|---|---|---|---|", *lines]))

# %% tags=["hide-input"]
said = ["An AUC below 0.5 is **worse than chance**: such fakes leave *less* than photographs. The "
        "number is not useless then, only its sign is turned. But who makes a rule of \"more "
        "residual = fake\" is wrong more often than a coin."]
for row in apart.itertuples():
    place = f"{row.stage}, {named(row.method)}: {row.auc:.2f}"
    if row.high < 0.5:
        said.append(f"{place} is such a case: less is left in {1 - row.auc:.0%} of all pairs.")
    elif row.low < 0.5:
        said.append(f"{place} has an interval on both sides of 0.5: the mean says nothing there.")
Markdown(" ".join(said))

# %% [markdown]
# ### Why can a fake leave less?
#
# Because the mean residual measures first of all how *sharp* a picture is. The **power spectrum** shows it: how much of
# each frequency a picture holds, where "$f$ cycles a picture" are $f$ waves from one side to the other. $X_\downarrow$ can
# hold waves up to an eighth of the number of pixels. Everything finer must be guessed; what is not there needs no guess.

# %%
grey = [item["rgb"].mean(0).numpy() for item in items]
power = {method: spectra.mean_spectrum([grey[i] for i in part.index])
         for method, part in test.groupby("method", sort=False)}
real = test.loc[test["label"] == 0, "method"].iloc[0]
finest, corner = size // 8, size // 2

# %%
fig, ax = plt.subplots(figsize=(7.5, 3.4))
for method in generators:
    frequency = np.arange(1, len(power[method]))
    ratio = 10 * np.log10(power[method][1:] / power[real][1:])
    ax.plot(frequency, ratio, marker="", label=named(method))
ax.axhline(0, color="grey", linewidth=1, linestyle="-")
for place, text in ((finest, "not in X↓ →"), (corner, "corners →")):
    ax.axvline(place, color="black", linestyle=":", linewidth=1)
    ax.text(place + 0.5, 0.97, text, transform=ax.get_xaxis_transform(), fontsize=9, va="top")
ax.set(xlabel="frequency (cycles a picture)", ylabel="power against\nphotographs (dB)")
waves = np.bincount(spectra.rings(size).ravel())  # how many there are of each frequency
fine = {method: (spectrum * waves)[finest:].sum() for method, spectrum in power.items()}
against = [f"{named(m)} {10 * np.log10(fine[m] / fine[real]):+.1f} dB" for m in generators]
ax.set_title(f"Finer than X↓ holds: {', '.join(against)}")
ax.legend(loc="center left", fontsize=9)
figures.show(fig, alt="Power of the fakes against that of photographs at each frequency, in "
             f"decibel. Finer than the small picture holds: {', '.join(against)}.")

# %% tags=["hide-input"]
rank = left[[names[0], "taken"]].corr("spearman").iloc[0, 1]
top = max(10 * np.log10(power[m][corner:] / power[real][corner:]).max() for m in generators)
tail = (power[real] * waves)[corner:].sum() / fine[real]
enlarged = ""
if bundled(params.data.generated.root):
    enlarged = ("The ORL photographs were enlarged from 92 pixels and hold next to no waves beyond "
                "46 cycles; the generators put some there. ")
Markdown(f"""
In waves that X↓ cannot hold, beyond {finest} cycles, the power against that of the photographs is:
{', '.join(against)}. Over all {len(left)} test pictures the mean residual ({names[0]}) has a rank
correlation of {rank:.2f} with what shrinking took away (mean of |X − repeated X↓|); 1 would be the
same order.

Two things in the figure surprise. The fakes rise to {top:+.0f} dB at the finest waves. {enlarged}In
the mean this hardly counts: of all that X↓ lacks of a photograph, {tail:.1%} lies there. And the
**kink at {corner} cycles** is geometry, not a trace of a generator: the spectrum is a square of
{size}×{size} frequencies. From {corner} on, its sides cut off each ring of equal frequency, and
only diagonal waves are left, in the corners.
""")

# %% [markdown]
# So "more residual = fake" is no rule to build on. The *pattern* of the residual is another matter: a network can read it.
#
# ## 4 The detector
#
# $$C(|X^* - \Phi(X^*_\downarrow)|) \tag{2}$$
#
# $X^*$ is the picture in question. $C$ is the ResNet-50 of the released code. It differs from the usual one: three 3×3
# convolutions at the start, the first two with stride 2, and stride 1 in the last two groups. Its first layer takes as many
# channels as the stage has. It ends with two **logits**, one for real and one for fake: numbers without bounds, which a
# softmax turns into two probabilities that add up to 1.

# %% tags=["nbval-check-output"]
from lib.backbones.resnet import ResidualDetector

with torch.device("meta"):  # shapes without memory
    for channels, name in [(3, "pixel"), (64, "VGG stage 1"), (512, "VGG stage 5")]:
        count = sum(p.numel() for p in ResidualDetector(channels).parameters())
        print(f"{name:12} {channels:4} channels: {count:,} parameters")


# %% [markdown]
# Ours is narrower and less deep, because it learns from few pictures. What happens to one residual on its way, and to
# the paper's stage 5 at 1024 pixels:

# %%
@torch.inference_mode()
def sizes(detector, residual):
    x = detector.eval().maxpool(F.relu(detector.bn1(detector.conv1(residual))))
    yield from (residual, x)
    for layer in (detector.layer1, detector.layer2, detector.layer3, detector.layer4):
        x = layer(x)
        yield x


way = {f"ours, {name}": list(sizes(reader, residual)) for name, reader, residual
       in zip(names, model.detectors, residuals, strict=True)}
with torch.device("meta"):
    way["paper, stage 5"] = list(sizes(ResidualDetector(512), torch.empty(1, 512, 64, 64)))
for name, steps in way.items():
    shapes = " -> ".join("x".join(map(str, x.shape[1:])) for x in steps)
    print(f"{name}: {shapes} -> mean over places -> 2 logits")

# %% tags=["hide-input"]
last = names[-1]
before, after, *_ = (x.shape[-1] for x in way[f"ours, {last}"])
_, after_paper, *_, end_paper = (x.shape[-1] for x in way["paper, stage 5"])
Markdown(f"""
**Our {last} collapses.** Its map has {before}×{before} places; two strides and a pooling at the
start of the network leave {after}×{after}. From there on, eight of the nine weights of each 3×3
convolution meet nothing but padding: this detector reads *which* features differ, and no longer
*where*. In the paper, at 1024 pixels, {after_paper}×{after_paper} places are left at that point,
and {end_paper}×{end_paper} at the end.
""" if after == 1 else f"{last}: {after}×{after} places are left after the start of the network.")

# %% [markdown]
# ## 5 Training
#
# One detector a stage, for each generator alone and for all together (the one that `python -m lib.detect --detector bts`
# uses). As many fakes as photographs in every epoch. $\Phi$ and $\Theta$ stay fixed, so the residuals are computed once and
# kept. A mirrored picture gets its own residual: $\Phi$ of a mirrored picture is not the mirrored $\Phi$.
#
# **Train it yourself: about a quarter of an hour on two cores.** Remove the folder `checkpoints/bts` and run
# `python -m lib.bts.score`, which trains these and all rivals of notebook 04. The next cell trains nothing. It reads the
# weights that this command has left.

# %%
trained_on = dict.fromkeys([*params.bts_detectors.sources, sets.ALL])
trained = {source: train.load("SR", source) for source in trained_on}
baseline = {source: train.load("Image", source) for source in trained_on}
print("read:", ", ".join(f"SR and Image against {named(source)}" for source in trained))

# %%
short = {name: name.replace("pixel", "pix").replace(" ", "") for name in names}
looks = {"figsize": (4 * len(trained), 3.2), "squeeze": False, "sharey": True}
fig, axes = plt.subplots(1, len(trained), **looks)
for ax, (generator, (_, past)) in zip(axes.flat, trained.items(), strict=True):
    curves = {name: past[f"val_auc_{column}"] for name, column in short.items()}
    curves["the picture itself"] = baseline[generator][1]["val_auc"]
    for (name, values), marker in zip(curves.items(), figures.MARKERS, strict=False):
        ax.plot(past["epoch"], values, marker=marker, label=name)
    last = past["val_auc"].iloc[-1]
    ax.set(xlabel="epoch", title=f"{named(generator)}: {last:.3f}")
axes[0, 0].set_ylabel("AUC on validation people")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
fig.suptitle("Learned from ...: AUC of the averaged residual detectors at the end")
figures.show(fig, alt=f"AUC on validation people by epoch, of {', '.join(names)} and the picture "
             "itself, one panel for each generator.", name="bts_detector_training")

# %% [markdown]
# "The picture itself" is the same network without the re-synthesis: the row *Image* of Table 1. It learns the known
# generator too, only later. What sets them apart shows in section 7, on a generator that none of them has seen.
#
# ## 6 Two opinions, one verdict
#
# $$\text{score} = \beta_0\, C_0(R_0) + \sum_{i=1}^{n} \beta_i\, C_i(R_i) \tag{4}$$
#
# The paper takes pixel and stage 5, $\beta = (\tfrac12, \tfrac12)$. It does not say whether $C$ is a logit or a
# probability; we average probabilities, so that one very sure detector cannot shout the other down. By hand, for three
# pictures and two detectors:

# %% tags=["nbval-check-output"]
opinions = torch.tensor([[0.9, 0.8], [0.2, 0.7], [0.1, 0.3]])  # (pictures, stages)
beta = torch.tensor([0.5, 0.5])
for row in opinions.tolist():
    print(f"0.5 * {row[0]:.1f} + 0.5 * {row[1]:.1f} = {0.5 * row[0] + 0.5 * row[1]:.2f}")
by_hand = (opinions * beta).sum(1)
agree = torch.allclose(combine(opinions, beta), by_hand)
print("✓ combine agrees" if agree else "✗ combine differs")

# %%
detector = trained[sets.ALL][0].to(device())
with torch.inference_mode():
    *stages, whole = (part.cpu() for part in detector.opinions({"rgb": X}).values())
weights = np.array(settings.stage_weights) / sum(settings.stage_weights)
agree = np.allclose(torch.stack(stages, 1).numpy() @ weights, whole.numpy(), atol=1e-5)
print("✓ Avg is Eq. 4" if agree else "✗ Avg is not Eq. 4")
titles = [f"{named(m)}: {p:.3f}" for m, p in zip(shown["method"], whole.tolist(), strict=True)]
fig = figures.show_grid(X, titles, columns=len(shown), side=1.8)
figures.show(fig, alt=f"The pictures of section 2 with their scores: {'; '.join(titles)}.")


# %% [markdown]
# Each test picture as a point: what each detector says, photographs and fakes. The line is where Eq. 4 gives 0.5.

# %%
def scores_of(name, source):
    """What a detector says of each picture of `test`, in its order."""
    frame = score.read(name, source)
    own = frame[frame["test"] == "raw"].reset_index(drop=True)
    return own.drop(columns=score.COLUMNS).dropna(axis=1)


scored = {g: scores_of("SR", g).join(scores_of("Image", g).rename(columns={"score": "Image"}))
          for g in trained}
first, second, *_ = scored[sets.ALL].columns
points = scored[sets.ALL].assign(source=test["method"].map(named))
shown_parts = dict.fromkeys((first, second, "Avg"))
wrong = {name: int(((points[name] > 0.5) != test["label"]).sum()) for name in shown_parts}
told = ", ".join(f"{name} {count}" for name, count in wrong.items())

# %%
fig, ax = plt.subplots(figsize=(5.8, 4.4))
sns.scatterplot(points, x=first, y=second, hue="source", style="source", alpha=0.7, s=45, ax=ax)
if second != "Avg":
    ends = [weights.sum() / 2 / weights[1], (0.5 - weights[0]) / weights[1]]
    ax.plot([0, 1], ends, color="grey", linestyle="--", marker="")
ax.set(xlabel=f"{first}: probability of fake", ylabel=f"{second}: probability of fake",
       xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
ax.set_title(f"Wrong verdicts on {len(test)} pictures: {told}", fontsize=11)
ax.legend(loc="center", fontsize=9)
figures.show(fig, alt="The verdicts of both detectors, a point for each test picture. Wrong on "
             f"{len(test)} pictures: {told}.", name="bts_two_opinions")


# %% [markdown]
# Points far from both corners are pictures on which the two detectors disagree. The mean helps where the one that is
# right is surer than the one that is wrong.
#
# ## 7 Known and unknown generators
#
# The real test: fakes of a generator that the detector has never seen. **Accuracy** is the share of pictures on the right
# side of the threshold 0.5. Each generator is tested against all test photographs. Rows: what the detector was trained on.

# %%
def measure(method, trained_on, tested_on):
    chosen = sets.of_source(test, tested_on)
    told = scored[trained_on][method].to_numpy()[chosen]
    numbers = metrics(test.iloc[chosen], told, level="frame")
    return {"method": method, "trained_on": trained_on, "tested_on": tested_on, **numbers}


places = [(method, on, tested) for on, frame in scored.items()
          for tested in sets.sources(table) for method in frame]
measured = pd.DataFrame([measure(*place) for place in places])
grid = measured.pivot_table("frame_accuracy", ["method", "trained_on"], "tested_on", sort=False)

# %%
methods = measured["method"].unique()
fig, axes = plt.subplots(1, len(methods), figsize=(3.2 * len(methods), 3.2), squeeze=False)
for ax, method in zip(axes.flat, methods, strict=True):
    percent = 100 * grid.loc[method]
    looks = {"vmin": 50, "vmax": 100, "cmap": "Greys", "cbar": False, "square": True}
    sns.heatmap(percent, ax=ax, annot=True, fmt=".1f", **looks)
    known = np.mean([percent.loc[g, g] for g in percent.index if g in percent])
    ax.set(xlabel="tested on", ylabel="trained on" if ax is axes[0, 0] else "")
    ax.set_title(f"{method}: {known:.1f} % on the known", fontsize=11)
alt = "; ".join(f"{method} trained on {on}: {', '.join(f'{t} {x:.0%}' for t, x in row.items())}"
                for (method, on), row in grid.iterrows())
figures.show(fig, alt=f"Accuracy in percent, dark is high. {alt}.", name="bts_known_and_unknown")

# %% [markdown]
# On the diagonal stand the generators that a detector has learned from. Off the diagonal stand the unknown ones. Here they
# are once more, beside the paper's Table 1:

# %%
paper = report.paper_table("bts_table1").set_index(["detector", "S"])
unknown = measured[measured["trained_on"] != measured["tested_on"]]
unknown = unknown[~unknown[["trained_on", "tested_on"]].eq(sets.ALL).any(axis=1)]


# %%
def by_the_paper(row):
    """The paper's accuracy in the same place of Table 1, in percent."""
    known = ("Image", "/") if row.method == "Image" else (f"Ours ({row.method})", "SR")
    columns = {("ProGAN", "StyleGAN"): "PtoS_raw", ("StyleGAN", "ProGAN"): "StoP_raw"}
    column = columns.get((row.trained_on, row.tested_on))
    return paper.loc[known, column] if known in paper.index and column else "-"


def direction(row):
    return f"{named(row.trained_on)} → {named(row.tested_on)}"


# %%
def cell(row, metric, times=1, digits=3):
    found = (times * row[f"frame_{metric}{end}"] for end in ("", "_low", "_high"))
    return span(*found, f".{digits}f")


lines = [{"trained on → tested on": direction(row), "detector": row.method,
          "accuracy, %": cell(row, "accuracy", 100, 1), "paper, %": by_the_paper(row),
          "AUC": cell(row, "auc")} for _, row in unknown.iterrows()]
pd.DataFrame(lines).style.hide()

# %% tags=["hide-input"]
said = ["In brackets: 95 % intervals over the people. They are those of one training, so they say "
        "nothing about the luck of a training; notebook 04 does. The paper prints no AUC."]
turned = unknown[unknown["frame_auc_high"] < 0.5]
for row in turned.itertuples():
    said.append(f"{row.method}, {direction(row)}: an AUC of {row.frame_auc:.2f} is **worse than "
                "chance**. It ranks these fakes *below* photographs: they have less of what it "
                "took for fake.")
for row in unknown.nsmallest(1, "frame_auc").itertuples() if turned.empty else ():
    guess = "lies above 0.5" if row.frame_auc_low > 0.5 else "holds 0.5: it may be guessing"
    said.append(f"The lowest AUC is {row.frame_auc:.3f} ({row.method}, {direction(row)}); its "
                f"interval {guess}.")
said.append("All of Table 1, with its rivals and with fakes whose traces were wiped, is "
            "[notebook 04](04_beyond_the_spectrum_results.ipynb).")
Markdown(" ".join(said))

# %% [markdown]
# ## 8 Ranking well and deciding badly
#
# Compare the two columns: a high AUC may stand beside a poor accuracy. How can that be? The two ask different questions.
# The AUC asks only for the *order*: are fakes above photographs? Accuracy also asks for a **threshold**: are they on the
# right sides of 0.5? Six pictures on paper, three photographs first:

# %% tags=["nbval-check-output"]
labels = np.array([0, 0, 0, 1, 1, 1])
scores = np.array([0.01, 0.02, 0.04, 0.10, 0.30, 0.70])
print(f"AUC {roc_auc_score(labels, scores):.2f}")
for threshold in (0.5, 0.07):
    print(f"accuracy at {threshold}: {((scores > threshold) == labels).mean():.0%}")

# %% [markdown]
# Every fake is above every photograph, and still two of three fakes pass at 0.5. With the threshold at 0.07 all is right.
# The same happens to the averaged detector when the generator is new. Below: the share that is called fake, if the
# threshold lies at each place.

# %%
worst = unknown[unknown["method"] == "Avg"]
worst = worst.assign(gap=worst["frame_auc"] - worst["frame_accuracy"]).nlargest(1, "gap")
case = next(worst.itertuples(), None)
if case is None:
    print("this data set has one kind of fake, so there is no unknown generator")
else:
    chosen = test.iloc[sets.of_source(test, case.tested_on)]
    told = scored[case.trained_on]["Avg"].loc[chosen.index]
    val = sets.rows(table, "val", 0)  # photographs of other people, known to be photographs
    quiet = predict(trained[case.trained_on][0], FaceImages(val, size))
    threshold = np.quantile(quiet, 0.95)
    moved = with_interval(told > threshold, chosen, "accuracy")

# %%
if case is not None:
    steps = np.geomspace(max(told.min() / 2, 1e-5), 1, 400)
    of_real, of_fake = (told[chosen["label"] == kind].to_numpy() for kind in (0, 1))
    above = [(scores > steps[:, None]).mean(1) for scores in (of_real, of_fake)]
    fig, ax = plt.subplots(figsize=(9.5, 3.6))
    for label, share in ((f"fakes of {named(case.tested_on)} called fake", above[1]),
                         ("photographs called fake", above[0]),
                         ("right verdicts, both alike", (above[1] + 1 - above[0]) / 2)):
        ax.plot(steps, share, marker="", label=label)
    for place in (0.5, threshold):
        ax.axvline(place, color="grey", linewidth=1, linestyle="-")
        ax.text(place, 1.04, f"{place:.2g}", ha="center", fontsize=9)
    ax.set(xscale="log", xlabel="threshold (logarithmic)", ylabel="share", ylim=(-0.02, 1.12))
    accuracies = f"{case.frame_accuracy:.1%} at 0.5, {moved[0]:.1%} at {threshold:.2g}"
    ax.set_title(f"Avg, {direction(case)}: accuracy {accuracies}", fontsize=11)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    figures.show(fig, alt=f"Share of fakes and of photographs above each threshold: {accuracies}.")

# %% tags=["hide-input"]
lesson = "With one kind of fake there is no unknown generator, and no threshold to be carried over."
if case is not None:
    missed, alarms = (of_fake <= 0.5).mean(), [(of_real > t).mean() for t in (0.5, threshold)]
    accuracy = (case.frame_accuracy, case.frame_accuracy_low, case.frame_accuracy_high)
    lesson = f"""Avg, {direction(case)}: an AUC of
    {span(case.frame_auc, case.frame_auc_low, case.frame_auc_high)} beside an accuracy of
    {span(*accuracy, '.1%')}. {missed:.0%} of the fakes stay below 0.5, and {alarms[0]:.0%} of the
    photographs lie above. A threshold that 95 % of the {len(val)} *validation photographs* stay
    below, {threshold:.2g}, needs no fake of the new generator. With it the accuracy is
    {span(*moved, '.1%')}, and {alarms[1]:.0%} of the photographs are called fake."""
lesson = " ".join(lesson.split())
Markdown(lesson)

# %% [markdown]
# Where do the misses come from? Ask the two detectors one by one:

# %%
if case is not None:
    parts = scored[case.trained_on].loc[chosen.index[chosen["label"] == 1], [first, second]]
    says_fake = parts[of_fake <= 0.5] > 0.5
    split = (says_fake.sum(axis=1) == 1).sum()
    print(f"fakes of {named(case.tested_on)} that Avg misses: {len(says_fake)}; called fake by "
          + ", ".join(f"{name} {count}" for name, count in says_fake.sum().items()))
    score_there = of_fake[of_fake <= 0.5].mean() if len(says_fake) else 0
    print(f"one says fake, the other real: {split}; mean score of the misses {score_there:.2f}")

# %% tags=["hide-input"]
reason = "Nothing to explain here."
if case is not None and len(says_fake):
    halves, middle = split / len(says_fake), [np.median(of_real), np.median(of_fake)]
    reason = f"""In {halves:.0%} of the misses the two disagree, and the equal halves of Eq. 4 leave
    the one that is right just short of 0.5. In the other {1 - halves:.0%} both say photograph: a
    new generator shows fewer of the traces that were learned. Yet the median score is
    {middle[1]:.2g} for all these fakes and {middle[0]:.2g} for photographs.
    {'So the order survives where the threshold fails.' if case.frame_auc > 0.8 else ''}"""
Markdown(" ".join(reason.split()))

# %% tags=["hide-input"]
theirs = paper.loc[("Image", "/"), ["PtoS_raw", "StoP_raw"]]
Markdown(f"""
Three lessons. A poor accuracy does not say that a detector has learned nothing. A good AUC does not
say that it can be used as it is. And the paper's Table 1 prints accuracies only: its
{' % and '.join(theirs)} % of *Image* on an unknown generator may be a failed ranking or a failed
threshold. From the paper alone, nobody can tell.
""")

# %% tags=["hide-input"]
others = {}
for data_set in params.data.cross_generated:
    other = sets.rows(layouts.images(data_set, params.seed, params.re_synthesizer.limit), "test")
    told_others = predict(detector, FaceImages(other, data_set.size or size))
    others[data_set.root] = metrics(other, told_others, level="frame")
numbers = {f"Avg on {root}": found for root, found in others.items()}
for row in measured.to_dict("records"):
    name = f"{row['method']}, trained on {row['trained_on']}, tested on {row['tested_on']}"
    numbers[name] = {key: value for key, value in row.items() if key.startswith("frame_")}
report.write_metrics("residual_detectors", numbers)
found = [f"{root} AUC {values['frame_auc']:.3f}" for root, values in others.items()]
Markdown("Sets of your own join here by their path (`data.cross_generated` in params.yaml). "
         + (f"Found: {', '.join(found)}." if found else "None is named for this run."))

# %% [markdown]
# ## 9 End to end: may $\Phi$ learn, too?
#
# So far $\Phi$ was finished before the first detector began. Section 4.2 of the paper trains both together:
#
# $$\mathcal L \;=\; \underbrace{\sum_{i} \mathrm{CE}\big(C_i(|\Theta_i(X)-\Theta_i(\Phi(X_\downarrow))|),\, y\big)}_{\text{photographs and fakes, clean}}
# \;+\; \underbrace{\sum_{i=0}^{5} \alpha_i\,\big\|\Theta_i(X_r)-\Theta_i(\Phi(\Omega(X_{r\downarrow})))\big\|_1}_{\text{photographs } X_r \text{ alone, damaged by } \Omega}$$
#
# CE is the **cross-entropy**, minus the logarithm of the probability given to the right answer. $\Theta_0$ is the picture
# itself, and the norms are means, as in Eq. 3. Both sums by hand, for the pictures of section 1 and detectors that have
# learned nothing yet:

# %%
from lib.bts.degradations import TASKS
from lib.bts.joint_model import EndToEnd, joint_loss

alpha, omega = params.re_synthesizer.stage_weights, TASKS[params.joint_training.task]
whole = EndToEnd(**options).to(device())
whole.load_state_dict(model.state_dict())
few = X[..., :256, :256]  # a corner is enough: of 1024 pixels a step takes 15 GB a picture
batch = {"rgb": few, "label": torch.tensor(shown["label"].to_numpy()).to(device())}

# %%
torch.manual_seed(params.seed)
real = few[batch["label"] == 0]
guess = whole.re_synthesizer(omega(box_mean(real), torch.default_generator))
with torch.no_grad():
    pairs = zip([guess, *whole.perceptual(guess)], [real, *whole.perceptual(real)], strict=True)
    distance = sum(a * F.l1_loss(x, y) for a, (x, y) in zip(alpha, pairs, strict=True))
    entropy = sum(F.cross_entropy(logits, batch["label"]) for logits in whole.eval()(few).unbind(1))
print(f"cross-entropy {entropy:.4f} + distance {distance:.4f} = {entropy + distance:.4f}")

# %%
whole.re_synthesizer.requires_grad_(True)
torch.manual_seed(params.seed)
found = joint_loss(whole, omega, alpha)(whole, batch)
agree = torch.allclose(found["loss"], entropy + distance, rtol=1e-4)
agree &= params.re_synthesizer.loss == "paper"
print("✓ joint_loss agrees" if agree else "✗ joint_loss differs")


# %% [markdown]
# A cross-entropy near $2 \cdot \ln 2 = 1.39$ is that of two detectors that say ½ to everything. The released code has both
# sums, too. But it builds $\Phi$ with `requires_grad=False`, so the second one has no gradient, and it scales the step of the
# classifiers to $10^{-6} \cdot 10^{-3}$. One step of each, and the largest change of a weight:

# %%
def one_step(learns, learning_rate, detector_weight=1.0):
    network = EndToEnd(**options).to(device())
    network.load_state_dict(model.state_dict())
    network.re_synthesizer.requires_grad_(learns)
    loss = joint_loss(network, omega, alpha, detector_weight=detector_weight)
    loss(network.train(), batch)["loss"].backward()
    torch.optim.SGD([p for p in network.parameters() if p.requires_grad], learning_rate).step()
    pairs = zip(network.re_synthesizer.parameters(), model.re_synthesizer.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


released = one_step(False, 1e-6, 1e-3)
joint = one_step(True, params.joint_training.learning_rate)
print(f"released: {released:.1e} {'✓ Φ stands still' if released == 0 else '✗'}")
print(f"joint:    {joint:.1e} {'✓ Φ learns' if joint > 0 else '✗'}")

# %% [markdown]
# What that does in the long run takes longer than this notebook. **Train it yourself: about twenty minutes on two cores.**
# `python -m lib.bts.joint_training --seeds 0 1 2` trains, from the same start, the detectors alone (*frozen*), the release's
# way (*released*) and both (*joint*), each as many steps, and keeps `results/tables/bts_end_to_end.csv`. Where that file holds
# this data set, here it is:

# %%
file = paths.TABLES / "bts_end_to_end.csv"
runs = pd.read_csv(file) if file.is_file() else pd.DataFrame(columns=["data", "scale"])
runs = runs[(runs["data"] == params.data.generated.root) & (runs["scale"] == params.scale)]
wanted = {"psnr": "PSNR, clean (dB)", "degraded_psnr": "PSNR after Ω (dB)",
          "raw_accuracy": "accuracy, known", "other_auc": "AUC, unknown",
          "P_accuracy": "accuracy, +P"}
columns = {column: name for column, name in wanted.items() if column in runs}
if runs.empty:
    print("not run at this scale")
else:
    means = runs.groupby("variant", sort=False)[list(columns)].mean().rename(columns=columns)
    print(f"means over {runs['seed'].nunique()} training seeds")
    display(means.style.format(precision=4))

# %%
if not runs.empty:
    by_seed = runs.pivot(index="seed", columns="variant")
    ahead = [(by_seed[column]["joint"] > by_seed[column]["frozen"]).all() for column in columns]
    fig, axes = plt.subplots(1, len(columns), figsize=(2.6 * len(columns), 3))
    for ax, (column, name) in zip(axes, columns.items(), strict=True):
        for marker, (seed, row) in zip(figures.MARKERS, by_seed[column].iterrows(), strict=False):
            change = row[["frozen", "released", "joint"]] - row["start"]
            ax.plot(change.index, change, marker=marker, linestyle="none", label=f"seed {seed}")
        ax.axhline(0, color="grey", linewidth=1)
        ax.set_title(name, fontsize=10)
        ax.tick_params(axis="x", rotation=45)
    axes[0].set_ylabel("change since the start")
    fig.suptitle(f"Joint beats frozen with every seed in {sum(ahead)} of {len(ahead)} measures")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    figures.show(fig, alt="Dots: what each way of training changes, one dot a seed, around a line "
                 "at zero. The next cell has the numbers.", name="bts_end_to_end")

# %%
if not runs.empty:
    for column, name in columns.items():
        gain = by_seed[column]["joint"] - by_seed[column]["frozen"]
        range_ = f"{gain.mean():+.4f} ({gain.min():+.4f} .. {gain.max():+.4f})"
        print(f"{name}: joint - frozen {range_}, more with {(gain > 0).sum()} of {len(gain)} seeds")
    lower = (by_seed["loss"]["joint"] < by_seed["loss"]["start"]).sum()
    print(f"Eq. 3 on photographs it has not seen falls with {lower} of {len(by_seed)} seeds")

# %% [markdown]
# PSNR and Eq. 3 are measured on the photographs of the validation people, accuracy and AUC on the test pictures; +P are
# fakes after JPEG, blur, crop and noise (notebook 04). Whether $\Phi$ gains is printed above, not assumed: the cross-entropy
# pulls it towards residuals that are easy to *tell apart*, and nothing says that these are small ones. The paper prints no
# numbers of a $\Phi$ that stands still, so there is nothing to compare this with.
#
# ## What we saw

# %% tags=["hide-input"]
amount = "; ".join(f"{row.stage}, {named(row.method)} {span(row.auc, row.low, row.high, '.2f')}"
                   for row in apart.itertuples())
avg = measured[measured["method"] == "Avg"]
home = ", ".join(f"{row.frame_accuracy:.1%} on {named(row.tested_on)}" for row in avg.itertuples()
                 if row.trained_on == row.tested_on)
away = {method: "; ".join(f"{direction(row)} {row.frame_accuracy:.1%} at AUC {row.frame_auc:.3f} "
                          f"(paper {by_the_paper(row)} %)" for row in part.itertuples())
        for method, part in unknown.groupby("method", sort=False)}
Markdown(f"""
- The residual is what Φ, which knows only real faces, could not paint.
- The AUC of its mean (Fig. 4), 95 % interval over the people: {amount}. In the paper fakes leave
  more, of both generators; ours goes with how much fine detail a picture has (rank correlation
  {rank:.2f}).
- Detectors that read its pattern know the generator they learned from: Avg {home}; the paper 100 %.
- On a generator that they never saw, Avg: {away.get('Avg', 'not tested')}. The same network on the
  picture itself: {away.get('Image', 'not tested')}. One training of each.
- {lesson}
- Where ours lose more on unknown generators than the paper's: they learn from
  {len(sets.rows(table, 'train', 0))} photographs of {size} pixels, those of the paper from 25 000
  of 1024.
""")

# %% [markdown]
# ## Exercises
#
# **1** (easy) A detector ranks every fake above every photograph, but gives all of them less than 0.5. What are its AUC and
# its accuracy at 0.5, on as many fakes as photographs? Set `auc_1` and `accuracy_1`.

# %%
auc_1, accuracy_1 = None, None

if auc_1 is None or accuracy_1 is None:
    print("1: not solved yet")
else:
    labels, all_low = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    true = [roc_auc_score(labels, all_low), ((all_low > 0.5) == labels).mean()]
    right = np.allclose([auc_1, accuracy_1], true)
    print("1: ✓" if right else "1: ✗ section 8, with all scores below 0.5")

# %% [markdown]
# **2** (medium) Find the best single threshold on the mean residual of the first stage, for the *test* photographs and
# fakes. Set `answer_2` to its accuracy, between 0 and 1. (In earnest, thresholds are chosen on validation pictures.)

# %%
answer_2 = None

if answer_2 is None:
    print("2: not solved yet")
else:
    cuts = [((left[names[0]] > cut) == left["label"]).mean() for cut in left[names[0]]]
    right = np.isclose(answer_2, max(*cuts, *(1 - c for c in cuts)), atol=1e-3)
    print("2: ✓" if right else "2: ✗ try both directions")

# %% [markdown]
# **3** (medium) Is the residual of a mirrored picture the mirrored residual? Set `answer_3` to the largest difference
# between the two for the first picture of `X`, in pixels (stage 0), as a float.

# %%
answer_3 = None

if answer_3 is None:
    print("3: not solved yet")
else:
    phi = detector.re_synthesizer
    with torch.inference_mode():
        straight, mirrored = ((x - phi.re_synthesize(x)).abs() for x in (X[:1], X[:1].flip(-1)))
    right = np.isclose(answer_3, (straight.flip(-1) - mirrored).abs().max().item(), rtol=0.01)
    print("3: ✓" if right else "3: ✗ flip(-1)")

# %% [markdown]
# **4** (hard) With three detectors that each err on 10 % of the pictures, independently, how often is a majority of them
# wrong? Set `answer_4`. Then think why two detectors of one picture do not err independently.

# %%
answer_4 = None

if answer_4 is None:
    print("4: not solved yet")
else:
    right = np.isclose(answer_4, 3 * 0.1**2 * 0.9 + 0.1**3)
    print("4: ✓" if right else "4: ✗ two wrong and one right, or all wrong")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. `auc_1, accuracy_1 = 1.0, 0.5`: the order is perfect, and all are called photographs.
# 2. `right = [((left[names[0]] > cut) == left["label"]).mean() for cut in left[names[0]]]`, then
#    `answer_2 = max(max(right), 1 - min(right))`.
# 3. `a, b = ((x - detector.re_synthesizer.re_synthesize(x)).abs() for x in (X[:1], X[:1].flip(-1)))`, then
#    `answer_3 = (a.flip(-1) - b).abs().max().item()` (under `torch.inference_mode()`).
# 4. `answer_4 = 3 * 0.1**2 * 0.9 + 0.1**3`. Both detectors get the residual of the same $\Phi$ for the same picture: a
#    photograph that is blurred or badly lit misleads them together.
#
# </details>
#
# Previous: [02 re-synthesis](02_re_synthesis.ipynb) ·
# Next: [04 results](04_beyond_the_spectrum_results.ipynb)
