# %% [markdown]
# # 12 · How were the bundled fakes made?
#
# *Beyond the Spectrum* catches faces of people who do not exist. They were drawn by **ProGAN** and **StyleGAN**, and in its
# harder tests by **StyleGAN2**, by **StarGAN v2**, and by generators that were taught to hide their spectrum. The bundled
# fakes come from small versions of all of these, which this project trained on a handful of people. Here you see how.
#
# **After this notebook you can**
# - take one training step of a GAN by hand, and grow a GAN from 4 x 4 pixels up, one size at a time;
# - explain equalised learning rate, pixel norm, minibatch deviation, AdaIN and truncation, each on a tensor you can print;
# - tell whether a generator has only copied its training photographs;
# - mix two faces, say what StyleGAN2 changed, and how StarGAN v2 puts glasses on a face;
# - finetune a generator until its spectrum is closer to that of photographs, and measure what is left in decibel;
# - choose fakes so that neither file size nor brightness gives them away, and notice where this fails.
#
# **You need**: convolutions, a training loop. **Run alone**: `make lab`; minutes: in the table of
# [README.md](../README.md), on any CPU. It trains nothing of use unless you ask for it: cells marked **train it yourself** take
# a few steps at tiny sizes, and hours with `retrain = True` (section 5 says how many). It is not part of `make repro`.
#
# **Papers**: the fakes of BTS, section 4.4 and Fig. 5. ProGAN (Karras et al., ICLR 2018), StyleGAN (Karras et al., CVPR
# 2019), StyleGAN2 (Karras et al., CVPR 2020), StarGAN v2 (Choi et al., CVPR 2020), +R (Durall et al., CVPR 2020), +A (Jung
# and Keuper, AAAI 2021). [docs/bibliography.md](../docs/bibliography.md) lists all.
#
# Previous: [10 both papers](10_both_papers.ipynb) · Next, from the start: [00 start here](00_start_here.ipynb)

# %% tags=["parameters"]
scale = None  # None: what params.yaml says
retrain = False  # True: train all generators from scratch at this scale, for hours

# %%
import json
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown

from lib import figures, paths
from lib.data import cards, check, image, layouts
from lib.data.audit import shortcuts
from lib.fakes import orl
from lib.fakes.gan import finetune, images, layers, train, translate
from lib.fakes.gan.photographs import of as photographs_of
from lib.fakes.gan.photographs import to_uint8
from lib.fakes.gan.stargan2 import StarGAN2
from lib.fakes.gan.stylegan import adain
from lib.fakes.gan.stylegan2 import ModulatedConv
from lib.ops import spectra
from lib.params import load, read

# %%
params, bundled = load(scale), load("bundled")
train_params = params if retrain else load("smoke")
settings = train_params.generators
taught_by = params.generators if retrain else bundled.generators  # whose photographs you see below
figures.style()
torch.set_printoptions(precision=3, sci_mode=False)
print(f"you see the {'newly trained' if retrain else 'bundled'} generators")
print(f"what trains below does so at scale {train_params.scale}")

# %% [markdown]
# ## 1 The real generators, and ours in small
#
# A **GAN** is a game of two networks. The **generator** turns a *latent vector*, a list of random numbers, into a picture. The
# **discriminator** sees photographs and generated pictures and says which is which. Each learns from the other's mistakes;
# in the end only the generator is kept. Four of them, from top to bottom, with the sizes of the bundled ones (dashed: styles):
#
# ![Four generators. ProGAN: random numbers, a dense layer, convolutions that double up to 128 pixels. StyleGAN: a constant and
# a mapping network whose style steers each layer by AdaIN. StyleGAN2: the style scales the weights, and the sum of all sizes is
# the face. StarGAN v2: a photograph is halved to 16 pixels and drawn again in a style.](diagrams/generators.svg)
#
# Ours follow the papers layer by layer, but the layers are narrower, the pictures smaller and the trainings shorter. By how much?
# (Weights are those of the generator, counted in the networks that this project builds at `scale: paper` and at
# `scale: bundled`. The released StyleGAN prints 26.2 million, so that one fits; the released StyleGAN2 is wider.)

# %% tags=["hide-input"]
REAL = {  # photographs that it learned from, million images seen, size, time
    "ProGAN": ("CelebA-HQ, 30,000", "up to 19", 1024, "4 days, 8 GPUs"),
    "StyleGAN": ("CelebA-HQ, 30,000; FFHQ, 70,000", "25", 1024, "6.6 days, 8 GPUs"),
    "StyleGAN2": ("FFHQ, 70,000", "25", 1024, "9.8 days, 8 GPUs"),
    "StarGAN v2": ("CelebA-HQ, 30,000", "0.8", 256, "3 days, 1 GPU"),
}


def million_weights(name, at):
    """Millions of weights of a generator with the sizes of params `at`."""
    t, g = at.translation, at.generators
    with torch.device("meta"):
        if name == "StarGAN v2":
            network = StarGAN2(t.latent, t.style, t.widths, 3 if t.colour else 1).generator
        else:
            network = train.build(name.lower(), g.latent, g.widths, 3 if g.colour else 1)
    return sum(weight.numel() for weight in network.parameters()) / 1e6


# %% tags=["hide-input"]
rows, ours = {}, [len(orl.photographs_of(*each)) for each in (("train",), ("val", "test"))]
for name, (learned, seen, pixels, days) in REAL.items():
    starred = name == "StarGAN v2"
    own = bundled.translation if starred else bundled.generators
    rows[name] = {
        ("picture", "real"): f"{pixels} px, colour",
        ("picture", "ours"): f"{layers.side(len(own.widths))} px, grey",
        ("photographs", "real"): learned,
        ("photographs", "ours"): f"ORL, {ours[1] if name == 'StyleGAN2' else ours[0]}",
        ("million weights", "real"): f"{million_weights(name, read('paper')):.1f}",
        ("million weights", "ours"): f"{million_weights(name, bundled):.2f}",
        ("million images seen", "real"): seen,
        ("million images seen", "ours"): f"{np.sum(own.thousands) / 1000:.3f}",
        ("training", "real"): days,
        ("training", "ours"): "minutes: section 5",
    }
pd.DataFrame(rows).T

# %% [markdown]
# More differences matter. ProGAN used the loss WGAN-GP, ours the one that StyleGAN moved to (section 4). StyleGAN2's path
# length regularisation and the face masks of StarGAN v2 are left out. StarGAN v2 translated between *women and men*; ours
# translates between faces *with and without glasses* (ORL shows few women). And ours are **grey**: what such generators do
# wrong in colour can be neither seen nor tested here.
#
# ### What they learn from
#
# ORL portraits (AT&T Laboratories Cambridge), 40 people with ten photographs each. Only the **training people** teach the
# generators. The people of val and test are left out: a generator that had seen them could draw them, and a detector
# that has met its test faces proves nothing.

# %%
people = orl.people("train")
first_photos = [(person, path) for person, photo, path in orl.orl_photographs() if photo == 1]
portraits = [orl.photo_square(path, 128) for person, path in first_photos if person in people]
fig = figures.show_grid(portraits, columns=12, side=0.8)
title = f"{len(portraits)} of {len(first_photos)} people teach the generators"
fig.suptitle(title, fontweight="bold", fontsize=11)
figures.show(fig, alt=f"Grey portraits, one of each person. {title}.")

# %% [markdown]
# ## 2 Growing up
#
# Large faces are hard. ProGAN learns them at 4 x 4 pixels first, then at 8 x 8, and so on. A new size is **faded in**: for
# a while the picture is a blend of the old size, doubled, and the new one (ProGAN, Fig. 2):
#
# $$\text{image} = (1-\alpha)\,\text{double}(\text{coarse}) + \alpha\,\text{fine}, \qquad \alpha: 0 \to 1$$
#
# By hand, a quarter of the way:

# %% tags=["nbval-check-output"]
coarse = torch.tensor([[[[0.0, 1.0]]]])  # (1, 1, 1, 2)
fine = torch.tensor([[[[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]]])  # (1, 1, 2, 4)
double = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
by_hand = 0.75 * double + 0.25 * fine
print(by_hand[0, 0])
same = torch.allclose(by_hand, layers.fade(coarse, fine, 0.25))
print("same as lib.fakes.gan.layers.fade", "✓" if same else "✗")

# %% [markdown]
# One number, the *growth*, says how far a network has grown. At 3 it works at $4\cdot 2^3 = 32$ pixels. At 2.25 it is a
# quarter of the way from 16 to 32.

# %%
plan = bundled.generators
seen = np.linspace(0, 1000 * sum(plan.thousands), 600)
growth = np.array([train.growth_at(s, plan.thousands, plan.fade) for s in seen])
fading = 100 * (growth % 1 > 0).mean()
fig, ax = plt.subplots(figsize=(7, 2.4))
ax.plot(seen / 1000, growth, marker="")
ax.set(xlabel="thousand images seen", ylabel="size in pixels", yticks=range(len(plan.widths)))
ax.set_yticklabels([4 * 2**level for level in range(len(plan.widths))])
ax.set_title(f"{fading:.0f} % of the training is spent fading in a new size", fontsize=11)
alt = f"A staircase from 4 to 128 pixels; its slopes take {fading:.0f} % of the images."
figures.show(fig, alt)

# %% [markdown]
# The last size gets almost half of the images: there the detail is learned that detectors look at. The discriminator must see
# photographs of the same size, and of the same blend:

# %%
real = photographs_of(taught_by, 128)
torch.manual_seed(params.seed)
growths = [0, 1, 1.5, 2, 3, 4, 5]
ladder = [F.interpolate(train.real_batch(real[:1], 1, g), 128)[0] for g in growths]
names = [f"growth {g}" for g in growths]
ladder = [(face + 1) / 2 for face in ladder]  # from [-1, 1] to [0, 1]
fig = figures.show_grid(ladder, names, columns=7, side=1.1, limits=(0, 1))
figures.show(fig, alt="One photograph at growth 0 to 5: a few blocks at first, sharp at the end.")

# %% [markdown]
# ## 3 Four small tools that keep the game fair
#
# **Equalised learning rate** (ProGAN, section 4.1). The optimiser Adam moves every weight by about the same step, whatever
# its size. So let all weights be about 1, and multiply them by He's constant only when they are used (*fan-in*: how many
# numbers a neuron reads; *gain*: 2 before a ReLU):
#
# $$\hat w = c\,w, \qquad w \sim N(0, 1), \qquad c = \sqrt{\text{gain} / \text{fan-in}}$$

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
layer = layers.EqualConv(4, 2, 3)  # fan-in: 4 channels x 3 x 3
x = torch.ones(1, 4, 3, 3)
by_hand = (layer.weight * np.sqrt(2 / 36) * x).sum((1, 2, 3))
print(by_hand.detach())
same = torch.allclose(by_hand, layer(x)[0, :, 1, 1])
print("same as lib.fakes.gan.layers.EqualConv", "✓" if same else "✗")

# %% [markdown]
# **Pixel norm** (ProGAN, section 4.2) keeps the two networks from raising their signals higher and higher against each other.
# The feature vector $a$ of each pixel, $N$ channels long, is divided by its root mean square:
#
# $$b = a \Big/ \sqrt{\tfrac1N \textstyle\sum_j a_j^2 + \epsilon}$$
#
# For (1, 7) the root mean square is $\sqrt{(1 + 49) / 2} = 5$:

# %% tags=["nbval-check-output"]
a = torch.tensor([1.0, 7.0]).view(1, 2, 1, 1)
print(layers.pixel_norm(a).flatten())
same = torch.allclose(a / 5, layers.pixel_norm(a))
print("same as lib.fakes.gan.layers.pixel_norm", "✓" if same else "✗")

# %% [markdown]
# **Minibatch deviation** (ProGAN, section 3). A generator that always draws the same face is easy to catch if the
# discriminator may compare the faces of a batch. One more channel holds their mean standard deviation:

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
same, varied = torch.rand(1, 1, 2, 2).expand(4, 1, 2, 2), torch.rand(4, 1, 2, 2)
for name, batch in {"same": same, "varied": varied}.items():
    by_hand = batch.std(0, unbiased=False).mean()
    added = layers.minibatch_stddev(batch)[0, 1, 0, 0]
    tick = "✓" if torch.allclose(by_hand, added, atol=1e-3) else "✗"
    print(f"{name:6s} -> by hand {by_hand:.2f}, the added channel holds {added:.2f} {tick}")

# %% [markdown]
# **AdaIN** (StyleGAN, Eq. 1), adaptive instance normalisation. A style $y$ steers a layer by setting the deviation and the
# mean of each feature map $x_i$:
#
# $$\text{AdaIN}(x_i, y) = y_{s,i}\,\frac{x_i - \mu(x_i)}{\sigma(x_i)} + y_{b,i}$$

# %% tags=["nbval-check-output"]
x = torch.tensor([[1.0, 2.0], [3.0, 6.0]]).view(1, 1, 2, 2)
deviation, mean = torch.std_mean(x, unbiased=False)
by_hand = 2.0 * (x - mean) / deviation + 10.0
scale_less_one, bias = torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), 10.0)  # y_s = 1 + 1
print(by_hand[0, 0])
same = torch.allclose(by_hand, adain(x, scale_less_one, bias))
print("same as lib.fakes.gan.stylegan.adain", "✓" if same else "✗")

# %% [markdown]
# ## 4 The game
#
# The discriminator $D$ gives each picture a **logit**, a number without limits: above 0 it means "photograph". $D$ wants high
# logits for photographs $x$ and low ones for generated pictures $G(z)$; $G$ wants high ones for its own. With
# $\text{softplus}(t) = \ln(1 + e^t)$, and with **R1** (Mescheder et al. 2018, Eq. 9), a penalty that keeps $D$ flat around
# photographs:
#
# $$L_D = E[\text{softplus}(-D(x))] + E[\text{softplus}(D(G(z)))] + \tfrac{\gamma}{2} E\lVert\nabla_x D(x)\rVert^2, \qquad
# L_G = E[\text{softplus}(-D(G(z)))]$$
#
# A discriminator that can only guess says 0 to all, and its loss is $2\ln 2$. R1 by hand, for a $D$ whose gradient we know:
# $D(x) = \sum_i w_i x_i$.

# %% tags=["nbval-check-output"]
zero = torch.zeros(())
print(f"guessing: L_D = {F.softplus(-zero) + F.softplus(zero):.3f}, 2 ln 2 = {2 * np.log(2):.3f}")
w = torch.tensor([[3.0, 4.0]]).view(1, 1, 1, 2)
linear = lambda x, growth: (w * x).sum((1, 2, 3))
penalty = train.r1(linear, torch.rand(5, 1, 1, 2), growth=0)
print(f"by hand {3.0**2 + 4.0**2:.0f}, lib.fakes.gan.train.r1 {penalty:.0f}")

# %% [markdown]
# A few hundred photographs would be learned by heart. So $D$ sees real and generated pictures only through random shifts of
# place, brightness and contrast. They are differentiable, so $G$ learns through them (DiffAugment, Zhao et al. 2020). The
# shifts of light are small: what $D$ cannot see, $G$ does not learn, and here it must learn the light of the photographs.

# %%
torch.manual_seed(params.seed)
shifted = train.augment(real[:1].expand(8, -1, -1, -1))
fig = figures.show_grid([(face + 1) / 2 for face in shifted], columns=8, side=1.0, limits=(0, 1))
figures.show(fig, alt="The same photograph eight times, moved a little, lighter or darker.")

# %% [markdown]
# ### One step by hand
#
# This is the whole game. First the discriminator learns from a batch of photographs and a batch of fakes (`detach`: the
# generator learns nothing yet):

# %%
def teach_discriminator(training, real, fake, growth):
    """One step of D; fake: what G drew. Returns nothing: the weights change."""
    D, s = training.discriminator, training.settings
    real = train.augment(real)
    with training.autocast():  # 16-bit numbers where they suffice
        of_real, of_fake = D(real, growth), D(train.augment(fake.detach()), growth)
    loss = F.softplus(-of_real.float()).mean() + F.softplus(of_fake.float()).mean()
    loss.backward()
    gamma = s.penalty * (real.shape[-1] / training.images.shape[-1]) ** 2
    (0.5 * gamma * s.penalty_interval * train.r1(D, real, growth)).backward()
    training.optimisers[1].step()


# %% [markdown]
# (R1 is costly, so it comes at every 16th step only, and 16 times as strong. Step 0 is such a step.) Then the generator
# learns from the same fakes what the discriminator now thinks of them:

# %%
def teach_generator(training, fake, growth):
    """One step of G, through a D that stays as it is."""
    training.discriminator.requires_grad_(False)
    with training.autocast():
        loss = F.softplus(-training.discriminator(train.augment(fake), growth).float()).mean()
    loss.backward()
    training.optimisers[0].step()


def one_step(training):
    """Step 0 of a GAN; training: its networks, optimisers, photographs and settings."""
    s, growth = training.settings, training.growth
    torch.manual_seed(training.seed << 32)
    for optimiser in training.optimisers:
        optimiser.param_groups[0]["lr"] = training.learning_rate(growth)
    real = train.real_batch(training.images, s.batch_size, growth)
    with training.autocast():
        fake = training.generator(torch.randn(s.batch_size, s.latent), growth)
    teach_discriminator(training, real, fake, growth)
    teach_generator(training, fake, growth)


# %% [markdown]
# Does `lib` do the same? Two fresh ProGANs from the same seed, of tiny size; one takes a step by hand, one by `lib`:

# %% tags=["nbval-check-output"]
tiny = load("smoke").generators
mine, theirs = (train.Training("progan", tiny, seed=0) for _ in range(2))
one_step(mine)
theirs.step()
for part in ("generator", "discriminator"):
    pairs = zip(*(getattr(each, part).parameters() for each in (mine, theirs)), strict=True)
    same = all(torch.allclose(*pair, atol=1e-6) for pair in pairs)
    print(f"{part} after one step: same as lib.fakes.gan.train", "✓" if same else "✗")

# %% [markdown]
# ## 5 Train it yourself
#
# **Train it yourself** (`retrain = True`: hours). As it stands, this cell takes a few steps at three tiny sizes, which only
# shows that the machine runs. A training that was killed goes on where it stopped. StyleGAN learns a second time, and
# StyleGAN2 (section 7) at all, from the people of val and test: they make the fakes of another data set, in FFHQ's place.

# %%
name_of = {"progan": "ProGAN", "stylegan": "StyleGAN"}
trainings = {"progan": "train", "stylegan": "train"}  # whose photographs teach it
trainings |= {"stylegan_others": "others", "stylegan2_others": "others"}
for name, people_of in trainings.items():
    folder = paths.UNFINISHED / f"{name}_{train_params.scale}"
    splits = train.PEOPLE[people_of]
    training = train.train(name.split("_")[0], settings, params.seed, folder, splits=splits)
    train.export(name, training, folder)

# %% tags=["nbval-check-output"]
finished = [(train.WEIGHTS / f"{name}.safetensors").is_file() for name in trainings]
print("all trainings wrote their weights", "✓" if all(finished) else "✗")


# %%
def where(*names):
    """The folder of weights to show: the bundled ones; those just trained if you asked for it."""
    missing = [name for name in names if not (images.WEIGHTS / f"{name}.safetensors").is_file()]
    if missing and not retrain:
        print(f"NOTE {', '.join(missing)}: not in {paths.show(images.WEIGHTS)}")
        print("below is what a few steps give")
    return train.WEIGHTS if retrain or missing else images.WEIGHTS


generators = {name: images.load_generator(name, where(name)) for name in trainings}

# %% [markdown]
# From here on you see the generators that made the bundled fakes (or yours, if you retrained). How long did they take? Two
# left a log, of one core of a busy machine. Of the others this cell times three steps on your machine; growing makes the first
# three cheaper, because small sizes are fast:

# %% tags=["hide-input"]
def minutes(training):
    """Minutes of one core for a whole training, from three steps in its middle."""
    training.seen = training.total // 2
    training.step()  # the first one is slower
    began = time.process_time()  # of the processor: other programs do not count
    for _ in range(3):
        training.step()
    return (time.process_time() - began) / 3 * training.total / training.settings.batch_size / 60


of_people, plan = {"splits": train.PEOPLE["others"]}, bundled.generators
make = {
    "stylegan2_others": lambda: train.Training("stylegan2", plan, 0, **of_people),
    "stargan2": lambda: translate.Translating(bundled.translation, 0),
}
for name in name_of:
    for kind in finetune.KINDS:
        given = (name, kind, bundled.finetuning, plan, 0)
        make[f"{name}_{kind}"] = lambda given=given: finetune.Finetuning(*given)

# %% tags=["hide-input"]
logged = {name: pd.read_csv(where(name) / f"{name}.csv") for name in name_of}
cost = {name: (log["seconds"].sum() / 60, "log") for name, log in logged.items()}
cost["stylegan_others"] = (cost["stylegan"][0], "as stylegan")
if params.scale != "smoke":
    cost |= {name: (minutes(of()), "three steps, here") for name, of in make.items()}
table = pd.DataFrame(cost, ["minutes of one core", "from"]).T.rename_axis("weights")
hours = sum(spent for spent, _ in cost.values()) / 60
table.style.format({"minutes of one core": "{:.0f}"})

# %% tags=["hide-input"]
Markdown(f"""
So `retrain = True` costs about **{hours:.1f} hours** on one core at `scale: bundled`; the authors'
networks took days on eight GPUs (table of section 1). A network that you train will differ from
the bundled one: the bundled ProGAN and StyleGAN saw stronger changes of light up to 64 pixels, and
the running mean of their weights was restarted on the way.
""")

# %% [markdown]
# How did they learn? The faces are drawn by a **running mean** of the generator's weights, which is calmer than the weights of
# any one step. The grey line is $2\ln 2$, a discriminator that can only guess.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 2.7), sharey=True)
for ax, (name, title) in zip(axes, name_of.items(), strict=True):
    log = logged[name]
    ax.plot(log["images"] / 1000, log["loss_discriminator"], label="$L_D$", marker="")
    ax.plot(log["images"] / 1000, log["loss_generator"], label="$L_G$", marker="")
    ax.axhline(2 * np.log(2), color="grey", linewidth=0.8)
    ax.set(xlabel="thousand images seen", ylabel="loss" if ax is axes[0] else "")
    last = log["loss_discriminator"].iloc[-1]
    side = "below" if last < 2 * np.log(2) else "above"
    ax.set_title(f"{title}: $L_D$ ends at {last:.2f}, {side} guessing", fontsize=11)
axes[0].legend()
figures.show(fig, alt="Losses over images seen, two panels; the line of guessing lies at 1.39.")

# %% tags=["hide-input"]
signs = {title: logged[name]["real_logit_sign"].iloc[-1] for name, title in name_of.items()}
called_real = " and ".join(f"{50 * (1 + sign):.0f} % ({t})" for t, sign in signs.items())
Markdown(f"""
At the end the discriminators take {called_real} of the photographs for photographs, where guessing
would be 50 %: the generators have not won. Do the discriminators know the photographs by heart?
StyleGAN2-ADA (Karras et al., NeurIPS 2020) tells this by the mean sign of the logits of training
photographs (1: it is sure of every one), and holds it at 0.6. Here it is
{" and ".join(f"{sign:.2f}" for sign in signs.values())}.
""")

# %% [markdown]
# The same eight latent vectors at the end of every size. Top: 4 x 4 pixels.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
for ax, (name, title) in zip(axes, name_of.items(), strict=True):
    sheet = image.read_image(where(name) / f"{name}.png")
    ax.imshow(sheet)
    ax.axis("off")
    ax.set_title(f"{title} grows through {len(sheet) * 8 // sheet.shape[1]} sizes", fontsize=11)
figures.show(fig, alt="Two sheets: grey blocks in the first row become faces in the last.")

# %% [markdown]
# The head and the light are there at 16 pixels, eyes and glasses from 32 on; hair and skin come at the end.
#
# ## 6 Samples
#
# Only the people of the first row exist. Would the others deceive you? Look at ears, glasses and hair first.

# %%
rows = portraits[:10]
for name in name_of:
    rows += list(images.draw(generators[name], range(10)))
names = ["photographs", *name_of.values()]
fig = figures.show_grid(rows, columns=10, side=0.85, rows=names)
figures.show(fig, alt="Ten photographs, ten faces of ProGAN, blotchy, ten of StyleGAN, smoother.")

# %% [markdown]
# They would not: ours are far from the published ones, ProGAN's further than StyleGAN's. Papers measure this by the FID, a
# distance between features of thousands of real and generated pictures. With 240 photographs, and without the network
# whose features it needs, it cannot be computed here. Remember this when a detector is right on all of them: faults that you
# can see may make its task easier here than in the paper.
#
# ### Are they copies?
#
# A generator that has seen few faces could repeat them. So we look up the training photograph that is closest to each fake (or
# to its mirror image), by the mean difference of their pixels in **grey levels** (steps of 1 on the scale 0 to 255):

# %%
def nearest(pictures, others):
    """For each picture: mean difference to the closest of `others`, in grey levels; its number."""
    flat = [torch.tensor(np.stack(each)).flatten(1).float() for each in (pictures, others)]
    distance, number = (torch.cdist(*flat, p=1) / flat[0].shape[1]).min(1)
    return distance.numpy(), number.numpy()


fakes = {title: images.draw(generators[name], range(100)) for name, title in name_of.items()}
size = fakes["ProGAN"].shape[1]
known = to_uint8(photographs_of(taught_by, size)[torch.arange(len(orl.photographs_of("train")))])
both_ways = np.concatenate([known, known[:, :, ::-1]])
near = {title: nearest(drawn, both_ways) for title, drawn in fakes.items()}

# %%
rows, names = [], []
for title, drawn in fakes.items():
    rows += [*drawn[:7], *both_ways[near[title][1][:7]]]
    names += [title, "closest"]
fig = figures.show_grid(rows, columns=7, side=0.95, rows=names)
figures.show(fig, alt="Fakes, below each the closest training photograph: alike, not the same.")

# %% tags=["hide-input"]
unseen = to_uint8(photographs_of(bundled.generators, size, ("val", "test")))
persons = [known[at : at + 10] for at in range(0, len(known), 10)]
same_person = [nearest(photos[:1], photos[1:])[0] for photos in persons]
far = {title: float(np.median(distance)) for title, (distance, _) in near.items()}
far |= {"strangers": np.median(nearest(unseen, both_ways)[0]), "same": np.median(same_person)}
closest = min(distance.min() for distance, _ in near.values())
Markdown(f"""
The median fake is {far["ProGAN"]:.0f} grey levels (ProGAN) or {far["StyleGAN"]:.0f} (StyleGAN) from
its closest photograph, and none of {sum(map(len, fakes.values()))} comes nearer than {closest:.0f}.
A copy would be nearly 0 away. A photograph is {far["same"]:.0f} from the closest other one of the
same person, and photographs of people whom the generator never saw are {far["strangers"]:.0f} from
their closest one. So these are {"no copies" if closest > far["same"] / 3 else "COPIES in part"}.
But a mean over pixels cannot say whether one of the training people would be recognised.
""")

# %% [markdown]
# ### A walk between two faces
#
# Latent vectors in between should give faces in between, not two faces on top of each other: then the generator has
# learned more than a list of photographs. ProGAN's vectors are normal, and in 64 dimensions nearly all of these have about the
# same length, $\sqrt{64} = 8$. So the walk goes along an arc, on which the length stays:
#
# $$z(t) = \cos(t\,\pi/2)\,z_0 + \sin(t\,\pi/2)\,z_1$$

# %%
progan, stylegan = generators["progan"], generators["stylegan"]
start, end = torch.randn(2, 1, progan.latent, generator=torch.Generator().manual_seed(5))
arc = torch.linspace(0, np.pi / 2, 9)[:, None]
walk = progan(torch.cos(arc) * start + torch.sin(arc) * end)
fig = figures.show_grid([(face + 1) / 2 for face in walk], columns=9, side=1.0, limits=(0, 1))
figures.show(fig, alt="Nine faces; hair, glasses and mouth change step by step from left to right.")

# %% tags=["hide-input"]
steps = [float(step.abs().mean()) * 127.5 for step in walk.diff(dim=0)]
whole_way = float((walk[-1] - walk[0]).abs().mean()) * 127.5
jump = max(steps) > whole_way / 2
Markdown(f"""
{"One step is a jump" if jump else "No step is a jump"}: neighbours differ by {min(steps):.0f} to
{max(steps):.0f} grey levels, the two ends by {whole_way:.0f}.
""")

# %% [markdown]
# ### Style mixing (StyleGAN, section 3.1)
#
# StyleGAN's latent vector $z$ first becomes a style $w$ (by the *mapping network*, eight plain layers), and each layer of the
# generator is steered by a style of its own. Coarse layers set the pose and the shape, fine layers the texture and the light.
# Every face below takes its first four layers, up to 8 pixels, from the left and all others from the top:

# %%
def styles(count, seed):
    """Styles of random latent vectors, pulled a little towards their mean."""
    z = torch.randn(count, stylegan.latent, generator=torch.Generator().manual_seed(seed))
    return stylegan.truncate(stylegan.mapping(z), 0.8)


def drawn_of(w):
    """Faces of styles (N, layers, latent), all with the same noise."""
    return list(stylegan.synthesise(w, generator=torch.Generator().manual_seed(0)))


left, top = styles(3, 1), styles(6, 2)
grid = [None, *drawn_of(stylegan.mix(top, top, 0))]
for w in left:
    w = w.expand_as(top)
    grid += drawn_of(stylegan.mix(w, w, 0))[:1] + drawn_of(stylegan.mix(w, top, 4))

# %%
shown = [face if face is None else (face + 1) / 2 for face in grid]
names = ["fine", "coarse", "coarse", "coarse"]
fig = figures.show_grid(shown, columns=7, side=0.9, limits=(0, 1), rows=names)
figures.show(fig, alt="A table of faces: rows share head and pose, columns share light and skin.")

# %% tags=["hide-input"]
of_top, of_left = torch.stack(grid[1:7])[None], torch.stack(grid[7::7])[:, None]
mixed = torch.stack([torch.stack(grid[at + 1 : at + 7]) for at in (7, 14, 21)])  # (3, 6, 1, S, S)
from_left, from_top = (float((mixed - each).abs().mean()) * 127.5 for each in (of_left, of_top))
Markdown(f"""
A mixed face is on average {from_left:.0f} grey levels from the face at its left and {from_top:.0f}
from that at the top: in pixels, the {"coarse" if from_left < from_top else "fine"} layers decide
more here.
""")

# %% [markdown]
# ### Truncation (StyleGAN, appendix B)
#
# $$w' = \bar w + \psi\,(w - \bar w)$$
#
# Styles are pulled towards their mean $\bar w$. $\psi = 0$ is the mean face. A small $\psi$ gives good but similar faces,
# $\psi = 1$ all that was learned.

# %% tags=["nbval-check-output"]
w = stylegan.mapping(torch.randn(1, stylegan.latent, generator=torch.Generator().manual_seed(3)))
by_hand = stylegan.mean_style + 0.5 * (w - stylegan.mean_style)
same = torch.allclose(by_hand, stylegan.truncate(w, 0.5), atol=1e-6)
print("same as StyleGAN.truncate", "✓" if same else "✗")

# %%
psis = [0.0, 0.5, 0.7, 1.0]
rows, spread = [], {}
for psi in psis:
    drawn = stylegan.sample(48, torch.Generator().manual_seed(4), psi)
    rows += [(face + 1) / 2 for face in drawn[:8]]
    spread[psi] = float(drawn.std(0).mean()) * 127.5
names = [f"psi {psi}" for psi in psis]
fig = figures.show_grid(rows, columns=8, side=0.8, limits=(0, 1), rows=names)
title = f"Faces differ by {spread[0.5]:.0f} grey levels at psi 0.5, by {spread[1.0]:.0f} at psi 1"
fig.suptitle(title, fontweight="bold", fontsize=11)
figures.show(fig, alt=f"Rows of faces from psi 0, all nearly the same, to psi 1. {title}.")

# %% tags=["hide-input"]
Markdown(f"""
(How much faces differ: the standard deviation of each pixel over 48 faces, averaged over the
pixels.) Even at psi 0 they differ, by {spread[0.0]:.1f} grey levels: the styles are the same, but
each layer also adds random noise of its own. The bundled fakes are drawn at psi 0.7, the default of
the released code; BTS does not say which it used.
""")

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

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
conv = ModulatedConv(2, 1, 1, latent=3)
w, x = torch.randn(1, 3), torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
s, kernel = conv.style(w)[0].detach(), conv.scale * conv.weight.detach().flatten()
modulated = s * kernel
demodulated = modulated / (modulated.square().sum() + 1e-8).sqrt()
print(f"style {s}, weights {kernel} -> {demodulated}")
by_hand = (demodulated * x.flatten()).sum()
same = torch.allclose(by_hand, conv(x, w).squeeze())
print("same as lib.fakes.gan.stylegan2.ModulatedConv", "✓" if same else "✗")

# %% [markdown]
# Nothing grows any more. Every size adds its own small picture to the doubled sum of those below, and all sizes learn from
# the start (Fig. 7b of the paper):
#
# $$\text{image}_k = \text{double}(\text{image}_{k-1}) + \text{grey}_k$$

# %%
stylegan2 = generators["stylegan2_others"]
z = torch.randn(1, stylegan2.latent, generator=torch.Generator().manual_seed(6))
w = stylegan2.truncate(stylegan2.mapping(z), 0.7)
greys = []
keep = lambda module, inputs, output: greys.append(output)
hooks = [part.register_forward_hook(keep) for part in stylegan2.to_image]
whole = stylegan2.synthesise(stylegan2.mix(w, w, 0))
for hook in hooks:
    hook.remove()
sums = [greys[0]]
for grey in greys[1:]:
    sums.append(F.interpolate(sums[-1], scale_factor=2, mode="bilinear") + grey)

# %% tags=["nbval-check-output"]
same = torch.allclose(sums[-1], whole, atol=1e-5)
print("the sum of all sizes is the image", "✓" if same else "✗")

# %%
share = {grey.shape[-1]: 100 * float(grey.std() / whole.std()) for grey in greys}
largest = max(share, key=share.get)
titles = [f"{pixels} px: {part:.0f} %" for pixels, part in share.items()]
pictures = [(picture[0] + 1) / 2 for picture in (*greys, *sums)]
names = ["adds", "sum so far"]
size_of = {"columns": len(greys), "side": 1.2, "limits": (0, 1), "rows": names}
fig = figures.show_grid(pictures, titles, **size_of)
fig.suptitle(f"{largest} pixels add the most", fontweight="bold", fontsize=11)
figures.show(fig, alt=f"What each size adds, and the sum so far; {largest} pixels add the most.")

# %% tags=["hide-input"]
Markdown(f"""
Percent: the standard deviation of what a size adds, as a share of the whole face's. They come to
{sum(share.values()):.0f} %, not to 100 %, because standard deviations do not add up. In the paper
(Fig. 8), too, large sizes take over in the course of the training; there 1024 pixels did less than
512, and so the authors made the network wider.
""")

# %% [markdown]
# BTS tests on StyleGAN2 at $\psi = 0.5$ and at $\psi = 1$, as two sources. Ours learned from the people of val and test:

# %%
drawn = {psi: images.draw(stylegan2, range(48), psi=psi) for psi in (0.5, 1.0)}
spread2 = {psi: float(faces.std(0).mean()) for psi, faces in drawn.items()}
rows = [face for faces in drawn.values() for face in faces[:9]]
fig = figures.show_grid(rows, columns=9, side=1.0, rows=[f"psi {psi}" for psi in drawn])
title = f"StyleGAN2: {spread2[0.5]:.0f} grey levels apart at psi 0.5, {spread2[1.0]:.0f} at psi 1"
fig.suptitle(title, fontweight="bold", fontsize=11)
figures.show(fig, alt=f"Two rows of faces, the same seeds; the upper ones are more alike. {title}.")

# %% [markdown]
# ## 8 StarGAN v2: faces are translated
#
# The other generators invent a face. StarGAN v2 (Choi et al. 2020) redraws a **photograph** $x$ in a style $s$ of another
# *domain* $y$, a kind of picture; ours are faces with and without glasses. A style is made of a latent vector (mapping network
# $F$) or read off another photograph (encoder $E$):
#
# $$\text{fake} = G(x, s), \qquad s = F_y(z) \quad\text{or}\quad s = E_y(x_\text{ref})$$
#
# **Train it yourself** (`retrain = True`; its minutes are in section 5). As it stands: a few steps.

# %%
folder = paths.UNFINISHED / f"stargan2_{train_params.scale}"
translating = translate.train(train_params.translation, params.seed, folder)
translate.export(translating.average, train.WEIGHTS / "stargan2.safetensors")
stargan2 = translate.load(where("stargan2") / "stargan2.safetensors")
size = layers.side(len(stargan2.config["widths"]))

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x, z = torch.rand(1, 1, size, size), torch.randn(1, stargan2.config["latent"])
y = torch.tensor([1])  # with glasses
by_hand = stargan2.generator(x, stargan2.mapping(z, y)).clamp(-1, 1)
same = torch.equal(by_hand, stargan2.translate(x, y, z=z))
print("same as StarGAN2.translate", "✓" if same else "✗")

# %% [markdown]
# People of the test split, whom it has never seen. Each column: a photograph, then its translation to the other domain by
# two latent vectors.

# %%
test_people = orl.photographs_of("test")[::10]
squares = [torch.from_numpy(orl.photo_square(path, size)) for *_, path in test_people]
faces = torch.stack(squares)[:, None] / 127.5 - 1  # (people, 1, size, size)
domains = torch.tensor([translate.domain_of(person, photo) for person, photo, _ in test_people])
random = torch.Generator().manual_seed(2)
latents = torch.randn(2, 1, stargan2.config["latent"], generator=random).expand(-1, len(faces), -1)
redrawn = [stargan2.translate(faces, 1 - domains, z=z) for z in latents]

# %%
titles = [f"to: {('without', 'with')[1 - domain]}" for domain in domains.tolist()]
rows = [(face + 1) / 2 for row in (faces, *redrawn) for face in row]
size_of = {"columns": len(faces), "side": 0.9, "limits": (0, 1)}
fig = figures.show_grid(rows, titles, **size_of, rows=["photograph", "z 1", "z 2"])
changed = float((redrawn[0] - faces).abs().mean()) * 127.5
between = float((redrawn[0] - redrawn[1]).abs().mean()) * 127.5
title = f"The photograph changes by {changed:.0f} grey levels, with another z by {between:.0f}"
fig.suptitle(title, fontweight="bold", fontsize=11)
figures.show(fig, alt=f"Ten photographs, and translations that look like other people. {title}.")

# %% tags=["hide-input"]
Markdown(f"""
Two things go wrong at this scale. A pixel changes by {changed:.0f} grey levels on average, where
the closest photographs of one person differ by {far["same"]:.0f}: not the glasses alone are redrawn
but the face, and women come out as men, because only {len(people)} people, most of them men, teach
it. And two latent vectors give faces that are {between:.0f} levels apart but hard to tell from each
other, where the paper shows many styles of one person. For the detectors' test it is enough: these
are redrawn photographs.
""")

# %% [markdown]
# Beside the game with the discriminator, three losses (section 2.2) see to it that the style can be read off the fake, that
# two styles make two faces, and that the way back leads to the photograph:
#
# $$L_\text{sty} = E\lVert s - E_y(G(x, s))\rVert_1 \qquad L_\text{ds} = E\lVert G(x, s_1) - G(x, s_2)\rVert_1 \qquad
# L_\text{cyc} = E\lVert x - G(G(x, s), E_{y_x}(x))\rVert_1$$

# %%
first, second = (stargan2.mapping(z, 1 - domains) for z in latents)
fake = stargan2.generator(faces, first)
back = stargan2.generator(fake, stargan2.encoder(faces, domains))
style = F.l1_loss(stargan2.encoder(fake, 1 - domains), first)
diversity = F.l1_loss(fake, stargan2.generator(faces, second))
cycle = F.l1_loss(back, faces)
print(f"style      {style:.3f}, where a style's numbers are {first.abs().mean():.3f} large")
print(f"diversity  {diversity:.3f} = {127.5 * diversity:.0f} grey levels (large is good)")
print(f"cycle      {cycle:.3f} = {127.5 * cycle:.0f} grey levels (small is good)")

# %% [markdown]
# ## 9 +R and +A: generators that hide their spectrum
#
# Generators leave traces in the high frequencies, and a detector may look at nothing else. BTS therefore also tests on
# generators that were finetuned until these traces are weaker. What is left after that?
#
# All of it works on the **azimuthal profile**: the mean of $20\ln|\text{FFT}|$ over rings of equal frequency, scaled so that
# the photographs' mean goes from 0 to 1. At 8 x 8 pixels it has three numbers:

# %% tags=["nbval-check-output"]
small = photographs_of(bundled.generators, 8)
profile = finetune.Profile(small, "grid")
grey = (127.5 * (small[0, 0] + 1)).round()
log = 20 * torch.log(torch.fft.fft2(grey).abs() + 1e-8)
ring = torch.tensor(spectra.rings(8, "grid"))
by_hand = torch.stack([log[ring == number].mean() for number in (1, 2, 3)])  # without the end rings
by_hand = (by_hand - profile.low) / profile.range
one = np.round(by_hand.tolist(), 2)
print(f"photographs' mean {np.round(profile.target.tolist(), 2)}, one photograph {one}")
same = torch.allclose(by_hand, profile(small[:1])[0], atol=1e-4)
print("same as finetune.Profile", "✓" if same else "✗")

# %% [markdown]
# This one photograph lies above 1: only the *mean* of all photographs goes from 0 to 1.
#
# **+R**, spectral regularization (Durall et al. 2020), adds the cross-entropy between the profile $p$ of a fake and the
# photographs' mean $\bar p$ to the generator's loss:
#
# $$L = L_G + \lambda L_\text{spec}, \qquad L_\text{spec} = -\tfrac1M\textstyle\sum_i \bar p_i \ln p_i + (1-\bar p_i)\ln(1-p_i)$$

# %% tags=["nbval-check-output"]
stripes = 0.2 * torch.sin(torch.arange(8) * torch.pi / 2)
fake = (small[:1] + stripes).requires_grad_()  # a photograph with stripes
p, mean = (values.clamp(0.001, 0.999) for values in (profile(fake)[0], profile.target))
by_hand = -(mean * p.log() + (1 - mean) * (1 - p).log()).mean()
loss = finetune.spectral_loss(profile, fake)
print("same as finetune.spectral_loss", "✓" if torch.allclose(by_hand, loss) else "✗")

# %% [markdown]
# A loss without a gradient teaches nothing. The released code computes the profile in NumPy and multiplies, so that
# $L_\text{spec}$ is one more constant beside the learning rate. Here the generator learns from it:

# %% tags=["nbval-check-output"]
pixels = 127.5 * (fake.detach().numpy()[:, 0] + 1)
constant = torch.from_numpy(spectra.azimuthal_profile(pixels))
print(f"in NumPy, has a gradient: {constant.requires_grad}")
(gradient,) = torch.autograd.grad(loss, fake)
print(f"here, has a gradient: {loss.requires_grad}")
change = 0.02 * gradient / gradient.abs().max()
for step in (-1, 0, 1, 2):
    moved = finetune.spectral_loss(profile, fake - step * change)
    print(f"{step:2d} steps: loss {moved.item():.3f}")

# %% [markdown]
# Steps against the gradient lower the loss, as they should.
#
# **+A**, spectral adversarial training (Jung and Keuper 2021), lets a second discriminator look at the profile alone. One
# linear layer is enough. The generator must deceive both:
#
# $$D_s(x) = v^\top (p(x) - \bar p) + b, \qquad L = \tfrac12\big(\text{softplus}(-D(\text{fake})) + \text{softplus}(-D_s(\text{fake}))\big)$$

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
critic = finetune.SpectralDiscriminator(small)
difference = critic.profile(small[:2]) - critic.profile.target
by_hand = difference @ critic.linear.weight[0] + critic.linear.bias
same = torch.allclose(by_hand, critic(small[:2]), atol=1e-6)
print("same as finetune.SpectralDiscriminator", "✓" if same else "✗")

# %% [markdown]
# **Train it yourself** (`retrain = True`; minutes in section 5). As it stands: a few steps at a tiny size.

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
drawn = {name: images.draw(generator, range(100)) for name, generator in tuned.items()}

# %% [markdown]
# How far are the fakes' spectra from the photographs'? We take the mean **power** of each ring, of 100 fakes and of the training
# photographs, and the mean distance over all rings in **decibel** (10 times the decimal logarithm of the ratio; 3 dB is
# twice the power). For comparison: photographs of the 16 other people.

# %%
def power(pictures):
    """Mean azimuthal power spectrum of pictures uint8 (N, S, S)."""
    return spectra.mean_spectrum(pictures / 255)


size = drawn["progan"].shape[1]
of_photographs = power(to_uint8(photographs_of(taught_by, size)))
powers = {name: power(faces) for name, faces in drawn.items()}
gaps = {name: spectra.gap(of_photographs, spectrum) for name, spectrum in powers.items()}
others = power(to_uint8(photographs_of(bundled.generators, size, ("val", "test"))))
floor = spectra.gap(of_photographs, others)
rows = {}
for name, title in name_of.items():
    rows[title] = {kind: gaps[name + key] for key, kind in kinds.items()}
pd.DataFrame(rows).T.assign(photographs=floor).style.format("{:.2f}").set_caption("gap in dB")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.1), sharey=True)
for ax, (name, title) in zip(axes, name_of.items(), strict=True):
    for (key, kind), look in zip(kinds.items(), figures.line_styles(), strict=False):
        ratio = 10 * np.log10(powers[name + key] / of_photographs)[1:]
        frequency = np.arange(1, len(ratio) + 1) / len(ratio)
        ax.plot(frequency, ratio, label=kind, **look | {"marker": ""})
    ax.axhline(0, color="grey", linewidth=0.8)
    ax.set(xlabel="frequency (1: the corner of the spectrum)")
    gap = [f"{kind} {gaps[name + key]:.1f}" for key, kind in kinds.items()]
    ax.set_title(f"{title}, gap in dB: {', '.join(gap)}", fontsize=10)
axes[0].set_ylabel("fake / photograph in dB")
axes[0].legend()
alt = "Power of fakes over that of photographs. It climbs at high frequencies; +R and +A cut it."
figures.show(fig, alt)

# %% [markdown]
# Why does the curve of +R and +A fall at 0.71? Up to there a ring is a whole circle and crosses the axes of the spectrum, where
# upright and level edges have their power; beyond it only the four corners are left. So leave the axes out, at 0.67:

# %%
ring, axis = spectra.rings(size), np.abs(np.fft.fftfreq(size, 1 / size))
at_ring = ring == round(0.67 * ring.max())
off_axes = at_ring & (np.minimum(axis[:, None], axis) > size / 64)
of_real = to_uint8(photographs_of(taught_by, size))
on_ring = {}
for name in ("progan_R", "stylegan_R"):
    fake, true = ((np.abs(np.fft.fft2(each / 255)) ** 2).mean(0) for each in (drawn[name], of_real))
    both = [10 * np.log10(fake[kept].mean() / true[kept].mean()) for kept in (at_ring, off_axes)]
    on_ring[name_of[name[:-2]]] = both
pd.DataFrame(on_ring, ["whole ring", "without the axes"]).T.style.format("{:+.1f} dB")

# %% tags=["hide-input"]
falls = all(abs(rest) < abs(whole) for whole, rest in on_ring.values())
Markdown(f"""
{"Without the axes less of it is left" if falls else "It is not the axes alone"}. Both losses look
at the mean *logarithm* over a ring, in which a few strong frequencies weigh little. In the mean
power, which is drawn here, they weigh much: what +R and +A leave is a few strong frequencies,
upright and level, and a detector of single frequencies could still find them.
""")

# %% [markdown]
# What has it cost? The same seeds before and after, and at the left by how many grey levels the faces have changed:

# %%
rows, labels, altered = [], [], {}
for name, faces in drawn.items():
    before, kind = name.split("_")[0], name.partition("_")[2]
    altered[name] = float(np.abs(faces.astype(int) - drawn[before]).mean())
    labels.append(f"+{kind}: {altered[name]:.0f}" if kind else name_of[before])
    rows += list(faces[:4])
fig = figures.show_grid(rows, columns=4, side=0.95, rows=labels)
figures.show(fig, alt="Four faces of each generator, as trained, with +R, with +A: alike, softer.")

# %% tags=["hide-input"]
file = paths.METRICS / "beyond_the_spectrum.json"
elsewhere = json.loads(file.read_text()).get("spectral_gap_db", {}) if file.is_file() else {}
raw = elsewhere.get("ProGAN", {}).get("raw")
other_gap = raw and f"""
- [Notebook 04](04_beyond_the_spectrum_results.ipynb) prints other gaps (ProGAN {raw:.1f} dB): there
  the *chosen* fakes of the test set stand against photographs of the test people."""
told = "".join(f"""
- **{title}**: from {gaps[name]:.1f} dB to {gaps[name + "_R"]:.1f} (+R) and {gaps[name + "_A"]:.1f}
  (+A); its faces change by {altered[name + "_R"]:.0f} and {altered[name + "_A"]:.0f} grey levels.
""" for name, title in name_of.items())
Markdown(f"""{told}
- Photographs of the other people are {floor:.1f} dB away: the fakes' spectra came closer to them,
  but not those of photographs. BTS gives no gap in decibel; it reports what detectors make of such
  fakes (Table 1, columns +R and +A; ours are in notebook 04).
{other_gap or ""}""")

# %% [markdown]
# ## 10 From samples to data sets
#
# A detector is lazy. If fakes are darker, or their files smaller, it will look at that and at nothing else. So ten times
# the faces are drawn, and for each photograph the one is kept that comes closest in file size and brightness
# (`lib.fakes.gan.images.alike`). No pixel is changed. How well does each clue alone separate fakes from photographs? The **AUC**
# is the share of pairs of a fake and a photograph in which the fake has the larger value: 0.5 says nothing, 0 and 1 all.

# %%
def giveaways(data_set, table):
    """AUC of file size and brightness for each kind of fake in a table of images, one row each."""
    measured = shortcuts.measure(table)[["file_size", "brightness"]]
    found = {}
    for method in table.loc[table["label"] == 1, "method"].unique():
        rows = (table["label"] == 0) | (table["method"] == method)
        found[method] = shortcuts.separation(table.loc[rows, "label"], measured[rows])
    return measured, pd.DataFrame(found).T


main = layouts.images(params.data.generated, params.seed).groupby("method").head(400)
measured, auc = giveaways(params.data.generated, main)
named = auc.rename(lambda method: cards.source(params.data.generated, method))
named.style.format("{:.3f}").set_caption(f"AUC, {cards.title(params.data.generated)}")

# %%
low, high = shortcuts.ALLOWED
fair = bool(((auc > low) & (auc < high)).all(axis=None))
fig, ax = plt.subplots(figsize=(6, 3.6))
by_method = main.groupby("method", sort=False)
for (method, rows), marker in zip(by_method, figures.MARKERS, strict=False):
    file_size, brightness = measured.loc[rows.index].to_numpy().T
    name = cards.source(params.data.generated, method)
    ax.scatter(file_size / 1000, brightness, s=10, marker=marker, alpha=0.7, label=name)
ax.set(xlabel="size of the file in kB", ylabel="mean brightness (grey levels)")
title = f"File size and brightness {'do not give' if fair else 'GIVE'} the fakes away"
ax.set_title(title, fontsize=11)
ax.legend(fontsize=9)
figures.show(fig, alt=f"Three clouds of points, one a source, that cover each other. {title}.")

# %% [markdown]
# The further test sets are drawn in the same way, beside photographs of people from whom no detector learns
# (`python -m lib.fakes.gan sets`; the default run does it): the test people, and in FFHQ's place the validation people. Does
# anything give their fakes away?

# %%
found, shown_as = {}, {"R": "+R", "A": "+A", "FFHQ": "in FFHQ's place", "StarGAN2": "translated"}
for name, test_set in vars(params.test_sets).items():
    if not check.is_there(test_set):
        print(f"NOTE {name}: {test_set.root or 'its folder'} is not there;")
        print("`python -m lib.fakes.gan sets` draws it")
        continue
    table = layouts.images(test_set)
    for method, row in giveaways(test_set, table)[1].iterrows():
        found[shown_as[name], cards.source(test_set, method)] = row
further = pd.DataFrame(found).T
further.round(3) if found else None

# %% tags=["hide-input"]
outside = [
    f"{source} {name} ({clue.replace('_', ' ')}: AUC {value:.2f})"
    for (name, source), row in further.iterrows()
    for clue, value in row.items()
    if not low < value < high
]
fair_everywhere = f"All AUCs lie between {low} and {high}, which this project takes for fair."
not_fair = f"""
**Not fair everywhere**: outside of {low} to {high} lie {"; ".join(outside)}.
An AUC of the file size below 0.5 means that the fakes' files are smaller. +R and +A take fine
detail away, and a picture with less detail is packed into a smaller file; even of ten times the
faces too few were as large as the photographs. No network here sees the size of a file. But what
makes it small, missing detail, is in the pixels: keep that in mind where a detector does well on
these sets.
"""
missing = "None of these sets is there, so this is not tested."
Markdown(not_fair if outside else fair_everywhere if found else missing)

# %% [markdown]
# **Make a set of your own**: set `retrain = True` above, then `python -m lib.fakes.gan images --weights checkpoints/generators
# --out FOLDER`, and name FOLDER in `params.yaml` under `data.generated.root`. At scale paper the same code builds networks of
# 1024 pixels, for a folder of your photographs (`generators.photographs`), and wants GPUs for days.

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
best = {name: min(gaps[name + "_R"], gaps[name + "_A"]) for name in name_of}
fell = " and ".join(f"{gaps[n]:.1f} to {best[n]:.1f} dB ({t})" for n, t in name_of.items())
in_main = "no clue works in the main set" if fair else "even in the main set a clue works"
in_others = f"{len(outside)} of {further.size} clues work in the further sets"
Markdown(f"""
- **Growing**: head and light come up to 16 pixels, eyes from 32 on, hair and skin at the end;
  {fading:.0f} % of the images go into fading in a new size.
- **Quality**: ours are small, grey and visibly wrong. The median fake is {far["ProGAN"]:.0f}
  (ProGAN) and {far["StyleGAN"]:.0f} (StyleGAN) grey levels from its closest training photograph;
  another photograph of the same person is {far["same"]:.0f} away.
- **Truncation** trades variety for quality: from psi 1 to psi 0.5 the spread falls from
  {spread[1.0]:.0f} to {spread[0.5]:.0f} grey levels (StyleGAN), {spread2[1.0]:.0f} to
  {spread2[0.5]:.0f} (StyleGAN2).
- **StarGAN v2** redraws more than the glasses ({changed:.0f} grey levels), and two latent vectors
  give much the same face ({between:.0f}); in the paper faces vary more: ours saw too few people.
- **Spectrum**: a loss with a gradient brings the gap from {fell};
  photographs of other people are at {floor:.1f} dB, so a trace is left. There is one training of
  each, so how much of this is luck is not tested.
- **Fair fakes** must be chosen: {in_main}{", " + in_others if found else ""}.
""")

# %% [markdown]
# ## Exercises
#
# **1.** (easy) A network has widths for 4, 8, 16, 32 and 64 pixels. At what growth is it half-way from 32 to 64 pixels?

# %%
answer = None

if answer is None:
    print("1: not solved yet")
else:
    level, weight = layers.level_and_fade(answer, 5)
    right = (level, weight) == (4, 0.5)
    print("1: ✓" if right else f"1: ✗ this is level {level}, faded in by {weight:.2f}")

# %% [markdown]
# **2.** Why an arc and not a straight line? Measure the length of the vector half-way on the *line* from `start` to `end`,
# divided by the length of `start`.

# %%
ratio = None

if ratio is None:
    print("2: not solved yet")
else:
    right = abs(ratio - (start + end).norm().item() / 2 / start.norm().item()) < 0.01
    print("2: ✓ too short for a normal vector" if right else "2: ✗ half-way is (start + end) / 2")

# %% [markdown]
# **3.** Give `fine_only` the styles that keep the pose of `one` and take only the last two layers from `other`.

# %%
one, other = styles(2, 8)[:, None]  # (1, latent) each
fine_only = None

if fine_only is None:
    print("3: not solved yet")
else:
    right = (fine_only[:, :-2] == one).all() and (fine_only[:, -2:] == other).all()
    print("3: ✓" if right else "3: ✗ count the layers: stylegan.layers")

# %% [markdown]
# **4.** (hard) And yet *our* ProGAN draws the same face half-way on the line as half-way on the arc. Set `difference` to the
# largest difference of the two faces, in grey levels, and find the line of `lib/fakes/gan/layers.py` that makes it so.

# %%
difference = None

if difference is None:
    print("4: not solved yet")
else:
    right = difference < 0.1
    print("4: ✓ now which line is it?" if right else "4: ✗ draw (start + end) / 2, and / 2**0.5")

# %% [markdown]
# <details><summary>Solutions</summary>
#
# 1. `answer = 3.5`
# 2. `ratio = float(((start + end) / 2).norm() / start.norm())`: two normal vectors are nearly at right angles, so it is about
#    0.7.
# 3. `fine_only = stylegan.mix(one, other, stylegan.layers - 2)`
# 4. `difference = float((progan((start + end) / 2) - progan((start + end) / 2**0.5)).abs().max()) * 127.5`. It is 0, because
#    `ProGAN.forward` begins with `pixel_norm(z)`, which makes all vectors equally long: on the line one only walks at
#    another pace. A generator without this layer would get vectors that it hardly ever saw.
#
# </details>
#
# Previous: [10 both papers](10_both_papers.ipynb) · Next, from the start: [00 start here](00_start_here.ipynb)
