# %% [markdown]
# # 00 · Start here
#
# Two papers, two questions to a picture. *Can I draw you myself?* asks **Beyond the Spectrum** (BTS; He et al., IJCAI 2021).
# *What do you look like, one fine frequency at a time?* asks **PEL** (Gu et al., AAAI 2022). Both catch fake faces.
# This project rebuilds both, from the data to the tables.
#
# **After this notebook you can**
# - say in one sentence each what the two papers do, and compute the core of each on one face;
# - score your own image or video, and see where the network looked;
# - read a score: what a threshold costs;
# - run everything, and find your way through the other notebooks.
#
# **You need**: a little Python. No deep learning yet. **Hardware**: any CPU; the minutes are in the table of
# [README.md](../README.md). **Papers**: the ideas of Fig. 1 of BTS and Fig. 1 of PEL.
#
# Next: [01 real and forged faces](01_real_and_forged_faces.ipynb)
#
# | notebook | what it shows | paper |
# |---|---|---|
# | [01 real and forged faces](01_real_and_forged_faces.ipynb) | the data; forge faces yourself; cut them out of videos | PEL, section 4.1 |
# | [02 re-synthesis](02_re_synthesis.ipynb) | a network learns to redraw real photographs from small ones | BTS, Eqs. 1 and 3 |
# | [03 residual detectors](03_residual_detectors.ipynb) | what it could not redraw gives fakes away | BTS, Figs. 3 and 4 |
# | [04 Beyond the Spectrum: results](04_beyond_the_spectrum_results.ipynb) | ten detectors against known, unknown and wiped fakes | BTS, Tables 1-3, Figs. 4-8 |
# | [05 fine-grained frequency](05_fine_grained_frequency.ipynb) | 192 frequency maps of a face, one at a time | PEL, Eq. 1 |
# | [06 progressive enhancement](06_progressive_enhancement.ipynb) | PEL, one block at a time, trained and measured | PEL, Eqs. 2-7 |
# | [07 PEL: results](07_pel_results.ipynb) | eight networks, the same faces, the same tests | PEL, Tables 1-3 |
# | [08 PEL: ablations](08_pel_ablations.ipynb) | PEL with one part taken away or exchanged | PEL, Tables 4 and 5 |
# | [09 what the networks see](09_what_the_networks_see.ipynb) | where in a face both find evidence | PEL, Figs. 2-4, BTS, Fig. 7 |
# | [10 both papers](10_both_papers.ipynb) | the two detectors change places, all rivals with them | neither |
# | [12 training the generators](12_training_the_generators.ipynb) | the GANs that made the bundled fakes | outside the default run |
#
# The numbers follow the papers: 02 to 04 are BTS, 05 to 08 are PEL, from 09 on both.

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %%
import re

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import display
from scipy.fft import dctn

from lib import detect, figures, ops, paths
from lib.bts.re_synthesizer import box_mean
from lib.data import image, layouts
from lib.data.items import FaceImages
from lib.evaluation import report
from lib.evaluation.metrics import metrics
from lib.evaluation.predict import predict
from lib.heatmaps import heatmap
from lib.params import load

params = load(scale)
figures.style()
print(f"scale {params.scale}")

# %% [markdown]
# ## 1 The data at hand
#
# Two kinds of fake, two sets. **Forged** videos show a real person whose face was manipulated; PEL is made for them.
# **Generated** images show nobody; BTS is made for them. Real is 0, fake is 1, everywhere.

# %%
images = layouts.images(params.data.generated, params.seed)
has_videos = params.data.forged.layout in layouts.VIDEO_LAYOUTS
forged = layouts.videos(params.data.forged) if has_videos else layouts.images(params.data.forged, params.seed)
counts = {"forged": forged, "generated": images}
counts = {name: pd.crosstab([table["label"], table["method"]], table["split"]) for name, table in counts.items()}
pd.concat(counts).reindex(columns=["train", "val", "test"]).fillna(0).astype(int)

# %%
size = 128
test_images = images[images["split"] == "test"]
one_each = test_images.groupby("method", sort=False).head(3)
pictures = [image.resize(image.read_image(path), size) for path in one_each["path"]]
fig = figures.show_grid(pictures, list(one_each["method"]), columns=len(pictures), side=1.2)
plt.show()

# %% [markdown]
# People never meet: who is in the test set is in no training set ([01](01_real_and_forged_faces.ipynb) proves it).
#
# ## 2 Beyond the Spectrum in one picture: what cannot be redrawn
#
# Shrink a picture $X$ to a quarter. Enlarge it again with a function $\Phi$. What is the difference?
#
# $$X_\downarrow = \text{mean of each } 4\times4 \text{ box of } X, \qquad R = \lvert X - \Phi(X_\downarrow)\rvert$$
#
# By hand, on 4 x 8 pixels. $\Phi$ just repeats each small pixel:

# %%
#NBVAL_CHECK_OUTPUT
x = torch.tensor([[0.0, 1.0] * 2 + [0.5] * 4] * 4)[None, None]  # (1, 1, 4, 8): stripes, then plain grey
small = box_mean(x)
again = F.interpolate(small, scale_factor=4)
print("small:", small.flatten().tolist())
print("residual, first row:", (x - again).abs()[0, 0, 0].tolist())
by_hand = x.reshape(1, 1, 1, 4, 2, 4).mean((3, 5))
print("✓ box_mean agrees" if torch.equal(by_hand, small) else "✗ box_mean differs")


# %% [markdown]
# Both halves have the same small pixel. The plain half is explained, the stripes are not: the residual keeps what the
# small picture does not tell. Now a photograph and a generated face. Here $\Phi$ is ordinary bicubic enlargement:

# %%
def residual(path):
    pixels = image.resize(image.read_image(path), size)
    rgb = torch.tensor(pixels).permute(2, 0, 1)[None] / 255  # (1, 3, size, size)
    again = F.interpolate(box_mean(rgb), scale_factor=4, mode="bicubic")
    return rgb[0], again[0], (rgb - again).abs()[0]


pair = test_images.drop_duplicates("label").sort_values("label")
columns = [residual(path) for path in pair["path"]]
cells = [cell for rgb, again, rest in columns for cell in (rgb, again, 4 * rest)]
titles = [f"{method}{what}" for method in pair["method"] for what in ("", ", redrawn", ", residual x 4")]
fig = figures.show_grid(cells, titles, columns=3, side=2.2)
means = [rest.mean().item() for _, _, rest in columns]
fig.suptitle(f"Mean residual: {means[0]:.4f} (real), {means[1]:.4f} (fake)", fontsize=11)
figures.save(fig, "start_residual")
plt.show()

# %% [markdown]
# Bicubic enlargement knows no faces. Its residual is edges and hair, whoever is shown, and its size says how sharp a
# picture is, not whether it is real. The paper's idea is a $\Phi$ that has learned how *real* faces continue when one
# looks closer. Its residual holds what is odd, and a small network learns to read it. That is [02](02_re_synthesis.ipynb) and [03](03_residual_detectors.ipynb).
#
# ## 3 PEL in one picture: 64 numbers for 64 pixels
#
# Take a patch $p$ of 8 x 8 pixels. Ask how much of each wave is in it. That is the discrete cosine transform:
#
# $$D(u, v) = c_u c_v \sum_{y=0}^{7}\sum_{x=0}^{7} p(y, x) \cos\frac{(2y+1)u\pi}{16} \cos\frac{(2x+1)v\pi}{16},
# \qquad c_0 = \tfrac{1}{\sqrt 8},\ c_{u>0} = \tfrac12$$

# %%
n = np.arange(8)
waves = np.cos((2 * n + 1) * n[:, None] * np.pi / 16) / 2  # row u: the u-th wave
waves[0] /= np.sqrt(2)

rgb = columns[0][0]  # the photograph (3, size, size)
top, left = 3 * size // 8, 3 * size // 8
patch = torch.tensor([0.299, 0.587, 0.114]) @ rgb[:, top : top + 8, left : left + 8].flatten(1)  # brightness
patch = patch.reshape(8, 8).double().numpy()
by_hand = waves @ patch @ waves.T
print("✓ SciPy agrees" if np.allclose(by_hand, dctn(patch, norm="ortho")) else "✗ SciPy differs")
module = ops.sliding_dct(rgb[None, :, top : top + 8, left : left + 8], padding=0)[0, :64].reshape(8, 8)
print("✓ the module agrees" if np.allclose(by_hand, module, atol=1e-4) else "✗ the module differs")

# %%
fig, axes = plt.subplots(1, 3, figsize=(9, 3.1))
axes[0].imshow(figures.image(rgb))
axes[0].add_patch(plt.Rectangle((left, top), 8, 8, fill=False, edgecolor="yellow", linewidth=2))
axes[1].imshow(patch, cmap="gray")
drawn = axes[2].imshow(np.log10(np.abs(by_hand) + 1e-4), cmap="viridis")
fig.colorbar(drawn, ax=axes[2], label="log10 |D(u, v)|")
energy = (by_hand[:2, :2] ** 2).sum() / (by_hand**2).sum()
titles = ["a photograph", "one patch", f"{energy:.1%} of the energy\nin 4 of 64 frequencies"]
for ax, title in zip(axes, titles, strict=True):
    ax.set_title(title, fontsize=10)
    ax.grid(False)
axes[2].set(xlabel="v: waves across", ylabel="u: waves down")
figures.save(fig, "start_dct")
plt.show()

# %% [markdown]
# Nearly all of this patch is in the first few numbers. The traces of a forgery hide in the others, where no eye
# looks. PEL slides this window over the whole face, gives each of the 3 x 64 frequencies a map of its own, and lets
# two networks, one on pixels and one on frequencies, point each other to what they find. That is
# [05](05_fine_grained_frequency.ipynb) and [06](06_progressive_enhancement.ipynb).
#
# ## 4 Score one image
#
# The networks are trained (by 03 and 06). On the command line:
#
# ```
# python -m lib.detect --detector bts my_face.png
# python -m lib.detect my_clip.mp4 my_folder --csv scores.csv --heatmap heat
# ```
#
# BTS takes an image whole: it is trained on pictures that are aligned faces. In Python, on a test photograph and a test fake:

# %%
for path in pair["path"]:
    result = detect.score(path, detector="bts")
    print(f"{result.score:.3f}  {result.verdict}  {paths.show(path)}")
    fig = heatmap(result, detect.load("bts").model)
    plt.show()

# %% [markdown]
# A heat map shows where each stream found its evidence, scaled from least to most *within* the face. What that does and
# does not prove: [09](09_what_the_networks_see.ipynb).
#
# ## 5 Score one video
#
# PEL is for manipulated faces. It looks at frames at equal intervals, follows one face (of several, the one in the most frames), cuts it out as in
# training, and takes the mean of its scores. The same person twice, as filmed and forged:

# %%
test_items = forged[forged["split"] == "test"]
person = test_items.groupby("identity")["label"].nunique().idxmax()
clips = test_items[test_items["identity"] == person].drop_duplicates("label").sort_values("label")
results = [detect.score(path, frames=5) for path in clips["path"]]
for method, result in zip(clips["method"], results, strict=True):
    print(f"{result.score:.3f}  {result.verdict}  {len(result.frames)} frames  {method}")

# %%
for result in results:
    fig = heatmap(result, detect.load().model)
    plt.show()

# %% [markdown]
# ## 6 From a score to a verdict
#
# A score is not a verdict. Somebody must say from where on "fake" is said, and each choice pays with one error or the
# other. Here are the scores of BTS for all test images.

# %%
bts = detect.load("bts")
table = test_images.reset_index(drop=True)
scores = predict(bts.model, FaceImages(table, bts.size))
labels = table["label"].to_numpy()
result = metrics(table, scores, level="frame", seed=params.seed)
interval = f"[{result['frame_auc_low']:.3f}, {result['frame_auc_high']:.3f}]"
print(f"{result['frames']} images, AUC {result['frame_auc']:.3f} {interval}")


# %%
def show_threshold(threshold=0.5):
    called = scores > threshold
    caught, alarms = called[labels == 1].mean(), called[labels == 0].mean()
    ax = plt.figure(figsize=(7, 3)).gca()
    for label, name, colour, hatch in ((0, "real", figures.REAL, None), (1, "fake", figures.FAKE, "//")):
        ax.hist(scores[labels == label], bins=np.linspace(0, 1, 26), alpha=0.6, label=name, color=colour, hatch=hatch)
    ax.axvline(threshold, color="black", linestyle="--")
    ax.set(xlabel="score", ylabel="images", xlim=(0, 1))
    accuracy = (called == labels).mean()
    ax.set_title(f"Accuracy {accuracy:.2f}: {caught:.0%} of fakes caught, {alarms:.0%} of reals accused", fontsize=11)
    ax.legend()
    plt.show()


show_threshold()

# %% [markdown]
# Move the threshold (with a kernel running; the picture above stands without one):

# %%
slider = widgets.FloatSlider(0.5, min=0, max=1, step=0.02, continuous_update=False)
panel = widgets.Output()


def move(change):
    panel.clear_output(wait=True)
    with panel:
        show_threshold(change["new"])


slider.observe(move, "value")
display(widgets.VBox([slider, panel]))

# %% [markdown]
# The **AUC** needs no threshold: it is the chance that a random fake scores higher than a random real. The **EER** is the
# error where both errors are equal. All results come with a 95 % interval, made by drawing the test *people* again and
# again, because ten frames of one person are not ten independent facts.
#
# ## 7 The results so far, beside the papers'
#
# Ours is measured on a small bundled set, theirs on the full ones. So the rows say that the method works here, not who is
# better.

# %%
for name in ("bts_table1", "pel_table1"):
    file = paths.TABLES / f"{name}.csv"
    if file.is_file():
        ours = pd.read_csv(file)
        ours = ours[[column for column in ours if not re.search("_[REAP](_|$)|avg", column)]]  # wiped fakes: notebook 04
        beside = report.compare(name, ours)
        print(name)
        display(beside[(beside.filter(like="(ours)") != "").any(axis=1)])
    else:
        print(f"{name}: not there yet; `make repro` writes it")

# %% [markdown]
# Tables say how large the numbers are; verdicts say what can be concluded from them. Each claim of both papers, from notebooks
# 04, 07 and 08: a claim *holds* if our difference, over several trainings and over the test people, is beyond luck in the
# paper's direction, and is *opposite* beyond luck in the other one. Else no difference was *seen*: `visible` is the smallest
# that would have been.

# %%
claims = report.read_claims()
display(pd.crosstab(claims["place"], claims["verdict"]))
claims[["place", "claim", "paper", "effect", "low", "high", "visible", "verdict"]].style.hide().format(precision=3, na_rep="")

# %%
report.write_metrics("start_here", {"bts": result, "energy_in_four_frequencies": float(energy)})

# %% [markdown]
# ## 8 Run everything
#
# ```
# make repro     the environment, the data, all notebooks in order, the tables
# make test      all tests, the notebooks among them
# make lab       JupyterLab, to play
# ```
#
# `params.yaml` holds every number. Its first line is the switch for the scale: `smoke` (seconds), `bundled` (minutes on
# two cores), `paper` (a GPU and the real data sets, named by their root). A notebook run alone makes what it needs.
#
# ## What we saw
#
# - BTS: redraw a picture from a small version of itself, and look at what is left over.
# - PEL: give every fine frequency a map of its own, and let pixels and frequencies enhance each other.
# - A score becomes a verdict only with a threshold, and every threshold has its price.
#
# ## Exercises
#
# **1. Stripes.** A patch of vertical stripes, one pixel white, one pixel black. Which $D(u, v)$, other than $D(0, 0)$, is
# the largest? Guess first, from the picture of section 3.

# %%
answer_1 = None  # (u, v)

if answer_1 is None:
    print("1: not solved yet")
else:
    coefficients = np.abs(dctn(np.tile([1.0, 0.0], (8, 4)), norm="ortho"))
    coefficients[0, 0] = 0
    print("1: ✓" if coefficients[answer_1] == coefficients.max() else "1: ✗ do the stripes change downwards or across?")

# %% [markdown]
# **2. At most one real in twenty.** Find the lowest threshold at which at most 5 % of the real test images are accused.

# %%
answer_2 = None  # a number; scores and labels are above

if answer_2 is None:
    print("2: not solved yet")
else:
    accused = (scores[labels == 0] > answer_2).mean()
    lowest = (scores[labels == 0] > answer_2 - 0.01).mean() > 0.05  # a little lower would be too low
    print("2: ✓" if accused <= 0.05 and lowest else "2: ✗", f"{accused:.1%} of reals are accused,",
          f"{(scores[labels == 1] > answer_2).mean():.1%} of fakes are caught")

# %% [markdown]
# **3. A worse way to enlarge.** In section 2, replace bicubic by repeating pixels (`mode="nearest"`). Put the mean
# residual of the photograph into `answer_3`. Does it rise or fall?

# %%
answer_3 = None  # a number

if answer_3 is None:
    print("3: not solved yet")
else:
    nearest = (rgb - F.interpolate(box_mean(rgb[None]), scale_factor=4)[0]).abs().mean().item()
    print("3: ✓" if abs(answer_3 - nearest) < 1e-4 else "3: ✗", f"nearest {nearest:.4f}, bicubic {means[0]:.4f}")

# %% [markdown]
# <details>
# <summary>Solutions</summary>
#
# 1. `answer_1 = (0, 7)`: nothing changes downwards, and across it changes as fast as eight pixels allow.
# 2. `answer_2 = np.sort(scores[labels == 0])[int(np.ceil(0.95 * (labels == 0).sum())) - 1]`: 95 % of the reals lie at or
#    below it, and only what lies *above* a threshold is accused.
# 3. `answer_3 = (rgb - F.interpolate(box_mean(rgb[None]), scale_factor=4)[0]).abs().mean().item()`. It rises: a better
#    $\Phi$ explains more, so less is left over. A learned one explains most.
#
# </details>
#
# Next: [01 real and forged faces](01_real_and_forged_faces.ipynb)
