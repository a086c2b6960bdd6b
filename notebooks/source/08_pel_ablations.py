# %% [markdown]
# # 08 · PEL: ablations
#
# Which part of PEL does the work? Take one part away, train again, measure again: fourteen networks that differ in one
# thing each, and a fifteenth that asks what a second stream is worth when it does not start as a copy of the first.
#
# **After this notebook you can**
# - read Tables 4 and 5 of the paper, and say what each row leaves out;
# - put another denoiser into the noise block, and check it on nine numbers;
# - tell a difference between two rows from the luck of one training.
#
# **You need**: [06 progressive enhancement](06_progressive_enhancement.ipynb). **Hardware**: two CPU cores for the bundled
# faces, a GPU for the paper's scale; the minutes are in the table of [README.md](../README.md). **Paper**: PEL (Gu et al.,
# AAAI 2022), Tables 4 and 5.
#
# Previous: [07 PEL: results](07_pel_results.ipynb) · Next: [09 what the networks see](09_what_the_networks_see.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from sklearn.metrics import roc_auc_score

from lib import figures, ops, paths, seeds
from lib.data.image import read_image
from lib.evaluation import report, verdicts
from lib.ops.denoise import DENOISERS
from lib.params import load
from lib.pel import ablations, network, tables
from lib.training.device import seed_everything

params = load(scale)
figures.style()
seed_everything(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=120)
print(f"scale {params.scale}: {ablations.recipe(params.data, params.pel, params.ablations)}")

# %% [markdown]
# All rows share this small recipe, and PEL itself is trained with it once more, so that the rows compare with each other.
# They do *not* compare with notebook 07, where PEL sees larger faces for longer.
#
# ## 1 Table 4: which modules a row has
#
# | | means |
# |---|---|
# | RGB, Freq | the stream is there |
# | Self | noise enhancement (Eq. 2-3) and channel attention (Eq. 4) |
# | Mutual | the streams point each other to places (Eq. 5-6) |
#
# A single stream has nobody to point it anywhere. There, the paper replaces mutual enhancement by spatial attention: Eq. 5
# and 6 with one stream,
#
# $$a = \sigma(\mathrm{Conv}(f_{in})), \qquad f_{out} = f_{in} + \mathrm{Conv}(f_{in} \otimes a)$$
#
# One channel of 2×2 places:

# %%
#NBVAL_CHECK_OUTPUT
f_in, weight, gain = torch.tensor([[[[0.0, 4.0], [1.0, 0.0]]]]), 2.0, 0.5
a = torch.sigmoid(weight * f_in - 4)  # Eq. 5, one stream
f_out = f_in + gain * (f_in * a)  # Eq. 6
block = network.MutualEnhancement(channels=1, streams=1)
with torch.no_grad():
    block.attention.weight.fill_(weight)
    block.attention.bias.fill_(-4)
    block.weights[0].fill_(gain)
    same = torch.allclose(block([f_in])[0], f_out)
print(f_out[0, 0], "✓ pel.MutualEnhancement(streams=1) agrees" if same else "✗ it differs", sep="\n")

# %%
count = lambda module: sum(p.numel() for p in module.parameters())
rows = []
for name, (streams, alone, mutual) in ablations.COMPONENTS.items():
    model, _ = ablations.entry(name).make(params.seed, params.ablations.size, pel=params.pel)
    ticks = ["✓" if tick else "" for tick in ("rgb" in streams, "freq" in streams, alone, mutual)]
    rows.append((name, *ticks, f"{count(model):,}", f"{count(model.enhancements):,}"))
pd.DataFrame(rows, columns=["row", "RGB", "Freq", "Self", "Mutual", "parameters", "of these enhance"]).style.hide()

# %% [markdown]
# The modules cost next to nothing; a second stream doubles the network.
#
# ## 2 Table 5: another denoiser
#
# The noise is what a denoiser $M$ takes away (Eq. 2). The paper tries seven. On one window with a spike, in the centre:

# %%
#NBVAL_CHECK_OUTPUT
window = torch.tensor([[2.0, 2, 2], [2, 20, 2], [2, 2, 2]])[None, None]
median, mean = ops.median_filter(window)[0, 0, 1, 1], ops.mean_filter(window)[0, 0, 1, 1]
print(
    f"median {median:.0f}: noise {20 - median:.0f};  mean {mean:.0f} (it takes the spike along): noise {20 - mean:.0f}"
)

# %% [markdown]
# **Non-local means** (Buades et al. 2005) average over places whose surroundings look alike:
#
# $$M(f)(p) = \frac{\sum_q w(p, q)\, f(q)}{\sum_q w(p, q)}, \qquad w(p, q) = e^{-d(p, q) / h^2}$$
#
# with $d$ the mean squared difference of the 3×3 patches around $p$ and $q$, and $h$ the deviation of the channel. With
# patches of one pixel it fits on a line:

# %%
#NBVAL_CHECK_OUTPUT
f = torch.tensor([[2.0, 2, 2], [2, 20, 2], [2, 2, 2]])
w = torch.exp(-((f - f[1, 1]) ** 2) / f.var(correction=0))  # d of single pixels to the centre
by_hand = (w * f).sum() / w.sum()
from_op = ops.non_local_means(f[None, None], patch=1, search=3)[0, 0, 1, 1]
print(f"{by_hand:.4f}", "✓ ops.non_local_means agrees" if torch.isclose(by_hand, from_op) else "✗ it differs")

# %% [markdown]
# **Several medians** (3, 5, 7) leave several residuals. The paper shrinks them to one by a grouped 1×1 convolution. We put
# the sigmoid first; then the grouped convolution stands where the depth-wise one of Eq. 3 stood:
#
# $$f_{ne} = f_{in} + b + \sum_{k \in \{3, 5, 7\}} w_k\, \sigma(f_{in} - M_k(f_{in}))$$

# %%
#NBVAL_CHECK_OUTPUT
x = torch.rand(1, 2, 9, 9)
block = network.NoiseEnhancement(2, kernel_size=(3, 5, 7))
with torch.no_grad():
    block.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5]]))
    by_hand = x + sum(block.weight[:, i, None, None] * torch.sigmoid(x - ops.median_filter(x, k)) for i, k in
                      enumerate((3, 5, 7)))  # fmt: skip
    print("✓ network.NoiseEnhancement agrees" if torch.allclose(block(x), by_hand, atol=1e-5) else "✗ it differs")

# %%
face_table = ablations.face_table(params.data, params.faces, params.ablations, params.seed)
face_table = face_table.query("split == 'test' and label == 0")
face = torch.from_numpy(read_image(face_table["path"].iloc[0])).permute(2, 0, 1)[None] / 255
noises = {name: face - DENOISERS[kind](face, k) for name, kind, k in ablations.DENOISERS.values()
          if not isinstance(k, tuple)}  # fmt: skip
pictures = [face[0], *(0.5 + 6 * noise[0] for noise in noises.values())]
figures.show_grid(pictures, ["face", *noises], columns=6, side=1.9)
loud = {name: 255 * noise.std().item() for name, noise in noises.items()}
print("deviation of the noise in grey levels:", {name: f"{value:.2f}" for name, value in loud.items()})
plt.show()

# %% [markdown]
# A larger window takes more away: edges, then whole features.
#
# ## 3 The rows, over several trainings
#
# The paper trains each row once and reports differences of half a point. A second training, from other random numbers, gives
# other numbers. So `python -m lib.seeds` trains each row with several seeds; their scores are kept in `results/seeds`. The
# default run trains the rows of `ablations.rows` again (stage `ablation_rows`) and checks that they lie where one more seed
# would lie.
#

# %%
this_run = ablations.read(params.ablations.rows)
kept, told = seeds.together("pel_ablations", ablations.ROWS, params, this_run)
print(f"{told}\n" * bool(told) + f"{len(kept)} rows, training seeds: {', '.join(map(str, next(iter(kept.values()))))}")
auc = lambda frame: roc_auc_score(frame["label"], frame["score"])
by_seed = pd.DataFrame({row: {seed: auc(frame) for seed, frame in runs.items()} for row, runs in kept.items()})
for row, frame in this_run.items():
    low, high = verdicts.expected(by_seed[row].dropna())
    inside = "✓ inside" if low <= auc(frame) <= high else "✗ outside" if low == low else "no range yet for"
    print(f"{row}: frame AUC of this run {auc(frame):.3f}, {inside} [{low:.3f}, {high:.3f}]")

# %%
table4 = tables.table4(kept, params.seed)
report.write_table("pel_table4", table4)
tables.beside("pel_table4", table4).style.hide()

# %%
table5 = tables.table5(kept, params.seed)
report.write_table("pel_table5", table5)
tables.beside("pel_table5", table5).style.hide()

# %% [markdown]
# The intervals hold the luck of the *people* that were drawn for the test and that of the *seeds*. They are as wide as they
# are because there are few of both. All rows meet the same people, though. So compare two rows on the same draws: does the
# difference to PEL hold?
#

# %%
gaps = pd.DataFrame([{"row": row, **tables.gain(runs, kept["pel"], params.seed)} for row, runs in kept.items() if row != "pel"])
gaps = verdicts.judge(gaps)
clear = gaps[gaps["p"] < verdicts.LEVEL]

# %%
fig, ax = plt.subplots(figsize=(7.5, 4.2))
y = np.arange(len(gaps))
ax.errorbar(gaps["effect"], y, xerr=[gaps["effect"] - gaps["low"], gaps["high"] - gaps["effect"]], fmt="o", capsize=3)
ax.axvline(0, color="black", linewidth=1)
ax.set(yticks=y, yticklabels=gaps["row"], xlabel="frame AUC minus that of PEL, with 95 % interval over seeds and people")
ax.set_title(f"{len(clear)} of {len(gaps)} rows differ from PEL beyond both kinds of luck")
ax.invert_yaxis()
figures.save(fig, "pel_ablations")
plt.show()

# %% [markdown]
# ## 4 The luck of the training
#
# How far apart are two trainings of one row, and how far apart are two rows?
#

# %%
paper = {number: pd.read_csv(paths.PAPER_TABLES / f"pel_table{number}.csv")["auc"] for number in (4, 5)}
theirs = {4: dict(zip(ablations.COMPONENTS, paper[4], strict=True)),
          5: dict(zip(ablations.DENOISERS, paper[5], strict=True))}  # fmt: skip
fig, axes = plt.subplots(1, 2, figsize=(11.5, 4), sharex=True)
for ax, (number, expected) in zip(axes, theirs.items(), strict=True):
    part = by_seed[[row for row in expected if row in by_seed]]
    sns.stripplot(part, orient="h", size=6, jitter=False, alpha=0.6, ax=ax, marker="D", color=figures.COLOURS[0])
    ax.plot(part.mean(), range(part.shape[1]), "k|", markersize=16, linestyle="none")
    ax.set(xlabel="frame AUC, one mark a seed, line: mean", ylabel="",
           title=f"Table {number}: seeds spread {part.std().mean():.3f}, rows {part.mean().std():.3f}")  # fmt: skip
figures.save(fig, "pel_ablation_seeds")
plt.show()

# %% [markdown]
# ## 5 Does the paper's order come out?
#
# Its claims, one by one, against ours: a claim gets a verdict only if the difference stands out from the luck of seeds and
# people, corrected for the number of claims (Holm). `visible` is the smallest difference that would have been found in 80 of
# 100 repetitions.
#

# %%
CLAIMS = {
    "two streams beat RGB alone": ("both", "rgb"),
    "two streams beat Freq alone": ("both", "freq"),
    "the modules help RGB alone": ("rgb_enhanced", "rgb"),
    "the modules help Freq alone": ("freq_enhanced", "freq"),
    "self-enhancement helps two streams": ("both_self", "both"),
    "mutual enhancement helps two streams": ("both_mutual", "both"),
    "all of it beats self-enhancement": ("pel", "both_self"),
    "all of it beats mutual enhancement": ("pel", "both_mutual"),
    **{f"median 3 beats {denoiser}": ("pel", row) for row, (denoiser, *_) in ablations.DENOISERS.items() if row != "pel"},
    "ours, not the paper's: a copy of the RGB stream is a better start than a random one": ("pel", ablations.RANDOM_START),
}

# %%
reported = {**theirs[5], **theirs[4], ablations.RANDOM_START: np.nan}
claims = verdicts.judge([
    {"claim": claim, "paper": reported[better] - reported[worse], **tables.gain(kept[better], kept[worse], params.seed)}
    for claim, (better, worse) in CLAIMS.items() if better in kept and worse in kept
])  # fmt: skip
claims.style.hide().format(precision=4, na_rep="")

# %%
report.write_claims("pel_ablations", claims, "PEL, Tables 4 and 5", "frame AUC")
print(f"Of {len(claims)} claims: {verdicts.counts(claims)}.")
order = np.array([[reported[row], by_seed[row].mean()] for row in by_seed if row in theirs[4] | theirs[5]])
rank = pd.DataFrame(order).corr("spearman").iloc[0, 1]
print(f"Rank correlation of the {len(order)} rows with the paper's: {rank:+.2f} (1: the same order, 0: none).")

# %% [markdown]
# Three things separate these rows from the paper's: far fewer people, smaller faces, and a smaller backbone for fewer
# steps. A claim that does not come out here is not refuted; but neither does one training a row, with differences this
# small, prove it.

# %%
report.write_metrics("pel_ablations", {
    "frame_auc": by_seed.mean().to_dict(), "this_run": {row: auc(frame) for row, frame in this_run.items()},
    "claims": {row.claim: {"paper": row.paper, "gain": row.effect, "verdict": row.verdict} for row in claims.itertuples()},
    "seeds": len(by_seed), "rank_correlation": rank,
})  # fmt: skip

# %% [markdown]
# ## What we saw
#
# - Each row of Table 4 leaves a module out, each row of Table 5 exchanges the denoiser; all else, the pictures and their
#   order included, stays the same.
# - Two kinds of luck stand between a difference and a claim: that of the people tested and that of the training (sections 3
#   and 4). The paper shows neither.
#
# ## Exercises
#
# **1** How many parameters does `network.NoiseEnhancement(32, kernel_size=(3, 5, 7))` have, and how many
# `network.NoiseEnhancement(32, kernel_size=7)`?

# %%
answer_1 = None  # (first, second)

if answer_1 is None:
    print("1: not solved yet")
else:
    expected = tuple(count(network.NoiseEnhancement(32, sizes)) for sizes in ((3, 5, 7), 7))
    print("1: ✓" if tuple(answer_1) == expected else "1: ✗ a weight a channel and kernel size, a bias a channel")

# %% [markdown]
# **2** Two rows differ by 0.005 in AUC. Single trainings of each spread by 0.01 (standard deviation). How many seeds a row
# does it take until the difference is twice its standard error? (The standard error of a difference of two means of $n$
# is $0.01 \sqrt{2 / n}$.)

# %%
answer_2 = None  # a whole number

if answer_2 is None:
    print("2: not solved yet")
else:
    needed = next(n for n in range(1, 1000) if 2 * 0.01 * (2 / n) ** 0.5 - 1e-12 <= 0.005)
    print("2: ✓" if answer_2 == needed else "2: ✗ solve 0.005 = 2 * 0.01 * sqrt(2 / n)")

# %% [markdown]
# **3** A constant picture: which of the seven denoisers leaves noise in it? Predict the set `answer_3` of their names; the
# cell tries all.

# %%
answer_3 = None  # a set of names, perhaps set()

if answer_3 is None:
    print("3: not solved yet")
else:
    flat = torch.full((1, 1, 16, 16), 0.7)
    noisy = {name for name, kind, sizes in ablations.DENOISERS.values()
             for k in (sizes if isinstance(sizes, tuple) else (sizes,))
             if (flat - DENOISERS[kind](flat, k)).abs().max() > 1e-5}  # fmt: skip
    print("3: ✓" if set(answer_3) == noisy else "3: ✗ every one of them averages or picks among equal values")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. Three weights and a bias a channel: 4 x 32 = 128; with one kernel size 2 x 32 = 64: `answer_1 = (128, 64)`.
# 2. $n = 2 (2 \cdot 0.01 / 0.005)^2 = 32$: `answer_2 = 32`. The paper has one.
# 3. None: a mean or a median of equal values is that value. `answer_3 = set()`. The noise block still adds
#    $0.5\,w + b$, since $\sigma(0) = 0.5$.
#
# </details>
#
# Previous: [07 PEL: results](07_pel_results.ipynb) · Next: [09 what the networks see](09_what_the_networks_see.ipynb)
