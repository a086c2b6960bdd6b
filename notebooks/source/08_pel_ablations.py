# %% [markdown]
# # 08 · Which part of PEL does the work?
#
# Take one part away, train again, measure again: that is an *ablation*. Fourteen networks differ in one thing each, and a
# fifteenth asks what a second stream is worth when it does not start as a copy of the first. The paper's differences are of
# half a point. Here you learn what it takes to believe such a difference.
#
# **After this notebook you can**
# - read Tables 4 and 5 of the paper, and say what each row leaves out;
# - put another denoiser into the noise block, and check it on nine numbers;
# - tell a difference between two rows from the luck of one training, and say how many trainings would show it.
#
# **You need**: [06 progressive enhancement](06_progressive_enhancement.ipynb). **Run alone**: `make lab`; any two CPU cores;
# the minutes are in the table of [README.md](../README.md). **Paper**: PEL (Gu et al., AAAI 2022), Tables 4 and 5.
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
from IPython.display import Markdown
from sklearn.metrics import roc_auc_score

from lib import figures, ops, paths, seeds
from lib.data import cards
from lib.data.image import read_image
from lib.data.roots import bundled
from lib.evaluation import report, verdicts
from lib.evaluation.runs import measure
from lib.ops.denoise import DENOISERS
from lib.params import load
from lib.pel import ablations, network, tables
from lib.training.device import seed_everything

# %%
params = load(scale)
figures.style()
seed_everything(params.seed)
torch.set_printoptions(precision=3, sci_mode=False, linewidth=100)
data_set = ablations.data_set(params.data, params.ablations.compression)
recipe = ablations.recipe(params.data, params.pel, params.ablations)
HERE = "ORL, heavily compressed" if bundled(data_set.root) else cards.title(data_set)
print(f"scale {params.scale}: {cards.title(data_set)}, compressed as {data_set.compression}")
print("recipe of every row:", recipe.split(", ", 1)[1])

# %% [markdown]
# All rows share this small recipe, and PEL itself is trained with it once more, so that the rows compare with each other.
# They do *not* compare with notebook 07, where PEL sees larger faces for longer. Compression c40 is heavy; the paper calls
# it LQ, and chose it for these tables.
#
# **AUC** is how often a fake has a higher score than a real face: 0.5 is guessing, 1 is perfect. **Accuracy** is the share of
# faces that are called what they are. [low, high] is a 95 % interval: the test people are drawn again and again, with repeats.
# A **seed** is the number that all luck of a training comes from: first weights, order of the pictures.
#
# ## 1 Table 4: which modules a row has
#
# | part | in one sentence |
# |---|---|
# | RGB | a *stream*, that is an EfficientNet, that reads the pixels |
# | Freq | a second such stream, which reads 192 maps of fine-grained frequencies, made of 8×8 windows ([05](05_fine_grained_frequency.ipynb)) |
# | Self: noise | adds to each feature map the sigmoid of its *noise*, which is what a median filter takes away (Eq. 2-3) |
# | Self: attention | multiplies each channel by 1 to 2, from its mean and its maximum: which channels matter in this face (Eq. 4) |
# | Mutual | from both streams makes a map of places for each stream, and stresses these places (Eq. 5-6) |
#
# [06](06_progressive_enhancement.ipynb) computes each by hand. A single stream has nobody to point it anywhere. There, the
# paper replaces mutual enhancement by *spatial attention*: Eq. 5 and 6 with one stream, so that it points itself to places,
#
# $$a = \sigma(\mathrm{Conv}(f_{in})), \qquad f_{out} = f_{in} + \mathrm{Conv}(f_{in} \otimes a)$$
#
# where $f_{in}$ is a feature map, $\sigma$ the sigmoid, $\otimes$ the product place by place. One channel of 2×2 places:

# %% tags=["nbval-check-output"]
f_in, weight, gain = torch.tensor([[[[0.0, 4.0], [1.0, 0.0]]]]), 2.0, 0.5
a = torch.sigmoid(weight * f_in - 4)  # Eq. 5, one stream
f_out = f_in + gain * (f_in * a)  # Eq. 6
block = network.MutualEnhancement(channels=1, streams=1)
with torch.no_grad():
    block.attention.weight.fill_(weight)
    block.attention.bias.fill_(-4)
    block.weights[0].fill_(gain)
    same = torch.allclose(block([f_in])[0], f_out)
print(f_out[0, 0])
print(
    "✓ pel.MutualEnhancement(streams=1) agrees"
    if same
    else "✗ pel.MutualEnhancement(streams=1) differs"
)

# %% [markdown]
# The strong place, 4, gains half of itself; the weak one, 1, hardly anything. What each row has and costs:

# %%
LACKS = {
    "rgb": "all but the pixels",
    "freq": "all but the frequencies",
    "rgb_enhanced": "the frequencies",
    "freq_enhanced": "the pixels",
    "both": "both modules",
    "both_self": "mutual enhancement",
    "both_mutual": "self-enhancement",
    "pel": "nothing: PEL",
}
count = lambda module: sum(p.numel() for p in module.parameters())
costs, rows = {}, []
for name, (streams, alone, mutual) in ablations.COMPONENTS.items():
    model, _ = ablations.entry(name).make(params.seed, params.ablations.size, pel=params.pel)
    ticks = ["✓" if tick else "" for tick in ("rgb" in streams, "freq" in streams, alone, mutual)]
    costs[name] = count(model), count(model.enhancements)
    rows.append((name, LACKS[name], *ticks, f"{costs[name][0]:,}", f"{costs[name][1]:,}"))
columns = ["row", "lacks", "RGB", "Freq", "Self", "Mutual", "parameters", "of these enhance"]
pd.DataFrame(rows, columns=columns).style.hide()

# %%
(whole, modules), single = costs["pel"], costs["rgb"][0]
Markdown(
    f"The modules are {modules / whole:.1%} of PEL's parameters; the second stream multiplies "
    f"the network by {whole / single:.1f}. If PEL beats RGB alone, a larger network has won, "
    "too: only the rows with both streams tell the modules apart from size."
)

# %% [markdown]
# ## 2 Table 5: another denoiser
#
# The noise is what a denoiser $M$ takes away: $f_{noi} = f_{in} - M(f_{in})$ (Eq. 2). The paper tries seven. On one window
# with a spike in the centre:

# %% tags=["nbval-check-output"]
window = torch.tensor([[2.0, 2, 2], [2, 20, 2], [2, 2, 2]])[None, None]
median, mean = ops.median_filter(window)[0, 0, 1, 1], ops.mean_filter(window)[0, 0, 1, 1]
print(f"median {median:.0f}: noise {20 - median:.0f}")
print(f"mean {mean:.0f} (it takes the spike along): noise {20 - mean:.0f}")

# %% [markdown]
# **Non-local means** (Buades et al. 2005) average over places whose surroundings look alike:
#
# $$M(f)(p) = \frac{\sum_q w(p, q)\, f(q)}{\sum_q w(p, q)}, \qquad w(p, q) = e^{-d(p, q) / h^2}$$
#
# with $d$ the mean squared difference of the 3×3 patches around $p$ and $q$, and $h$ the standard deviation of the channel.
# With patches of one pixel it fits on a line:

# %% tags=["nbval-check-output"]
f = torch.tensor([[2.0, 2, 2], [2, 20, 2], [2, 2, 2]])
w = torch.exp(-((f - f[1, 1]) ** 2) / f.var(correction=0))  # d of single pixels to the centre
by_hand = (w * f).sum() / w.sum()
from_op = ops.non_local_means(f[None, None], patch=1, search=3)[0, 0, 1, 1]
same = torch.isclose(by_hand, from_op)
print(
    f"{by_hand:.4f}", "✓ ops.non_local_means agrees" if same else "✗ ops.non_local_means differs"
)

# %% [markdown]
# The spike stays (19.99 of 20): nothing around it looks like it. So non-local means call a lone spike no noise at all.
#
# **Several medians** (3, 5, 7) leave several residuals, one each. The paper shrinks them to one by a grouped 1×1 convolution.
# We put the sigmoid first; then the grouped convolution stands where the depth-wise one of Eq. 3 stood:
#
# $$f_{ne} = f_{in} + b + \sum_{k \in \{3, 5, 7\}} w_k\, \sigma(f_{in} - M_k(f_{in}))$$

# %% tags=["nbval-check-output"]
x, sizes = torch.rand(1, 2, 9, 9), (3, 5, 7)
block = network.NoiseEnhancement(2, kernel_size=sizes)
with torch.no_grad():
    block.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.5, 0.5]]))
    by_hand = x.clone()
    for w, k in zip(block.weight.unbind(1), sizes, strict=True):
        by_hand += w[:, None, None] * torch.sigmoid(x - ops.median_filter(x, k))
    same = torch.allclose(block(x), by_hand, atol=1e-5)
print("✓ network.NoiseEnhancement agrees" if same else "✗ network.NoiseEnhancement differs")

# %% [markdown]
# The noise that each denoiser sees in a face (in the network it sees feature maps), six times amplified:

# %%
face_table = ablations.face_table(params.data, params.faces, params.ablations, params.seed)
test = face_table.query("split == 'test'")
pixels = read_image(test.query("label == 0")["path"].iloc[0])
face = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
single = {name: (kind, k) for name, kind, k in ablations.DENOISERS.values() if isinstance(k, int)}
noises = {name: face - DENOISERS[kind](face, k) for name, (kind, k) in single.items()}
loud = {name: 255 * noise.std().item() for name, noise in noises.items()}
pictures = [face[0], *(0.5 + 6 * noise[0] for noise in noises.values())]
titles = ["face", *(f"{name}: {value:.1f}" for name, value in loud.items())]
fig = figures.show_grid(pictures, titles, columns=6, side=1.9)
told = ", ".join(f"{name} {value:.1f}" for name, value in loud.items())
alt = f"A face, and what five denoisers take away, deviation in grey levels: {told}."
figures.show(fig, alt=alt)

# %%
sizes = ", ".join(f"{loud[f'median{k}']:.1f}" for k in (3, 5, 7))
Markdown(
    "Above each picture is the standard deviation of the noise, in grey levels (0 to 255). The "
    f"medians of 3, 5 and 7 take away {sizes}: a larger window takes edges, then whole features, "
    f"and calls them noise. With the same 3×3 pixels the mean takes {loud['mean3']:.1f}, since it "
    "blurs edges, which a median keeps; "
    f"non-local means, which search 7×7 pixels, take {loud['nlm3']:.1f}."
)

# %% [markdown]
# ## 3 Tables 4 and 5, beside the paper's
#
# The paper trains each row once. A second training, from another seed, gives other numbers. So `python -m lib.seeds` trains
# each row with several seeds and keeps their scores in `results/seeds`. The default run trains the rows of `ablations.rows` in
# params.yaml, once.

# %%
this_run = ablations.read(params.ablations.rows)
kept, doubt = seeds.together("pel_ablations", ablations.ROWS, params, this_run)
auc = lambda frame: roc_auc_score(frame["label"], frame["score"])
by_seed = {row: {seed: auc(frame) for seed, frame in of.items()} for row, of in kept.items()}
by_seed = pd.DataFrame(by_seed)  # a row a seed, a column a row of the tables
trainings = int(by_seed.count().min())
one = trainings == 1
luck = "one training each" if one else f"{trainings} trainings each"
over = "people" if one else "seeds and people"
print(f"{doubt}\n" * bool(doubt) + f"{len(kept)} of {len(ablations.ROWS)} rows, {luck}")

# %% [markdown]
# What the luck of a training comes to was measured once before: `results/tables/pel_ablation_seeds.csv` holds the AUCs of
# earlier trainings with these settings (their code was older, and of the scores only the AUCs are left). They stand in as long
# as `results/seeds` keeps no newer ones:

# %%
earlier = pd.read_csv(paths.ROOT / "results" / "tables" / "pel_ablation_seeds.csv")
earlier = earlier.query("recipe == @recipe").pivot(index="seed", columns="row", values="frame_auc")
earlier = earlier[[row for row in ablations.ROWS if row in earlier]]
use_earlier = one and len(earlier) > 1
spread = earlier if use_earlier else by_seed
whose = f"{len(earlier)} earlier trainings each" if use_earlier else luck
for row, frame in this_run.items():
    others = spread[row].drop(params.training_seed, errors="ignore") if row in spread else []
    low, high = verdicts.expected(others)
    place = "✓ inside" if low <= auc(frame) <= high else "✗ outside"
    told = f"{place} [{low:.3f}, {high:.3f}], where other seeds lead to expect it"
    told = told if len(others) > 1 else "no other seed to compare with"
    print(f"{row}: frame AUC of this run {auc(frame):.3f}; {told}")

# %% tags=["hide-input"]
table4, table5 = tables.table4(kept, params.seed), tables.table5(kept, params.seed)
report.write_table("pel_table4", table4)
report.write_table("pel_table5", table5)

# %%
measured = {row: measure(list(of.values()), seed=params.seed) for row, of in kept.items()}
people = next(iter(measured.values()))["identities"]


def cell(result, key, factor=1, digits=3):
    """Return "0.740 [0.687, 0.805]" of a result, or a dash where nothing was measured."""
    ends = [factor * result.get(f"frame_{key}{end}", np.nan) for end in ("", "_low", "_high")]
    value, low, high = (f"{end:.{digits}f}" for end in ends)
    if np.isnan(ends).any():
        return "-" if np.isnan(ends[0]) else value
    return f"{value} [{low}, {high}]"


# %%
def beside(number, named):
    """Return a table of ours beside the paper's; named: {row: what it is}, in the paper's order."""
    theirs, lines = report.paper_table(f"pel_table{number}"), []
    for row, acc, auc in zip(named, theirs["acc"], theirs["auc"], strict=True):
        mine = measured.get(row, {})
        line = [row, named[row], cell(mine, "accuracy", 100, 1), acc, cell(mine, "auc"), auc]
        if use_earlier:
            line.append(f"{earlier[row].mean():.3f} ± {earlier[row].std():.3f}")
        lines.append(line)
    columns = ["row", "which", "accuracy, %", "paper's, %", "AUC", "paper's AUC"]
    columns += [f"AUC, {len(earlier)} earlier seeds"] if use_earlier else []
    caption = f"Table {number}. Ours: frames of {HERE}, {luck}; the paper's: FF++(LQ)"
    return pd.DataFrame(lines, columns=columns).style.hide().set_caption(caption)


beside(4, {row: f"lacks {LACKS[row]}" for row in LACKS})

# %%
beside(5, {row: denoiser for row, (denoiser, *_) in ablations.DENOISERS.items()})

# %% tags=["hide-input"]
paper = {n: report.paper_table(f"pel_table{n}")["auc"].astype(float) for n in (4, 5)}
theirs = {4: dict(zip(ablations.COMPONENTS, paper[4], strict=True)),
          5: dict(zip(ablations.DENOISERS, paper[5], strict=True))}
reported = {**theirs[5], **theirs[4], ablations.RANDOM_START: np.nan}
width = np.mean([r["frame_auc_high"] - r["frame_auc_low"] for r in measured.values()])
span = {n: paper[n].max() - paper[n].min() for n in (4, 5)}
text = (
    f"From the lowest row to the highest the paper's Table 4 spans {span[4]:.4f} of AUC, Table 5 "
    f"{span[5]:.4f}. Our interval of a single row is {width:.3f} wide ({people} people, over "
    f"{over}): {width / span[4]:.0f} times as wide as the whole of Table 4."
)
if len(kept) < len(ablations.ROWS):
    text += f" A dash: not trained in this run, which has the rows {', '.join(kept)}."
if use_earlier:
    text += " ±: standard deviation over seeds, whose trainings met the same people."
Markdown(text)

# %% [markdown]
# Wide intervals of two rows overlap even where the rows differ, for all rows meet the same people. So compare two rows on the
# same draws of people (and the same seeds): does the difference to PEL hold?

# %%
others = [row for row in kept if row != "pel"] if "pel" in kept else []
gaps = [{"row": row, **tables.gain(kept[row], kept["pel"], params.seed)} for row in others]
gaps = verdicts.judge(gaps)


def over_seeds(better, worse):
    """Return `verdicts.difference` of two rows of `spread`; only seeds vary, the people do not."""
    return verdicts.difference((spread[better] - spread[worse]).dropna(), 0.0, people)


old = [{"row": row, **over_seeds(row, "pel")} for row in spread if row != "pel" and use_earlier]
old = verdicts.judge(old)
tested, by = (old, "seeds alone") if use_earlier else (gaps, over)
clear = tested[tested["p"] < verdicts.LEVEL]

# %%
names = [row for row in ablations.ROWS if row in {*gaps.get("row", ()), *old.get("row", ())}]
fig, ax = plt.subplots(figsize=(8.5, 1.8 + 0.26 * len(names)))
for table, label, mark, shift in ((gaps, luck, "o", -0.15), (old, whose, "D", 0.15)):
    if len(table):
        y = [names.index(row) + shift for row in table["row"]]
        reach = [table["effect"] - table["low"], table["high"] - table["effect"]]
        ax.errorbar(table["effect"], y, xerr=reach, fmt=mark, capsize=3, ls="none", label=label)
printed = [reported[row] - reported["pel"] for row in names]
ax.plot(printed, range(len(names)), "kx", linestyle="none", label="paper, FF++(LQ)")
ax.axvline(0, color="black", linewidth=1)
ax.set(yticks=range(len(names)), yticklabels=names, xlabel="frame AUC minus that of PEL")
ax.invert_yaxis()
ax.legend(bbox_to_anchor=(1, 1), loc="upper left", fontsize=9)
known = f"{len(clear)} of {len(tested)} rows differ from PEL beyond luck (Holm, {by})"
unknown = f"One training: {len(gaps)} rows against PEL, not tested"
ax.set_title(known if tested["p"].notna().any() else unknown, fontsize=11)
told = "; ".join(f"{row.row} {row.effect:+.3f}" for row in tested.itertuples())
alt = f"Differences to PEL with 95 % intervals; the paper's, crosses, are below 0. {told}."
figures.show(fig, alt=alt, name="pel_ablations")

# %% tags=["hide-input"]
ends = lambda row: "" if np.isnan(row.low) else f" [{row.low:+.3f}, {row.high:+.3f}]"
signed = lambda row: f"{row.effect:+.3f}{ends(row)}"
said = [f"{row.row} {signed(row)}, the paper {reported[row.row] - reported['pel']:+.4f}"
        for row in gaps.itertuples() if row.row in theirs[4] | theirs[5]]
told = "; ".join(said) or "no row to compare"
if len(said) > 3:
    steps = [reported[row] - reported["pel"] for row in gaps["row"]]
    told = f"from {gaps['effect'].min():+.3f} to {gaps['effect'].max():+.3f}, the paper "
    told += f"{np.nanmin(steps):+.4f} to {np.nanmax(steps):+.4f}"

# %% tags=["hide-input"]
lines = [f"Minus PEL, {luck}, interval over {over}: {told}."]
if one:
    lines.append("One training of a row is *not tested*: another seed may turn it round.")
if use_earlier and {"rgb", "pel"} <= set(earlier):
    leads = ", ".join(f"{lead:+.3f}" for lead in earlier["pel"] - earlier["rgb"])
    lines.append(
        f"That is no empty warning: with {len(earlier)} earlier seeds, the lead of PEL over RGB "
        f"alone was {leads}. Who trains once prints one of these."
    )
if tested["p"].notna().any():
    some = ", ".join(clear["row"]) or "none"
    lines.append(f"Beyond luck ({by}) differ from PEL: {some}, of {len(tested)} rows ({whose}).")
    unsure = tested[(tested["low"] * tested["high"] > 0) & (tested["p"] >= verdicts.LEVEL)]["row"]
    lines[-1] += (
        f" The interval of {', '.join(unsure)} does leave out 0; but who draws {len(tested)} such "
        "intervals must expect one by luck now and then (Holm corrects for that)."
    ) * bool(len(unsure))
Markdown("- " + "\n- ".join(lines))

# %% [markdown]
# ## 4 The luck of the training
#
# How far apart are two trainings of one row, and how far apart are two rows?

# %%
def title(number, part):
    """Say how far seeds and rows spread, or that there is nothing to compare."""
    if len(part) > 1 and part.shape[1] > 1:
        of_rows = f"rows' means {part.mean().std():.3f}"
        return f"Table {number}: seeds spread {part.std().mean():.3f}, {of_rows}"
    rows = "one row" if part.shape[1] == 1 else f"{part.shape[1]} rows"
    return f"Table {number}: {rows}, {len(part)} training: no spread to see"


# %%
fig, axes = plt.subplots(2, 1, figsize=(8, 6.6), sharex=True)
for ax, (number, printed) in zip(axes, theirs.items(), strict=True):
    part = spread[[row for row in printed if row in spread]]
    part = part.rename(columns={row: f"{row} ({printed[row]:.4f})" for row in part})
    if part.shape[1]:
        sns.stripplot(part, orient="h", size=6, jitter=False, alpha=0.6, ax=ax, marker="D",
                      color=figures.COLOURS[0])
        ax.plot(part.mean(), range(part.shape[1]), "k|", markersize=16, linestyle="none")
    ax.set(xlabel="", ylabel="row (paper's AUC)")
    ax.set_title(title(number, part), fontsize=11)
axes[1].set_xlabel("frame AUC; a mark is a seed, a line the mean")
told = "; ".join(f"{row} {spread[row].min():.3f} to {spread[row].max():.3f}" for row in spread)
alt = f"Marks of the AUC with each seed, a line a row ({whose}). {told}."
figures.show(fig, alt=alt, name="pel_ablation_seeds")

# %% tags=["hide-input"]
text = "One training a row: how far another would be away is not known."
if len(spread) > 1:
    noise, apart = spread.std().mean(), spread.mean().std()
    needed = lambda gap: int(np.ceil(2 * (2 * noise / gap) ** 2 - 1e-9))
    of_paper = " and ".join(f"{np.std(list(theirs[n].values()), ddof=1):.3f}" for n in (4, 5))
    step = reported["pel"] - reported["both_self"]
    text = (
        f"Two trainings of one row differ by a standard deviation of {noise:.3f} ({whose}), the "
        f"means of the rows by {apart:.3f}. If all rows were equally good, luck alone would spread "
        f"these means by {noise:.3f} / √{len(spread)} = {noise / len(spread) ** 0.5:.3f}. The "
        f"paper's rows spread by {of_paper} (Tables 4 and 5), one training each.\n\n**How many "
        "trainings a row would show the paper's differences**, at twice their standard error? For "
        f"the whole span of Table 4, {span[4]:.4f}: {needed(span[4])}. For PEL over "
        f"self-enhancement alone, {step:.4f}: {needed(step)}. (Exercise 2 has the formula.)"
    )
Markdown(text)

# %% tags=["hide-input"]
part = spread[[row for row in theirs[5] if row in spread]]
found, chance = part.mean().std(), part.std().mean() / len(part) ** 0.5
told = "more than" if found > chance else "no more than"
Markdown(
    f"The means of the denoisers of Table 5 spread by {found:.3f}, {told} luck alone makes them "
    f"({chance:.3f})" + ("." if found > chance else ": here no denoiser can be told from another.")
    if len(part) > 1 and part.shape[1] > 1 else ""
)

# %% [markdown]
# ## 5 Does the paper's order come out?
#
# Its claims, one by one, against ours. A claim gets a verdict only if the difference stands out from luck: $p$ is the chance
# of such a difference by luck alone, corrected for the number of claims (Holm); below 0.05 a claim **holds**. *visible* is the
# smallest true difference that would have been found in 80 of 100 repetitions.

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
}
for row, (denoiser, *_) in ablations.DENOISERS.items():
    CLAIMS |= {f"median 3 beats {denoiser}": ("pel", row)} if row != "pel" else {}
copy = "ours, not the paper's: a copy of the RGB stream is a better start than a random one"
CLAIMS[copy] = ("pel", ablations.RANDOM_START)

# %% tags=["hide-input"]
claims = verdicts.judge([
    {"claim": claim, "paper": reported[better] - reported[worse],
     **tables.gain(kept[better], kept[worse], params.seed)}
    for claim, (better, worse) in CLAIMS.items() if better in kept and worse in kept
])
report.write_claims("pel_ablations", claims, "PEL, Tables 4 and 5", "frame AUC")
both = [row for row in by_seed if row in theirs[4] | theirs[5]]
order = np.array([[reported[row], by_seed[row].mean()] for row in both])
rank = pd.DataFrame(order).corr("spearman").iloc[0, 1]

# %%
shown = claims
if use_earlier:
    shown = verdicts.judge([
        {"claim": claim, "paper": reported[better] - reported[worse], **over_seeds(better, worse)}
        for claim, (better, worse) in CLAIMS.items() if better in spread and worse in spread
    ])
number = lambda value, form: "-" if np.isnan(value) else format(value, form)
lines = [
    {"claim": row.claim, "paper": number(row.paper, "+.4f"), "ours": signed(row),
     "p": number(row.p, ".3f"), "visible": number(row.visible, ".3f"), "verdict": row.verdict}
    for row in shown.itertuples()
]
columns = ["claim", "paper", "ours", "p", "visible", "verdict"]
caption = f"Differences of frame AUC; ours: {HERE}, {whose}, intervals over {by}"
pd.DataFrame(lines, columns=columns).style.hide().set_caption(caption)

# %% tags=["hide-input"]
pairs = {row: (reported[row], spread[row].mean()) for row in spread if row in theirs[4] | theirs[5]}
lines = []
if use_earlier:
    of_run = verdicts.counts(claims) or "no claim has both of its rows"
    holding = "; ".join(shown[shown["verdict"] == "holds"]["claim"])
    holding = f" (holds: {holding})" if holding else ""
    lines += [
        f"**This run** ({', '.join(kept)}; {luck}): {of_run}.",
        f"**{whose.capitalize()}**: of {len(shown)} claims {verdicts.counts(shown)}{holding}. "
        "These intervals leave out the luck of the people, so they are too narrow: with it, "
        "even less would be seen.",
    ]
else:
    counted = verdicts.counts(shown) or "none has both rows"
    lines.append(f"**Of {len(shown)} claims: {counted}** ({whose}).")
if len(pairs) > 4:
    ranks = pd.DataFrame(pairs.values()).corr("spearman").iloc[0, 1]
    told = f"Rank correlation of {len(pairs)} rows with the paper's: {ranks:+.2f}"
    lines.append(f"{told} (1: the same order, 0: none).")
if shown["visible"].notna().any():
    small, large = (f"{end:.3f}" for end in (shown["visible"].min(), shown["visible"].max()))
    lines.append(f"The paper's differences reach from {shown['paper'].min():+.4f} to "
                 f"{shown['paper'].max():+.4f}; ours had to be {small} to {large} to be visible.")
Markdown("- " + "\n- ".join(lines))

# %% [markdown]
# Three things separate these rows from the paper's: far fewer people, smaller faces (the bundled ones grey, so that
# frequencies of colour say nothing), and a smaller backbone for fewer steps. A claim that does not come out here is not refuted; but neither does one
# training a row, with differences this small, prove it.

# %% tags=["hide-input"]
report.write_metrics("pel_ablations", {
    "frame_auc": by_seed.mean().to_dict(),
    "this_run": {row: auc(frame) for row, frame in this_run.items()},
    "claims": {row.claim: {"paper": row.paper, "gain": row.effect, "verdict": row.verdict}
               for row in claims.itertuples()},
    "seeds": len(by_seed),
    "rank_correlation": rank,
})

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
found = {row: cell(measured.get(row, {}), "auc") for row in ("pel", "rgb")}
bullets = [
    "Each row of Table 4 leaves a module out, each row of Table 5 exchanges the denoiser; all "
    "else, the pictures and their order included, stays the same.",
    f"**PEL** has an AUC of {found['pel']} ({luck}, {people} people, interval over {over}); the "
    f"paper's {reported['pel']:.4f}. **RGB alone**: {found['rgb']}; the paper's "
    f"{reported['rgb']:.4f}.",
    f"**The luck of the {over}** makes the AUC of one row uncertain by {width:.3f}; all rows of "
    f"the paper's Table 4 lie within {span[4]:.4f}.",
]
if len(spread) > 1:
    bullets += [
        f"**The luck of the training** is a standard deviation of {noise:.3f} ({whose}). To see "
        f"the {span[4]:.4f} of Table 4 takes {needed(span[4])} trainings a row; the paper has "
        "one.",
        f"**The claims** ({whose}, over {by}): {verdicts.counts(shown)}.",
    ]
else:
    bullets.append("**The luck of the training** cannot be seen in one: no claim is tested.")
Markdown("- " + "\n- ".join(bullets))

# %% [markdown]
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
    hint = "a weight for each channel and kernel size, a bias for each channel"
    print("1: ✓" if tuple(answer_1) == expected else f"1: ✗ {hint}")

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
    noisy = set()
    for name, kind, sizes in ablations.DENOISERS.values():
        for k in sizes if isinstance(sizes, tuple) else (sizes,):
            if (flat - DENOISERS[kind](flat, k)).abs().max() > 1e-5:
                noisy.add(name)
    hint = "every one of them averages or picks among equal values"
    print("3: ✓" if set(answer_3) == noisy else f"3: ✗ {hint}")

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
