# %% [markdown]
# # 03 · Residual detectors: telling fakes by what cannot be explained
#
# Notebook 02 trained a network $\Phi$ that paints details into real faces. Now we look at its mistakes, and train
# detectors that see *nothing but* these mistakes.
#
# **After this notebook you can**
# - compute the residual of a picture in pixels and at a perceptual stage, and draw the paper's Figs. 3 and 4;
# - say which side leaves more, photographs or fakes, and why the mean alone is a poor detector;
# - train the detectors of Eq. 2 on one generator and test them on another;
# - combine two detectors by Eq. 4, by hand;
# - say what it changes to train re-synthesizer and detectors together.
#
# **You need**: [02 re-synthesis](02_re_synthesis.ipynb); what a classifier and an AUC are. **Hardware**: any CPU; the
# minutes are in the table of [README.md](../README.md). **Paper**: *Beyond the Spectrum* (He et al., IJCAI 2021), Eq. 2
# and 4, Figs. 3 and 4.
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
from sklearn.metrics import roc_auc_score

from lib import detectors, figures, paths
from lib.bts import score, sets, train
from lib.bts.detector import combine
from lib.data import layouts
from lib.data.items import FaceImages
from lib.evaluation import report
from lib.evaluation.metrics import metrics
from lib.params import load
from lib.training.device import device, seed_everything

params = load(scale)
settings, size = params.residual_detectors, params.re_synthesizer.size
figures.style()
seed_everything(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=120)
print(f"scale {params.scale}: images of {params.data.generated.root}, {size} px")

# %%
table = layouts.images(params.data.generated, params.seed, params.re_synthesizer.limit)
test = sets.rows(table, "test")
table.groupby(["method", "split"]).size().unstack()[["train", "val", "test"]]

# %% [markdown]
# ## 1 The residual
#
# Take a picture $X$, shrink it, let $\Phi$ enlarge it again, subtract:
#
# $$R_0 = |X-\Phi(X_\downarrow)|, \qquad R_i = |\Theta_i(X)-\Theta_i(\Phi(X_\downarrow))|$$
#
# On paper first. This $\Phi$ only repeats each pixel, and the picture is one row of two boxes of four pixels:

# %%
#NBVAL_CHECK_OUTPUT
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
model, options = train.network(detectors.entry("SR"), size, params.seed, **sections)  # Φ was trained by notebook 02
model = model.cpu()
shown = test.groupby("method", sort=False).head(2).reset_index(drop=True)
X = torch.stack([item["rgb"] for item in FaceImages(shown, size)])
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
# First row: the pictures. Below: the residual of each stage, averaged over its channels, one scale a row.

# %%
maps = [residual.mean(1) for residual in residuals]
cells = [*X, *[image / stage.quantile(0.995) for stage in maps for image in stage]]
names = [f"{'fake' if row.label else 'real'}: {row.method}" for row in shown.itertuples()]
titles = names + [f"{'pixel' if stage == 0 else f'stage {stage}'}: {r.mean():.3f}" for stage, kind in
                  zip(settings.stages, maps, strict=True) for r in kind]  # fmt: skip
fig = figures.show_grid(cells, titles, columns=len(shown), side=1.8, limits=(0, 1))
figures.save(fig, "bts_fig3")
plt.show()

# %% [markdown]
# The numbers are means over the picture. Before we believe six pictures, we look at all of the test set.
#
# ## 3 Fig. 4: how much is left
#
# The paper averages each residual over the picture and draws the histogram. There, at 1024 pixels, fakes lie to the
# right: more is left of them.

# %%
items = FaceImages(test, size)


@torch.inference_mode()
def amounts(index):
    return [residual.mean().item() for residual in model.residuals(items[index]["rgb"][None].to(device()))]


model = model.to(device())
names = ["pixel" if stage == 0 else f"stage {stage}" for stage in settings.stages]
left = pd.DataFrame([amounts(i) for i in range(len(items))], columns=names).assign(method=test["method"], label=test["label"])
model = model.cpu()
left.groupby("method", sort=False)[names].agg(["mean", "std"]).style.format(precision=4)

# %%
fig, axes = plt.subplots(1, len(names), figsize=(5.2 * len(names), 3.6), squeeze=False)
for ax, name in zip(axes.flat, names, strict=True):
    sns.histplot(left, x=name, hue="method", element="step", stat="density", common_norm=False, bins=24, alpha=0.25, ax=ax)
    for line, style in zip(ax.lines, figures.LINES, strict=False):
        line.set_linestyle(style)
    auc = roc_auc_score(left["label"], left[name])
    side = "more" if auc > 0.5 else "less"
    ax.set(xlabel=f"mean residual ({'of [0, 1]' if name == 'pixel' else 'of the features'})")
    ax.set_title(f"{name}: fakes leave {side}, AUC {auc:.2f}")
figures.save(fig, "bts_fig4")
plt.show()

# %%
for name in names:
    for method in left.loc[left["label"] == 1, "method"].unique():
        two = left[(left["label"] == 0) | (left["method"] == method)]
        auc = roc_auc_score(two["label"], two[name])
        as_paper = "as in the paper" if auc > 0.5 else "the opposite of the paper"
        clear = "clearly" if abs(auc - 0.5) > 0.2 else "somewhat" if abs(auc - 0.5) > 0.05 else "hardly"
        print(f"{name:8} {method:10} differs {clear}: {'more' if auc > 0.5 else 'less'} than photographs ({as_paper}), AUC {auc:.2f}")

# %% [markdown]
# How can two generators differ in this? The mean residual measures first of all how *sharp* a picture is. A generator
# that draws softer faces than the camera leaves less to explain, not more; one that draws jagged edges leaves more. So
# "more residual = fake" is no rule to build on. The *pattern* of the residual is another matter: a network can read it.
#
# ## 4 The detector
#
# $$C(|X^* - \Phi(X^*_\downarrow)|) \tag{2}$$
#
# $C$ is the ResNet-50 of the released code. It differs from the usual one: three 3×3 convolutions at the start, the first
# two with stride 2, and stride 1 in the last two groups. Its first layer takes as many channels as the stage has.

# %%
#NBVAL_CHECK_OUTPUT
from lib.backbones.resnet import ResidualDetector

with torch.device("meta"):  # shapes without memory
    for channels, name in [(3, "pixel"), (64, "VGG stage 1"), (512, "VGG stage 5")]:
        full = ResidualDetector(channels)
        print(f"{name:12} {channels:4} channels: {sum(p.numel() for p in full.parameters()):,} parameters")


# %% [markdown]
# Ours is narrower and less deep, because it learns from few pictures. What happens to one residual on its way:

# %%
@torch.inference_mode()
def sizes(detector, residual):
    x = detector.eval().maxpool(F.relu(detector.bn1(detector.conv1(residual))))
    yield from (residual, x)
    for layer in (detector.layer1, detector.layer2, detector.layer3, detector.layer4):
        x = layer(x)
        yield x


for stage, detector, residual in zip(settings.stages, model.detectors, residuals, strict=True):
    steps = " -> ".join("x".join(map(str, x.shape[1:])) for x in sizes(detector, residual))
    print(f"stage {stage}: {steps} -> mean over places -> 2 logits")

# %% [markdown]
# ## 5 Training
#
# One detector a stage, for each generator alone and for all together (the one that `python -m lib.detect --detector bts`
# uses). `python -m lib.bts.score`, a stage of its own, has trained them; here they are loaded. As many fakes as photographs an epoch. $\Phi$ and $\Theta$ stay fixed, so the residuals are computed once and kept.
# A mirrored picture gets its own residual: $\Phi$ of a mirrored picture is not the mirrored $\Phi$.

# %%
trained_on = dict.fromkeys([*params.bts_detectors.sources, sets.ALL])
trained = {source: train.load("SR", source) for source in trained_on}
baseline = {source: train.load("Image", source) for source in trained_on}

# %%
fig, axes = plt.subplots(1, len(trained), figsize=(4.3 * len(trained), 3.2), squeeze=False, sharey=True)
for ax, (generator, (_, history)) in zip(axes.flat, trained.items(), strict=True):
    curves = {column: history[column] for column in history if column.startswith("val_auc_")}
    curves["val_auc_image"] = baseline[generator][1]["val_auc"]
    for column, values in curves.items():
        ax.plot(history["epoch"], values, marker="o", label=column.removeprefix("val_auc_"))
    ax.set(xlabel="epoch", ylabel="AUC on validation people", title=f"{generator}: best {history['val_auc'].max():.3f} (Avg)")
    ax.legend(fontsize=9)
figures.save(fig, "bts_detector_training")
plt.show()

# %% [markdown]
# "image" is the same network on the pictures themselves: the row *Image* of Table 1.
#
# ## 6 Two opinions, one verdict
#
# $$\text{score} = \beta_0\, C_0(R_0) + \sum_{i=1}^{n} \beta_i\, C_i(R_i) \tag{4}$$
#
# The paper takes pixel and stage 5, $\beta = (\tfrac12, \tfrac12)$. It does not say whether $C$ is a logit or a
# probability; we average probabilities, so that one very sure detector cannot shout the other down. By hand, for three
# pictures and two detectors:

# %%
#NBVAL_CHECK_OUTPUT
opinions = torch.tensor([[0.9, 0.8], [0.2, 0.7], [0.1, 0.3]])  # (pictures, stages)
beta = torch.tensor([0.5, 0.5])
for row in opinions.tolist():
    print(f"0.5 * {row[0]:.1f} + 0.5 * {row[1]:.1f} = {0.5 * row[0] + 0.5 * row[1]:.2f}")
by_hand = (opinions * beta).sum(1)
print("✓ combine agrees" if torch.allclose(combine(opinions, beta), by_hand) else "✗ combine differs")

# %%
detector = trained[sets.ALL][0]
with torch.inference_mode():
    *stages, whole = detector.opinions({"rgb": X}).values()
weights = np.array(settings.stage_weights) / sum(settings.stage_weights)
agree = np.allclose(torch.stack(stages, 1).numpy() @ weights, whole.numpy(), atol=1e-5)
print("✓ Avg is Eq. 4" if agree else "✗ Avg is not Eq. 4")
figures.show_grid(X, [f"{m}: {p:.3f}" for m, p in zip(shown["method"], whole.tolist(), strict=True)], columns=len(shown), side=1.8)
plt.show()


# %% [markdown]
# Each test picture as a point: what each detector says, photographs and fakes. The line is where Eq. 4 gives 0.5.

# %%
def scores_of(name, source):
    """What a detector says of each picture of `test`, in its order."""
    frame = score.read(name, source)
    return frame[frame["test"] == "raw"].reset_index(drop=True).drop(columns=score.COLUMNS).dropna(axis=1)


scored = {g: scores_of("SR", g).join(scores_of("Image", g).rename(columns={"score": "Image"})) for g in trained}
first, second, *_ = scored[sets.ALL].columns
points = scored[sets.ALL].assign(method=test["method"])
wrong = ((points["Avg"] > 0.5) != test["label"]).sum()

# %%
fig, ax = plt.subplots(figsize=(5.4, 4.4))
sns.scatterplot(points, x=first, y=second, hue="method", style="method", alpha=0.7, ax=ax)
if second != "Avg":
    ax.plot([0, 1], [weights.sum() / 2 / weights[1], (0.5 - weights[0]) / weights[1]], color="grey", linestyle="--", marker="")
ax.set(xlabel=f"{first}: probability of fake", ylabel=f"{second}: probability of fake", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
ax.set_title(f"Together they err on {wrong} of {len(test)} pictures")
figures.save(fig, "bts_two_opinions")
plt.show()

# %% [markdown]
# ## 7 Known and unknown generators
#
# Accuracy at threshold 0.5, each generator against all test photographs. Rows: what the detector was trained on.

# %%
places = [(method, on, tested) for on, frame in scored.items() for tested in sets.sources(table) for method in frame]


def measure(method, trained_on, tested_on):
    chosen = sets.of_source(test, tested_on)
    numbers = metrics(test.iloc[chosen], scored[trained_on][method].to_numpy()[chosen], level="frame")
    return {"method": method, "trained_on": trained_on, "tested_on": tested_on, **numbers}


measured = pd.DataFrame([measure(*place) for place in places])
grid = measured.pivot_table(index=["method", "trained_on"], columns="tested_on", values="frame_accuracy", sort=False)
grid.style.format("{:.1%}")

# %%
methods = measured["method"].unique()
fig, axes = plt.subplots(1, len(methods), figsize=(3.3 * len(methods), 3.2), squeeze=False)
for ax, method in zip(axes.flat, methods, strict=True):
    accuracies = 100 * grid.loc[method]
    sns.heatmap(accuracies, ax=ax, annot=True, fmt=".1f", vmin=50, vmax=100, cmap="Greys", cbar=False, square=True)
    known = np.mean([accuracies.loc[g, g] for g in accuracies.index if g in accuracies])
    ax.set(xlabel="tested on", ylabel="trained on", title=f"{method}: {known:.1f} % on its own")
figures.save(fig, "bts_known_and_unknown")
plt.show()

# %%
for row in measured[measured["trained_on"] != measured["tested_on"]].itertuples():
    if sets.ALL in (row.trained_on, row.tested_on):
        continue
    low, high = (f"{100 * x:.1f}" for x in (row.frame_accuracy_low, row.frame_accuracy_high))
    print(f"{row.method:7} {row.trained_on} -> {row.tested_on}: accuracy {100 * row.frame_accuracy:.1f} % [{low}, {high}], AUC {row.frame_auc:.3f}")

# %% [markdown]
# All of the paper's Table 1, with its rivals and with fakes whose traces were wiped, is
# [notebook 04](04_beyond_the_spectrum_results.ipynb). Sets of your own join here by their path:

# %%
from lib.evaluation.predict import predict

others = {}
for data_set in params.data.cross_generated:
    other = sets.rows(layouts.images(data_set, params.seed, params.re_synthesizer.limit), "test")
    items = FaceImages(other, data_set.size or size)
    others[data_set.root] = metrics(other, predict(detector, items), level="frame")
    print(f"{data_set.root}: AUC {others[data_set.root]['frame_auc']:.3f} on {len(other)} pictures")
print(f"{len(others)} further test sets (data.cross_generated in params.yaml)")

# %%
numbers = {f"Avg on {root}": found for root, found in others.items()}
for row in measured.to_dict("records"):
    name = f"{row['method']}, trained on {row['trained_on']}, tested on {row['tested_on']}"
    numbers[name] = {key: value for key, value in row.items() if key.startswith("frame_")}
    if row["method"] == "Avg" and row["trained_on"] == row["tested_on"]:
        print(f"{name}: accuracy {row['frame_accuracy']:.3f}, AUC {row['frame_auc']:.3f}")
report.write_metrics("residual_detectors", numbers)

# %% [markdown]
# ## 8 End to end: may $\Phi$ learn, too?
#
# So far $\Phi$ was finished before the first detector began. Section 4.2 of the paper trains both together:
#
# $$\mathcal L \;=\; \underbrace{\sum_{i} \mathrm{CE}\big(C_i(|\Theta_i(X)-\Theta_i(\Phi(X_\downarrow))|),\, y\big)}_{\text{photographs and fakes, clean}}
# \;+\; \underbrace{\sum_{i=0}^{5} \alpha_i\,\big\|\Theta_i(X_r)-\Theta_i(\Phi(\Omega(X_{r\downarrow})))\big\|_1}_{\text{photographs } X_r \text{ alone, damaged by } \Omega}$$
#
# $\Theta_0$ is the picture itself, and the norms are means, as in Eq. 3. Both sums by hand, for the pictures of section 1
# and detectors that have learned nothing yet:

# %%
from lib.bts.degradations import TASKS
from lib.bts.joint_model import EndToEnd, joint_loss
from lib.bts.re_synthesizer import box_mean

alpha, omega = params.re_synthesizer.stage_weights, TASKS[params.joint_training.task]
whole = EndToEnd(**options)
whole.load_state_dict(model.state_dict())
few = X[..., :256, :256]  # a corner is enough: of 1024 pixels a step takes 15 GB a picture
batch = {"rgb": few, "label": torch.tensor(shown["label"].to_numpy())}

# %%
torch.manual_seed(params.seed)
real = few[batch["label"] == 0]
guess = whole.re_synthesizer(omega(box_mean(real), torch.default_generator))
with torch.no_grad():
    pairs = zip([guess, *whole.perceptual(guess)], [real, *whole.perceptual(real)], strict=True)
    distance = sum(a * F.l1_loss(seen, wanted) for a, (seen, wanted) in zip(alpha, pairs, strict=True))
    entropy = sum(F.cross_entropy(logits, batch["label"]) for logits in whole.eval()(few).unbind(1))
print(f"cross-entropy {entropy:.4f} + distance {distance:.4f} = {entropy + distance:.4f}")

# %%
whole.re_synthesizer.requires_grad_(True)
torch.manual_seed(params.seed)
found = joint_loss(whole, omega, alpha)(whole, batch)
agree = params.re_synthesizer.loss == "paper" and torch.allclose(found["loss"], entropy + distance, rtol=1e-4)
print("✓ joint_loss agrees" if agree else "✗ joint_loss differs")


# %% [markdown]
# The released code has both sums, too. But it builds $\Phi$ with `requires_grad=False`, so the second one has no gradient,
# and it scales the step of the classifiers to $10^{-6} \cdot 10^{-3}$. One step of each, and the largest change of a weight:

# %%
def one_step(learns, learning_rate, detector_weight=1.0):
    network = EndToEnd(**options)
    network.load_state_dict(model.state_dict())
    network.re_synthesizer.requires_grad_(learns)
    joint_loss(network, omega, alpha, detector_weight=detector_weight)(network.train(), batch)["loss"].backward()
    torch.optim.SGD([p for p in network.parameters() if p.requires_grad], learning_rate).step()
    pairs = zip(network.re_synthesizer.parameters(), model.re_synthesizer.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


released, joint = one_step(False, 1e-6, 1e-3), one_step(True, params.joint_training.learning_rate)
print(f"released: {released:.1e} {'✓ Phi stands still' if released == 0 else '✗'}")
print(f"joint:    {joint:.1e} {'✓ Phi learns' if joint > 0 else '✗'}")

# %% [markdown]
# What that does in the long run takes longer than this notebook: `python -m lib.bts.joint_training --seeds 0 1 2` trains, from the
# same start, the detectors alone (*frozen*), the release's way (*released*) and both (*joint*), each as many steps, and
# keeps `results/tables/bts_end_to_end.csv`. Where that file holds this data set, here it is:

# %%
end_to_end_file = paths.TABLES / "bts_end_to_end.csv"
runs = pd.read_csv(end_to_end_file) if end_to_end_file.is_file() else pd.DataFrame(columns=["data", "scale"])
runs = runs[(runs["data"] == params.data.generated.root) & (runs["scale"] == params.scale)]
measures = {"psnr": "PSNR, clean (dB)", "degraded_psnr": "PSNR after Omega (dB)", "raw_accuracy": "accuracy, known",
            "other_auc": "AUC, other generator", "P_accuracy": "accuracy, +P"}  # fmt: skip
measures = {column: name for column, name in measures.items() if column in runs}
if runs.empty:
    print("not run yet")
else:
    shown_runs = runs.groupby("variant", sort=False)[[*measures, "loss", "re_synthesizer_change"]].mean()
    print(f"means over {runs['seed'].nunique()} seeds\n{shown_runs.round(5).to_string()}")

# %%
if not runs.empty:
    fig, axes = plt.subplots(1, len(measures), figsize=(2.7 * len(measures), 3))
    for ax, (column, name) in zip(axes, measures.items(), strict=True):
        for marker, line, (seed, part) in zip(figures.MARKERS, figures.LINES, runs.groupby("seed"), strict=False):
            ax.plot(part["variant"], part[column], marker=marker, linestyle=line, label=f"seed {seed}")
        ax.set_title(name, fontsize=10)
        ax.tick_params(axis="x", rotation=45)
    axes[0].legend(fontsize=8)
    figures.save(fig, "bts_end_to_end")
    plt.show()

# %%
if not runs.empty:
    pairs = runs.pivot(index="seed", columns="variant")
    for column, name in measures.items():
        gain = pairs[column]["joint"] - pairs[column]["frozen"]
        print(f"{name}: joint - frozen {gain.mean():+.4f} ({gain.min():+.4f} .. {gain.max():+.4f}), higher with {(gain > 0).sum()} of {len(gain)} seeds")
    lower = (pairs["loss"]["joint"] < pairs["loss"]["start"]).sum()
    print(f"Eq. 3 on photographs it has not seen falls with {lower} of {len(pairs)} seeds")

# %% [markdown]
# PSNR and Eq. 3 are measured on the photographs of the validation people, accuracy and AUC on the test pictures. Whether
# $\Phi$ gains is printed above, not assumed: the cross-entropy pulls it towards residuals that are easy to *tell apart*,
# and nothing says that these are small ones.

# %% [markdown]
# ## What we saw
#
# - The residual is what $\Phi$, which knows only real faces, could not paint.
# - Its mean (Fig. 4) can lie on either side; section 3 prints which. The paper's "fakes leave more" is no law.
# - Detectors that read the pattern of the residual tell the fakes of a known generator apart; section 7 shows what
#   remains of that for a generator they never saw, beside a detector that reads the picture itself.
# - Eq. 4 averages two opinions, one near the pixels and one near the meaning.
#
# ## Exercises
#
# **1** Find the best single threshold on the mean residual of the first stage, for the *test* photographs and fakes. Set
# `answer_1` to its accuracy, between 0 and 1. (In earnest, thresholds are chosen on validation pictures.)

# %%
answer_1 = None

if answer_1 is None:
    print("1: not solved yet")
else:
    cuts = [((left[names[0]] > cut) == left["label"]).mean() for cut in left[names[0]]]
    print("1: ✓" if np.isclose(answer_1, max(*cuts, *(1 - c for c in cuts)), atol=1e-3) else "1: ✗ try both directions")

# %% [markdown]
# **2** Is the residual of a mirrored picture the mirrored residual? Set `answer_2` to the largest difference between the
# two for the first picture of `X`, in pixels (stage 0), as a float.

# %%
answer_2 = None

if answer_2 is None:
    print("2: not solved yet")
else:
    phi = detector.re_synthesizer
    with torch.inference_mode():
        straight, mirrored = ((x - phi.re_synthesize(x)).abs() for x in (X[:1], X[:1].flip(-1)))
    print("2: ✓" if np.isclose(answer_2, (straight.flip(-1) - mirrored).abs().max().item(), rtol=0.01) else "2: ✗ flip(-1)")

# %% [markdown]
# **3** With three detectors that each err on 10 % of the pictures, independently, how often is a majority of them wrong?
# Set `answer_3`. Then think why two detectors of one picture do not err independently.

# %%
answer_3 = None

if answer_3 is None:
    print("3: not solved yet")
else:
    print("3: ✓" if np.isclose(answer_3, 3 * 0.1**2 * 0.9 + 0.1**3) else "3: ✗ two wrong and one right, or all wrong")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. `right = [((left[names[0]] > cut) == left["label"]).mean() for cut in left[names[0]]]`, then
#    `answer_1 = max(max(right), 1 - min(right))`.
# 2. `a, b = ((x - detector.re_synthesizer.re_synthesize(x)).abs() for x in (X[:1], X[:1].flip(-1)))`, then
#    `answer_2 = (a.flip(-1) - b).abs().max().item()` (under `torch.inference_mode()`).
# 3. `answer_3 = 3 * 0.1**2 * 0.9 + 0.1**3`. Both detectors get the residual of the same $\Phi$ for the same picture: a
#    photograph that is blurred or badly lit misleads them together.
#
# </details>
#
# Previous: [02 re-synthesis](02_re_synthesis.ipynb) ·
# Next: [04 results](04_beyond_the_spectrum_results.ipynb)
