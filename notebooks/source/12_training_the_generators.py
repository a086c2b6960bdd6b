# %% [markdown]
# # 12 · Training the generators
#
# *Beyond the Spectrum* catches faces that nobody wears: drawn by **ProGAN** and **StyleGAN**, and in its harder tests by
# **StyleGAN2**, by **StarGAN v2**, and by generators that were taught to hide their spectrum. The bundled fakes come from
# small versions of all of these, trained by this project on a handful of people. Here you see how, and can train them again.
#
# **After this notebook you can**
# - grow a GAN from 4 x 4 pixels up, one size at a time;
# - explain equalised learning rate, pixel norm, minibatch deviation, AdaIN and truncation, each on a tensor you can print;
# - mix two faces: the pose of one, the texture of the other;
# - say what StyleGAN2 changed, and how StarGAN v2 puts glasses on a face;
# - finetune a generator until its spectrum is that of photographs, and measure what is left in decibel;
# - choose fakes so that neither file size nor brightness gives them away.
#
# **You need**: what a GAN is (two networks, one game). **Hardware**: any CPU; the minutes are in the table of
# [README.md](../README.md). Outside the default run. **Papers**: the fakes of BTS, sections 4.1 to 4.4: Karras et al. (ICLR
# 2018; CVPR 2019; CVPR 2020), Choi et al. (CVPR 2020), Durall et al. (CVPR 2020), Jung and Keuper (AAAI 2021).
#
# Previous: [10 both papers](10_both_papers.ipynb) · Back to [00 start here](00_start_here.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says
retrain = False  # True: train all generators from scratch at this scale; section 5 shows what the first two cost

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from lib import figures, paths
from lib.data import check, image, layouts
from lib.data.audit import shortcuts
from lib.fakes import orl
from lib.fakes.gan import finetune, images, layers, train, translate
from lib.fakes.gan.photographs import of as photographs_of
from lib.fakes.gan.photographs import to_uint8
from lib.fakes.gan.stylegan import adain
from lib.fakes.gan.stylegan2 import ModulatedConv
from lib.ops import spectra
from lib.params import load

params = load(scale)
train_params = params if retrain else load("smoke")
settings = train_params.generators
figures.style()
plt.rcParams["figure.dpi"] = 80  # hundreds of faces: the file must stay small
print(f"all trainings run at scale {train_params.scale}")

# %% [markdown]
# ## 1 What they learn from
#
# Photographs of the **training people** only. The people of val and test are left out: a generator that had seen them
# could draw them, and a detector that knows its test faces is no detector.

# %%
people = orl.people("train")
photographs = [(person, path) for person, photo, path in orl.orl_photographs() if photo == 1]
pictures = [orl.photo_square(path, 128) for person, path in photographs if person in people]
fig = figures.show_grid(pictures, columns=12, side=0.9)
fig.suptitle(f"{len(pictures)} of {len(photographs)} people teach the generators", fontweight="bold")
plt.show()

# %% [markdown]
# ## 2 Growing up
#
# Large faces are hard. ProGAN learns them at 4 x 4 pixels first, then at 8 x 8, and so on. A new size is **faded in**: for
# a while the picture is a blend of the old size, doubled, and the new one (ProGAN, Fig. 2):
#
# $$\text{image} = (1-\alpha)\,\text{double}(\text{coarse}) + \alpha\,\text{fine}, \qquad \alpha: 0 \to 1$$
#
# By hand, a quarter of the way:

# %%
#NBVAL_CHECK_OUTPUT
coarse = torch.tensor([[[[0.0, 1.0]]]])  # (1, 1, 1, 2)
fine = torch.tensor([[[[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]]])  # (1, 1, 2, 4)
double = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
by_hand = 0.75 * double + 0.25 * fine
print(by_hand[0, 0])
print("same as lib.fakes.gan.layers.fade", "✓" if torch.allclose(by_hand, layers.fade(coarse, fine, 0.25)) else "✗")

# %% [markdown]
# One number says how far a network has grown. At 3 it works at $4\cdot 2^3 = 32$ pixels. At 2.25 it is a quarter of the way
# from 16 to 32.

# %%
bundled = load("bundled").generators
seen = np.linspace(0, 1000 * sum(bundled.thousands), 600)
growth = np.array([train.growth_at(s, bundled.thousands, bundled.fade) for s in seen])
fig, ax = plt.subplots(figsize=(8, 2.8))
ax.plot(seen / 1000, growth, marker="")
ax.set(xlabel="thousand images seen", ylabel="size in pixels", yticks=range(len(bundled.widths)))
ax.set_yticklabels([4 * 2**level for level in range(len(bundled.widths))])
ax.set_title(f"{100 * (growth % 1 > 0).mean():.0f} % of the training is spent fading in a new size")
plt.show()

# %% [markdown]
# The discriminator must see real photographs of the same size, and of the same blend:

# %%
real = photographs_of(params.generators, 128)
torch.manual_seed(params.seed)
growths = [0, 1, 1.5, 2, 3, 4, 5]
ladder = [F.interpolate(train.real_batch(real[:1], 1, g), 128)[0] for g in growths]
figures.show_grid(ladder, [f"growth {g}" for g in growths], columns=len(growths), side=1.4)
plt.show()

# %% [markdown]
# ## 3 Four small tools that keep the game fair
#
# **Equalised learning rate** (ProGAN, section 4.1). Adam moves every weight by about the same step. So let all weights be
# about 1, and multiply them by He's constant only when they are used:
#
# $$\hat w = c\,w, \qquad w \sim N(0, 1), \qquad c = \sqrt{\text{gain} / \text{fan-in}}$$

# %%
#NBVAL_CHECK_OUTPUT
torch.manual_seed(0)
layer = layers.EqualConv(4, 2, 3)  # fan-in: 4 channels x 3 x 3
x = torch.ones(1, 4, 3, 3)
by_hand = (layer.weight * np.sqrt(2 / 36) * x).sum((1, 2, 3))
print("same as lib.fakes.gan.layers.EqualConv", "✓" if torch.allclose(by_hand, layer(x)[0, :, 1, 1]) else "✗")

# %% [markdown]
# **Pixel norm** (ProGAN, section 4.2) stops the two networks from shouting each other down. The feature vector $a$ of each
# pixel, $N$ channels long, is divided by its root mean square:
#
# $$b = a \Big/ \sqrt{\tfrac1N \textstyle\sum_j a_j^2 + \epsilon}$$

# %%
#NBVAL_CHECK_OUTPUT
a = torch.tensor([1.0, 7.0]).view(1, 2, 1, 1)  # root mean square 5
print(layers.pixel_norm(a).flatten())

# %% [markdown]
# **Minibatch deviation** (ProGAN, section 3). A generator that always draws the same face is easy to catch if the
# discriminator may compare the faces of a batch. One more channel holds their mean standard deviation:

# %%
#NBVAL_CHECK_OUTPUT
torch.manual_seed(0)
same, varied = torch.rand(1, 1, 2, 2).expand(4, 1, 2, 2), torch.rand(4, 1, 2, 2)
for name, batch in {"same": same, "varied": varied}.items():
    print(f"{name:6s} -> added channel holds {layers.minibatch_stddev(batch)[0, 1, 0, 0]:.2f}")

# %% [markdown]
# **AdaIN** (StyleGAN, Eq. 1). A style $y$ steers a layer by setting the deviation and the mean of each feature map:
#
# $$\text{AdaIN}(x_i, y) = y_{s,i}\,\frac{x_i - \mu(x_i)}{\sigma(x_i)} + y_{b,i}$$

# %%
#NBVAL_CHECK_OUTPUT
x = torch.tensor([[1.0, 2.0], [3.0, 6.0]]).view(1, 1, 2, 2)
deviation, mean = torch.std_mean(x, unbiased=False)
by_hand = 2.0 * (x - mean) / deviation + 10.0
scale_less_one, bias = torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), 10.0)  # y_s = 1 + 1
print(by_hand[0, 0])
print("same as adain", "✓" if torch.allclose(by_hand, adain(x, scale_less_one, bias)) else "✗")

# %% [markdown]
# ## 4 The game
#
# The discriminator $D$ gives real pictures high logits, the generator $G$ wants the same for its own. In place of ProGAN's
# WGAN-GP both generators here use the loss that StyleGAN moved to: non-saturating logistic loss, and **R1** (Mescheder et
# al. 2018, Eq. 9), which keeps $D$ flat around real pictures.
#
# $$L_D = E[\text{softplus}(-D(x))] + E[\text{softplus}(D(G(z)))] + \tfrac{\gamma}{2} E\lVert\nabla_x D(x)\rVert^2, \qquad
# L_G = E[\text{softplus}(-D(G(z)))]$$
#
# R1 by hand, for a $D$ whose gradient we know: $D(x) = \sum_i w_i x_i$.

# %%
#NBVAL_CHECK_OUTPUT
w = torch.tensor([[3.0, 4.0]]).view(1, 1, 1, 2)
penalty = train.r1(lambda x, growth: (w * x).sum((1, 2, 3)), torch.rand(5, 1, 1, 2), growth=0)
print(f"by hand {3.0**2 + 4.0**2:.0f}, lib.fakes.gan.train.r1 {penalty:.0f}")

# %% [markdown]
# So few photographs would be learned by heart. So $D$ sees real and generated pictures only through random shifts of place,
# brightness and contrast. They are differentiable: $G$ learns through them (DiffAugment, Zhao et al. 2020). The shifts of
# light are small: what $D$ cannot see, $G$ does not learn, and here it must learn the light of the photographs.

# %%
torch.manual_seed(params.seed)
figures.show_grid(list(train.augment(real[:1].expand(8, -1, -1, -1))), columns=8, side=1.2, limits=(-1, 1))
plt.show()

# %% [markdown]
# ## 5 Train
#
# At scale smoke this shows only that the machine runs: the networks take a few steps at three tiny sizes. Set
# `retrain = True` for the real thing. A killed training goes on where it stopped. The faces are drawn by a running mean of
# the generator's weights, which is calmer than the weights of any one step. StyleGAN learns a second time, and StyleGAN2
# (section 7) at all, from the people of val and test: the fakes of another data set, as FFHQ is to CelebA-HQ.

# %%
name_of = {"progan": "ProGAN", "stylegan": "StyleGAN"}
trainings = {"progan": "train", "stylegan": "train", "stylegan_others": "others", "stylegan2_others": "others"}
for name, taught_by in trainings.items():
    folder = paths.UNFINISHED / f"{name}_{train_params.scale}"
    splits = train.PEOPLE[taught_by]
    training = train.train(name.split("_")[0], settings, params.seed, folder, splits=splits)
    train.export(name, training, folder)

# %%
#NBVAL_CHECK_OUTPUT
finished = [(train.WEIGHTS / f"{name}.safetensors").is_file() for name in trainings]
print("all trainings wrote their weights", "✓" if all(finished) else "✗")


# %%
def where(*names):
    """The folder of weights to show: the bundled ones; with `retrain`, or where one is missing, those just trained."""
    missing = [name for name in names if not (images.WEIGHTS / f"{name}.safetensors").is_file()]
    if missing and not retrain:
        print(f"NOTE {', '.join(missing)}: not in {paths.show(images.WEIGHTS)}; below is what a few steps give")
    return train.WEIGHTS if retrain or missing else images.WEIGHTS


generators = {name: images.load_generator(name, where(name)) for name in trainings}

# %% [markdown]
# From here on you see the generators that made the bundled fakes (or yours, if you retrained). First, how they learned.
# $L_D = 2\ln 2$ (grey line) means that $D$ can only guess. The minutes are those of one core of a busy machine. One thing
# was different then: up to 64 pixels the changes of light in section 4 were stronger. A retrained generator will differ.

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True)
for ax, (name, title) in zip(axes, name_of.items(), strict=True):
    history = pd.read_csv(where(name) / f"{name}.csv")
    ax.plot(history["images"] / 1000, history["loss_discriminator"], label="$L_D$", marker="")
    ax.plot(history["images"] / 1000, history["loss_generator"], label="$L_G$", marker="")
    ax.axhline(2 * np.log(2), color="grey", linewidth=0.8)
    ax.set(xlabel="thousand images seen", ylabel="loss")
    minutes, last = history["seconds"].sum() / 60, history["loss_discriminator"].iloc[-1]
    ax.set_title(f"{title}: {minutes:.0f} minutes to a last $L_D$ of {last:.2f}")
axes[0].legend()
plt.show()

# %% [markdown]
# The same eight latent vectors at the end of every size. Top: 4 x 4 pixels.

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.3))
for ax, (name, title) in zip(axes, name_of.items(), strict=True):
    sheet = image.read_image(where(name) / f"{name}.png")
    ax.imshow(sheet)
    ax.axis("off")
    ax.set_title(f"{title} grows through {len(sheet) * train.SHEET[1] // sheet.shape[1]} sizes")
plt.show()

# %% [markdown]
# ## 6 Samples
#
# Only the people of the first row exist. Do the others look real? Look at ears, glasses and hair first.

# %%
rows = [orl.photo_square(path, 128) for person, path in photographs if person in people][:10]
for name in name_of:
    rows += list(images.draw(generators[name], range(10)))
fig = figures.show_grid(rows, columns=10, side=1.1)
fig.suptitle("photographs (top), ProGAN, StyleGAN (bottom)", fontweight="bold")
plt.show()

# %% [markdown]
# ### A walk between two faces
#
# Latent vectors in between give faces in between, not two faces on top of each other: the generator has learned more than
# a list of photographs. ProGAN's vectors are normal, so the walk goes along an arc:
#
# $$z(t) = \cos(t\,\pi/2)\,z_0 + \sin(t\,\pi/2)\,z_1$$

# %%
progan, stylegan = generators["progan"], generators["stylegan"]
start, end = torch.randn(2, 1, progan.latent, generator=torch.Generator().manual_seed(5))
arc = torch.linspace(0, np.pi / 2, 9)[:, None]
walk = progan(torch.cos(arc) * start + torch.sin(arc) * end)
figures.show_grid(list(walk), columns=9, side=1.2, limits=(-1, 1))
plt.show()

# %% [markdown]
# ### Style mixing (StyleGAN, section 3.1)
#
# Each layer has its own style. Coarse layers set the pose and the shape, fine layers the texture and the light. Every face
# below takes its coarse layers from the left and its fine layers from the top:

# %%
coarse_w = stylegan.mapping(torch.randn(3, stylegan.latent, generator=torch.Generator().manual_seed(1)))
fine_w = stylegan.mapping(torch.randn(6, stylegan.latent, generator=torch.Generator().manual_seed(2)))
coarse_w, fine_w = stylegan.truncate(coarse_w, 0.8), stylegan.truncate(fine_w, 0.8)


def faces(styles):
    return list(stylegan.synthesise(styles, generator=torch.Generator().manual_seed(0)))


grid = [None, *faces(stylegan.mix(fine_w, fine_w, 0))]
for w in coarse_w:
    w = w.expand_as(fine_w)
    grid += faces(stylegan.mix(w, w, 0))[:1] + faces(stylegan.mix(w, fine_w, 4))
figures.show_grid(grid, columns=7, side=1.1, limits=(-1, 1))
plt.show()

# %% [markdown]
# ### Truncation (StyleGAN, appendix B)
#
# $$w' = \bar w + \psi\,(w - \bar w)$$
#
# $\psi = 0$ is the mean face. A small $\psi$ gives good but similar faces, $\psi = 1$ all that was learned.

# %%
#NBVAL_CHECK_OUTPUT
w = stylegan.mapping(torch.randn(1, stylegan.latent, generator=torch.Generator().manual_seed(3)))
by_hand = stylegan.mean_style + 0.5 * (w - stylegan.mean_style)
print("same as StyleGAN.truncate", "✓" if torch.allclose(by_hand, stylegan.truncate(w, 0.5), atol=1e-6) else "✗")

# %%
psis = [0.0, 0.5, 0.7, 1.0]
rows, spread = [], []
for psi in psis:
    drawn = stylegan.sample(48, torch.Generator().manual_seed(4), psi)
    rows += list(drawn[:8])
    spread.append(drawn.std(0).mean())
fig = figures.show_grid(rows, columns=8, side=1.0, limits=(-1, 1))
ratio = spread[-1] / spread[2]
title = f"psi {psis} from top to bottom: faces differ {ratio:.1f} times as much at {psis[-1]} as at {psis[2]}"
fig.suptitle(title, fontweight="bold", fontsize=10)
plt.show()

# %% [markdown]
# ## 7 StyleGAN2: styles scale the weights
#
# AdaIN sets the deviation of every map, and so wipes out how strong a feature was beside the others. StyleGAN2 (Karras et
# al. 2020, Eq. 1 and 3) lets the style $s$ scale the **weights** of a convolution, input map by input map, and then divides
# by the deviation that the output would have if its input were noise (demodulation):
#
# $$w'_{ijk} = s_i\,w_{ijk}, \qquad w''_{ijk} = w'_{ijk} \Big/ \sqrt{\textstyle\sum_{i,k} {w'_{ijk}}^2 + \epsilon}$$
#
# By hand, two input maps and a 1 x 1 kernel:

# %%
#NBVAL_CHECK_OUTPUT
torch.manual_seed(0)
conv = ModulatedConv(2, 1, 1, latent=3)
w, x = torch.randn(1, 3), torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
s, kernel = conv.style(w)[0].detach(), conv.scale * conv.weight.detach().flatten()
modulated = s * kernel
demodulated = modulated / (modulated.square().sum() + 1e-8).sqrt()
print(f"style {s}, weights {kernel} -> {demodulated}")
by_hand = (demodulated * x.flatten()).sum()
print("same as ModulatedConv", "✓" if torch.allclose(by_hand, conv(x, w).squeeze()) else "✗")

# %% [markdown]
# Nothing grows any more. Every size adds its own small picture to the doubled sum of those below, and all sizes learn from
# the start (Fig. 7b of the paper):
#
# $$\text{image}_k = \text{double}(\text{image}_{k-1}) + \text{grey}_k$$

# %%
stylegan2 = generators["stylegan2_others"]
w = stylegan2.truncate(stylegan2.mapping(torch.randn(1, stylegan2.latent, generator=torch.Generator().manual_seed(6))), 0.7)
greys = []
hooks = [part.register_forward_hook(lambda module, inputs, output: greys.append(output)) for part in stylegan2.to_image]
whole = stylegan2.synthesise(stylegan2.mix(w, w, 0))
for hook in hooks:
    hook.remove()
sums = [greys[0]]
for grey in greys[1:]:
    sums.append(F.interpolate(sums[-1], scale_factor=2, mode="bilinear") + grey)

# %%
#NBVAL_CHECK_OUTPUT
print("the sum of all sizes is the image", "✓" if torch.allclose(sums[-1], whole, atol=1e-5) else "✗")

# %%
share = [float(grey.std() / whole.std()) for grey in greys]
sizes = [f"{grey.shape[-1]} px: {100 * part:.0f} %" for grey, part in zip(greys, share, strict=True)]
pictures = [(picture[0] + 1) / 2 for picture in (*greys, *sums)]
names = ["adds", "sum so far"]
fig = figures.show_grid(pictures, sizes, columns=len(greys), side=1.4, limits=(0, 1), rows=names)
largest = greys[int(np.argmax(share))].shape[-1]
fig.suptitle(f"{largest} pixels add the most (deviation, in % of the whole image's)", fontweight="bold", fontsize=10)
plt.show()

# %% [markdown]
# BTS tests on its faces at $\psi = 0.5$ and at $\psi = 1$, as two sources. Ours learned from the people of val and test:

# %%
psis = [0.5, 1.0]
drawn = {psi: images.draw(stylegan2, range(48), psi=psi) for psi in psis}
spread = [faces.std(0).mean() for faces in drawn.values()]
rows = [face for faces in drawn.values() for face in faces[:9]]
fig = figures.show_grid(rows, columns=9, side=1.2, rows=[f"psi {psi}" for psi in psis])
title = f"StyleGAN2: faces differ by {spread[0]:.0f} grey levels at psi {psis[0]}, by {spread[1]:.0f} at {psis[1]}"
fig.suptitle(title, fontweight="bold", fontsize=10)
plt.show()

# %% [markdown]
# ## 8 StarGAN v2: faces are translated
#
# The other generators invent a face. StarGAN v2 (Choi et al. 2020) redraws a **photograph** $x$ in a style $s$ of another
# domain $y$; ours are faces with and without glasses. A style is made of a latent vector (mapping network $F$) or read off
# another photograph (encoder $E$):
#
# $$\text{fake} = G(x, s), \qquad s = F_y(z) \quad\text{or}\quad s = E_y(x_\text{ref})$$

# %%
translating = translate.train(train_params.translation, params.seed, paths.UNFINISHED / f"stargan2_{train_params.scale}")
translate.export(translating.average, train.WEIGHTS / "stargan2.safetensors")
stargan2 = translate.load(where("stargan2") / "stargan2.safetensors")
size = 4 * 2 ** (len(stargan2.config["widths"]) - 1)

# %%
#NBVAL_CHECK_OUTPUT
torch.manual_seed(0)
x, z, y = torch.rand(1, 1, size, size), torch.randn(1, stargan2.config["latent"]), torch.tensor([1])
by_hand = stargan2.generator(x, stargan2.mapping(z, y)).clamp(-1, 1)
print("same as StarGAN2.translate", "✓" if torch.equal(by_hand, stargan2.translate(x, y, z=z)) else "✗")

# %% [markdown]
# People of the test split, whom it has never seen. Each column: a photograph, then its translation to the other domain by
# two latent vectors.

# %%
test_people = orl.photographs_of("test")[::10]
faces = torch.stack([torch.from_numpy(orl.photo_square(path, size))[None] / 127.5 - 1 for *_, path in test_people])
domains = torch.tensor([translate.domain_of(person, photo) for person, photo, _ in test_people])
latents = torch.randn(2, 1, stargan2.config["latent"], generator=torch.Generator().manual_seed(2))
drawn = [stargan2.translate(faces, 1 - domains, z=z.expand(len(faces), -1)) for z in latents]
titles = [("without", "with")[1 - domain] for domain in domains.tolist()]
rows = ["photograph", "z 1", "z 2"]
fig = figures.show_grid([f for row in (faces, *drawn) for f in row], titles, len(faces), side=1.1, limits=(-1, 1), rows=rows)
changed = float((drawn[0] - faces).abs().mean() / 2 * 255)
fig.suptitle(f"To faces with or without glasses: a pixel changes by {changed:.0f} grey levels", fontweight="bold", fontsize=10)
plt.show()

# %% [markdown]
# Beside the game with the discriminator, three losses (section 2.2) see to it that the style can be read off the fake, that
# two styles make two faces, and that the way back leads to the photograph:
#
# $$L_\text{sty} = E\lVert s - E_y(G(x, s))\rVert_1 \qquad L_\text{ds} = E\lVert G(x, s_1) - G(x, s_2)\rVert_1 \qquad
# L_\text{cyc} = E\lVert x - G(G(x, s), E_{y_x}(x))\rVert_1$$

# %%
first, second = (stargan2.mapping(z.expand(len(faces), -1), 1 - domains) for z in latents)
fake = stargan2.generator(faces, first)
losses = {
    "style": F.l1_loss(stargan2.encoder(fake, 1 - domains), first),
    "diversity (large is good)": F.l1_loss(fake, stargan2.generator(faces, second)),
    "cycle": F.l1_loss(faces, stargan2.generator(fake, stargan2.encoder(faces, domains))),
}
pd.Series({name: float(value) for name, value in losses.items()}, name="test people").round(3)

# %% [markdown]
# ## 9 +R and +A: generators that hide their spectrum
#
# Generators leave traces in the high frequencies, and a detector may look at nothing else. BTS therefore also tests on
# generators that were finetuned until these traces are gone. What is left after that?
#
# All of it works on the **azimuthal profile**: the mean of $20\ln|\text{FFT}|$ over rings of equal frequency, scaled so that
# the photographs' mean goes from 0 to 1. At 8 x 8 pixels it has three numbers:

# %%
#NBVAL_CHECK_OUTPUT
small = photographs_of(params.generators, 8)
profile = finetune.Profile(small, "grid")
grey = (127.5 * (small[0, 0] + 1)).round()
log = 20 * torch.log(torch.fft.fft2(grey).abs() + 1e-8)
ring = torch.tensor(spectra.rings(8, "grid"))
by_hand = torch.stack([log[ring == number].mean() for number in (1, 2, 3)])  # the first and the last ring are left out
by_hand = (by_hand - profile.low) / profile.range
print(f"photographs' mean {np.round(profile.target.tolist(), 2)}, one photograph {np.round(by_hand.tolist(), 2)}")
print("same as finetune.Profile", "✓" if torch.allclose(by_hand, profile(small[:1])[0], atol=1e-4) else "✗")

# %% [markdown]
# **+R**, spectral regularization (Durall et al. 2020), adds the cross-entropy between the profile $p$ of a fake and the
# photographs' mean $\bar p$ to the generator's loss:
#
# $$L = L_G + \lambda L_\text{spec}, \qquad L_\text{spec} = -\tfrac1M\textstyle\sum_i \bar p_i \ln p_i + (1-\bar p_i)\ln(1-p_i)$$

# %%
#NBVAL_CHECK_OUTPUT
fake = (small[:1] + 0.2 * torch.sin(torch.arange(8) * torch.pi / 2)).requires_grad_()  # a photograph with stripes
p, mean = (values.clamp(0.001, 0.999) for values in (profile(fake)[0], profile.target))
by_hand = -(mean * p.log() + (1 - mean) * (1 - p).log()).mean()
loss = finetune.spectral_loss(profile, fake)
print("same as finetune.spectral_loss", "✓" if torch.allclose(by_hand, loss) else "✗")

# %% [markdown]
# A loss without a gradient teaches nothing. The released code computes the profile in NumPy and multiplies, so that
# $L_\text{spec}$ is one more constant beside the learning rate. Here the generator learns from it:

# %%
#NBVAL_CHECK_OUTPUT
constant = torch.from_numpy(spectra.azimuthal_profile(127.5 * (fake.detach().numpy()[:, 0] + 1)))
print("in NumPy: has a gradient:", constant.requires_grad)
(gradient,) = torch.autograd.grad(loss, fake)
print("here: has a gradient:", loss.requires_grad)

# %%
change = 0.02 * gradient / gradient.abs().max()
along = {step: finetune.spectral_loss(profile, fake - step * change).item() for step in (-1, 0, 1, 2)}
pd.Series(along, name="loss").round(4).rename_axis("steps against the gradient")

# %% [markdown]
# **+A**, spectral adversarial training (Jung and Keuper 2021), lets a second discriminator look at the profile alone. One
# linear layer is enough. The generator must deceive both:
#
# $$D_s(x) = v^\top (p(x) - \bar p) + b, \qquad L = \tfrac12\big(\text{softplus}(-D(\text{fake})) + \text{softplus}(-D_s(\text{fake}))\big)$$

# %%
#NBVAL_CHECK_OUTPUT
torch.manual_seed(0)
critic = finetune.SpectralDiscriminator(small)
difference = critic.profile(small[:2]) - critic.profile.target
by_hand = difference @ critic.linear.weight[0] + critic.linear.bias
print("same as finetune.SpectralDiscriminator", "✓" if torch.allclose(by_hand, critic(small[:2]), atol=1e-6) else "✗")

# %%
for name in name_of:
    for kind in finetune.KINDS:
        folder = paths.UNFINISHED / f"{name}_{kind}_{train_params.scale}"
        given = (name, kind, train_params.finetuning, settings, params.seed, folder)
        finetune.finetune(*given, weights=train.WEIGHTS)

# %%
kinds = {"": "as trained", "_R": "+R", "_A": "+A"}
tuned = {}
for name in name_of:
    names = [name + kind for kind in kinds]
    folder = where(*names)
    tuned |= {each: images.load_generator(each, folder) for each in names}


def power(generator):
    """Mean azimuthal power spectra: of photographs of the size that the generator draws, of 100 faces of its own."""
    faces = images.draw(generator, range(100))
    real = to_uint8(photographs_of(params.generators, faces.shape[-1]))
    return [spectra.mean_spectrum(pictures / 255) for pictures in (real, faces)]


powers = {name: power(generator) for name, generator in tuned.items()}
gaps = {name: spectra.gap(*both) for name, both in powers.items()}

# %% [markdown]
# How far are the fakes' spectra from the photographs'? Mean distance over all rings, in decibel:

# %%
table = {title: {kind: gaps[name + key] for key, kind in kinds.items()} for name, title in name_of.items()}
pd.DataFrame(table).T.round(2).rename_axis("gap in dB")

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.4), sharey=True)
for ax, (name, title) in zip(axes, name_of.items(), strict=True):
    for key, kind in kinds.items():
        real, fake = powers[name + key]
        ax.plot(np.arange(1, len(real)) / len(real), 10 * np.log10(fake / real)[1:], label=kind, marker="")
    ax.axhline(0, color="grey", linewidth=0.8)
    ax.set(xlabel="frequency (1: the corner of the spectrum)", ylabel="fake / photograph in dB")
    ax.set_title(f"{title}: gap {gaps[name]:.1f} dB, +R {gaps[name + '_R']:.1f}, +A {gaps[name + '_A']:.1f}", fontsize=11)
axes[0].legend()
plt.show()

# %% [markdown]
# The same seeds before and after: by how much has each face changed?

# %%
rows = {name: images.draw(generator, range(4)) for name, generator in tuned.items()}
labels = []
for name in rows:
    title, kind = name_of[name.split("_")[0]], name.split("_")[1:]
    change = np.abs(rows[name].astype(int) - rows[name.split("_")[0]]).mean()
    labels.append(f"+{kind[0]}: {change:.0f} levels" if kind else title)
figures.show_grid([face for row in rows.values() for face in row], columns=4, side=1.3, rows=labels)
plt.show()

# %% [markdown]
# ## 10 From samples to data sets
#
# A detector is lazy. If fakes are darker, or their files smaller, it will look at that and at nothing else. So ten times
# the faces are drawn, and for each photograph the one is kept that comes closest in file size and brightness
# (`lib.fakes.gan.images.alike`). No pixel is changed. How well does each alone separate fake from real? 0.5: not at all.

# %%
table = layouts.images(params.data.generated, params.seed).groupby("method").head(400)
measured = shortcuts.measure(table)[["file_size", "brightness"]]
real_rows = table["label"] == 0
auc = {}
for method in table.loc[~real_rows, "method"].unique():
    rows = real_rows | (table["method"] == method)
    auc[method] = shortcuts.separation(table.loc[rows, "label"], measured[rows])
pd.DataFrame(auc).T.round(3)

# %%
fig, ax = plt.subplots(figsize=(6, 4))
for (method, rows), marker in zip(table.groupby("method", sort=False), figures.MARKERS, strict=False):
    file_size, brightness = measured.loc[rows.index].to_numpy().T
    ax.scatter(file_size / 1000, brightness, s=12, marker=marker, label=method)
low, high = shortcuts.ALLOWED
fair = all(((low < column) & (column < high)).all() for column in auc.values())
ax.set(xlabel="size of the file in kB", ylabel="mean brightness (0-255)")
ax.set_title(f"File size and brightness {'do not give' if fair else 'GIVE'} the fakes away")
ax.legend()
plt.show()

# %% [markdown]
# To make your own set: set `retrain = True` above, then `python -m lib.fakes.gan images --weights checkpoints/generators
# --out FOLDER`, and name FOLDER in `params.yaml` under `data.generated.root`. At scale paper the same code is the 1024-pixel
# network that BTS used, and wants a GPU for days.
#
# The further test sets are drawn in the same way, beside photographs of people
# from whom no detector learns (`python -m lib.fakes.gan sets`; the default run does it): the test people, in the set FFHQ
# the validation people. Does anything give their fakes away?

# %%
auc = {}
for name, test_set in vars(params.test_sets).items():
    if not check.is_there(test_set):
        print(f"NOTE {name}: {test_set.root} is not there; `python -m lib.fakes.gan sets` draws it")
        continue
    table = layouts.images(test_set)
    measured = shortcuts.measure(table)[["file_size", "brightness"]]
    for method in table.loc[table["label"] == 1, "method"].unique():
        rows = (table["label"] == 0) | (table["method"] == method)
        auc[name, method] = shortcuts.separation(table.loc[rows, "label"], measured[rows])
pd.DataFrame(auc).T.round(3) if auc else None

# %% [markdown]
# ## What we saw
#
# - A GAN that grows learns the pose at 4 to 16 pixels and the hair at the end.
# - StyleGAN moves the randomness out of the latent vector into styles, one a layer, and so lets us mix faces. StyleGAN2 puts
#   the styles into the weights, and grows no more.
# - StarGAN v2 begins with a photograph, and leaves of it what is not style.
# - A generator can be taught the spectrum of photographs, if the loss has a gradient. Section 9 prints what is left of the gap.
# - A fair set of fakes must be chosen with care: the easiest clue is not the forgery.
#
# ## Exercises
#
# **1.** A network has widths for 4, 8, 16, 32 and 64 pixels. At what growth is it half-way from 32 to 64 pixels?

# %%
answer = None
if answer is None:
    print("not solved yet")
else:
    level, weight = layers.level_and_fade(answer, 5)
    print("✓" if (level, weight) == (4, 0.5) else f"✗ this is level {level}, faded in by {weight:.2f}")

# %% [markdown]
# **2.** Give `fine_only` the styles that keep the pose of `one` and take only the last two layers from `other`.

# %%
one, other = stylegan.mapping(torch.randn(2, 1, stylegan.latent, generator=torch.Generator().manual_seed(8)))
fine_only = None
if fine_only is None:
    print("not solved yet")
else:
    right = (fine_only[:, :-2] == one).all() and (fine_only[:, -2:] == other).all()
    print("✓" if right else "✗ count the layers: stylegan.layers")

# %% [markdown]
# **3.** Why an arc and not a straight line? Measure the length of the vector half-way on the line from `start` to `end`,
# divided by the length of `start`.

# %%
ratio = None
if ratio is None:
    print("not solved yet")
else:
    right = abs(ratio - (start + end).norm().item() / 2 / start.norm().item()) < 0.01
    print("✓ so short a vector the generator hardly ever saw" if right else "✗ half-way is (start + end) / 2")

# %% [markdown]
# <details><summary>Solutions</summary>
#
# 1. `answer = 3.5`
# 2. `fine_only = stylegan.mix(one, other, stylegan.layers - 2)`
# 3. `ratio = float(((start + end) / 2).norm() / start.norm())`
#
# </details>
