# %% [markdown]
# # 13 · Playground: what does each detector see of your picture?
#
# Drop a picture or a video, then make it worse: compress it, blur it, shrink it. Both detectors answer as you go.
#
# **After this notebook you can**
# - see for yourself which change takes which evidence away;
# - tell what PEL reads (a face, its frequencies) from what Beyond the Spectrum reads (what re-synthesis misses);
# - say why a score of 0.9 is no proof.
#
# **You need**: [00 start here](00_start_here.ipynb). **Hardware**: any CPU. Run alone: `make lab`; as a page of its own:
# `make playground`. **Papers**: the ideas of Figs. 1 of both.
#
# Previous: [12 training the generators](12_training_the_generators.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %% tags=["hide-input"]
import ipywidgets as widgets
import pandas as pd
from IPython.display import display

from lib import figures, playground
from lib.data import layouts
from lib.evaluation import report
from lib.params import load

params = load(scale)
figures.style()

# %% [markdown]
# ## 1 A picture to begin with
#
# A fake frame of the test people: nobody's weights have seen this person.

# %%
clips = layouts.videos(params.data.forged)
clip = clips[(clips["split"] == "test") & (clips["label"] == 1)].iloc[0]
with open(clip["path"], "rb") as file:
    game = playground.Playground().opened(clip["path"], file.read())
found, fig = game.look()
print({playground.TITLES[name]: round(score, 3) for name, score in found.items()})
alt = "For each detector the picture, where it finds evidence for fake, and what it alone reads."
figures.show(fig, alt=alt)

# %% [markdown]
# Read a row from the left: the picture as the detector gets it, where its first stream finds evidence (scaled from least to
# most *within* this picture), and what it reads beside the pixels: one of PEL's 192 frequency maps, and the pixels that the
# re-synthesizer of Beyond the Spectrum cannot explain.
#
# ## 2 Change it
#
# Below, with a kernel running, sliders; here the same without one. What does compression take away?

# %%
qualities = (100, 90, 70, 50, 30, 10)
found_at = {q: game.scores(playground.Change(quality=q)) for q in qualities}
rows = [{"JPEG quality": "none" if q == 100 else q, **scores} for q, scores in found_at.items()]
named = pd.DataFrame(rows).rename(columns={"pel": "PEL", "bts": "Beyond the Spectrum"})
named.style.hide().format(precision=3)

# %% [markdown]
# And what do the enhancement modules of PEL add to the score of this one face? Taken out, the same weights answer without
# them. (Which part helps over many faces, notebook [08](08_pel_ablations.ipynb) says.)

# %%
without = game.scores(playground.Change(), enhanced=False)["pel"]
print(f"PEL with its enhancements {found['pel']:.3f}, without them {without:.3f}")

# %% [markdown]
# ## 3 Your turn
#
# A file stays in memory only for as long as this page is open, and is never written anywhere but to a temporary folder
# that is removed at once. **What a score may not be used for**: these detectors were trained on forty people and a handful
# of forgeries. A high score accuses nobody; a low one acquits nobody.

# %% tags=["hide-input"]
kinds = "image/*,video/*"
upload = widgets.FileUpload(accept=kinds, multiple=False, description="a picture or a video")
sliders = {
    "quality": widgets.IntSlider(100, 10, 100, 5, description="JPEG quality"),
    "blur": widgets.IntSlider(1, 1, 15, 2, description="blur (pixels)"),
    "crop": widgets.FloatSlider(0, min=0, max=0.5, step=0.05, description="cut away"),
    "noise": widgets.FloatSlider(0, min=0, max=20, step=1, description="noise"),
    "size": widgets.FloatSlider(1, min=0.1, max=1, step=0.1, description="size"),
}
enhanced = widgets.Checkbox(True, description="PEL with enhancements")
band = widgets.IntSlider(1, 0, 63, description="DCT band")
said, shown = widgets.HTML(), widgets.Image(format="png")

# %% tags=["hide-input"]
for slider in (*sliders.values(), band):
    slider.continuous_update = False


def answer(*values):
    change = playground.Change(**dict(zip(sliders, values, strict=False)))
    found, fig = game.look(change, enhanced.value, divmod(band.value, 8))
    bold = lambda name: f"<b class='score-{name}'>{found[name]:.3f}</b>"
    said.value = "<br>".join(f"{title} {bold(name)}" for name, title in playground.TITLES.items())
    return fig


def opened(change):
    for file in upload.value:
        try:
            game.opened(file["name"], bytes(file["content"]))
        except ValueError as error:
            said.value = f"<span class='refused'>{error}</span>"
        else:
            band.value = 1 + band.value % 63  # draws anew
    upload.value = ()


# %% tags=["hide-input"]
figures.follow([*sliders.values(), enhanced, band], shown, answer)
upload.observe(opened, "value")
controls = widgets.VBox([upload, *sliders.values(), enhanced, band, said])
display(widgets.HBox([controls, shown]))

# %% tags=["hide-input"]
report.write_metrics("playground", {"scores": found})

# %% [markdown]
# ## What we saw
#
# - Both scores move with changes that no eye minds; each detector has other changes that it minds.
# - Where a detector looks is not why it says so: the map of an original has a hottest place, too.
#
# ## Exercises
#
# **1** Which JPEG quality, of 10, 20, ... 90, moves the score of PEL most from that of the unchanged picture?

# %%
answer_1 = None  # a number

if answer_1 is None:
    print("1: not solved yet")
else:
    after = {q: game.scores(playground.Change(quality=q))["pel"] for q in range(10, 100, 10)}
    moved = {q: abs(score - found["pel"]) for q, score in after.items()}
    print("1: ✓" if moved[answer_1] == max(moved.values()) else "1: ✗ try all nine in a loop")

# %% [markdown]
# **2** Is there a blur after which both detectors call this fake real (below 0.5)? Set `answer_2` to the smallest kernel of
# 1, 3, 5, ... 31, or to 0 if there is none.

# %%
answer_2 = None  # a number

if answer_2 is None:
    print("2: not solved yet")
else:
    highest = {k: max(game.scores(playground.Change(blur=k)).values()) for k in range(1, 33, 2)}
    fooled = [kernel for kernel, score in highest.items() if score < 0.5]
    print("2: ✓" if answer_2 == (fooled or [0])[0] else "2: ✗ try one kernel after the other")

# %% [markdown]
# **3** Take a photograph of yourself and score it five times, each with another camera, light or crop. By how much do the
# scores differ? What does that say about one score of one picture? (No check: discuss.)
#
# <details>
# <summary>Solutions</summary>
#
# 1. `answer_1 = max(range(10, 100, 10), key=lambda q: abs(game.scores(playground.Change(quality=q))["pel"] - found["pel"]))`
# 2. `answer_2 = next((k for k in range(1, 33, 2) if max(game.scores(playground.Change(blur=k)).values()) < 0.5), 0)`
# 3. The spread between such pictures is the least uncertainty of any one score.
#
# </details>
#
# Previous: [12 training the generators](12_training_the_generators.ipynb)
