"""Train StarGAN v2 between faces with and without glasses, and translate photographs: `python -m
lib.fakes.gan.translate`.

The losses are those of Choi et al. (CVPR 2020), section 2.2. By turns, the style of a step comes from latent vectors or
from reference photographs; of the latter only the generator and the discriminator learn, as in the released code. The
discriminator sees images through the shifts of `lib.fakes.gan.train.augment`, or it would learn 240 photographs by
heart.
"""

import argparse
import copy
import json

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lib import paths
from lib.fakes import orl
from lib.fakes.gan import images
from lib.fakes.gan.stargan2 import Reader, StarGAN2
from lib.fakes.gan.state import State
from lib.fakes.gan.train import WEIGHTS, augment, r1, run, to_uint8
from lib.params import SCALES
from lib.params import load as load_params

EVERY = frozenset(range(1, 11))
GLASSES = {
    1: EVERY, 3: {1, 2, 3, 8, 9}, 5: EVERY, 6: {4, 5, 10}, 12: EVERY - {3, 4}, 13: EVERY, 16: EVERY - {3, 4},
    18: {1, 2, 3, 6, 10}, 19: EVERY - {4, 6}, 26: EVERY, 27: EVERY, 30: EVERY, 33: EVERY, 35: {9, 10}, 36: EVERY,
}  # fmt: skip
"""ORL photographs with glasses, person: photos. Labelled by eye; the data set has no such list."""


class Translating(State):
    """The state of one training of a StarGAN2, for `lib.fakes.gan.train.run`: one step = one batch."""

    growth = None

    def __init__(self, settings, seed, device="cpu", splits=("train",)):
        torch.manual_seed(seed)
        self.settings, self.seed, self.device = settings, seed, torch.device(device)
        size = 4 * 2 ** (len(settings.widths) - 1)
        photographs = [p for split in splits for p in photographs_of(split)]
        self.images = torch.stack([_tensor(path, size) for _, _, path in photographs]).to(self.device)
        self.domains = torch.tensor([domain_of(person, photo) for person, photo, _ in photographs]).to(self.device)
        layout = {"device": self.device, "memory_format": torch.channels_last}
        self.model = StarGAN2(settings.latent, settings.style, settings.widths).to(**layout)
        self.discriminator = Reader(1, settings.widths).to(**layout)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        model, rate = self.model, settings.learning_rate
        rates = {model.generator: rate, model.mapping: settings.mapping_learning_rate, model.encoder: rate,
                 self.discriminator: rate}  # fmt: skip
        self.optimisers = [
            torch.optim.Adam(network.parameters(), rate, (0.0, 0.99), weight_decay=1e-4)
            for network, rate in rates.items()
        ]
        self.seen, self.history = 0, []

    @property
    def trained(self):
        return self.model

    @property
    def total(self):
        return int(1000 * self.settings.thousands)

    def step(self):
        """Train all networks on one batch; returns the losses as a dict of floats."""
        s, step = self.settings, self.seen // self.settings.batch_size
        torch.manual_seed((self.seed << 32) + step)  # a resumed run draws what an unbroken one would have drawn
        real, domains = self._draw(torch.randint(len(self.images), (s.batch_size,)))
        wanted = torch.randint(2, (s.batch_size,), device=self.device)
        by_latent = step % 2 == 0
        if by_latent:
            sources = torch.randn(2, s.batch_size, s.latent, device=self.device)
        else:
            sources = torch.stack([self._of_domains(wanted) for _ in range(2)])
        losses = self._train_discriminator(real, domains, wanted, sources[0], by_latent, step)
        losses |= self._train_generator(real, domains, wanted, sources, by_latent)
        self.seen += s.batch_size
        self._average()
        return losses

    def _train_discriminator(self, real, domains, wanted, source, by_latent, step):
        s, *_, adam = self.settings, *self.optimisers
        with torch.no_grad(), self._autocast():
            fake = self.model.generator(real, self._styles(source, wanted, by_latent))
        real = augment(real)
        with self._autocast():
            logits = self.discriminator(real, domains), self.discriminator(augment(fake), wanted)
        loss = F.softplus(-logits[0].float()).mean() + F.softplus(logits[1].float()).mean()
        adam.zero_grad()
        loss.backward()
        if step % s.penalty_interval == 0:
            read = lambda x, growth: self.discriminator(x, domains)
            (0.5 * s.penalty * s.penalty_interval * r1(read, real, None)).backward()
        adam.step()
        return {"loss_discriminator": loss.item()}

    def _train_generator(self, real, domains, wanted, sources, by_latent):
        s, model = self.settings, self.model
        with self._autocast():
            style, other = (self._styles(source, wanted, by_latent) for source in sources)
            fake = model.generator(real, style)
            self.discriminator.requires_grad_(False)
            logits = self.discriminator(augment(fake), wanted)
            self.discriminator.requires_grad_(True)
            with torch.no_grad():
                varied = model.generator(real, other)
            read, again = model.encoder(fake, wanted), model.generator(fake, model.encoder(real, domains))
        adversarial = F.softplus(-logits.float()).mean()
        pairs = {"style": (read, style), "diversity": (fake, varied), "cycle": (again, real)}
        terms = {key: F.l1_loss(*(x.float() for x in pair)) for key, pair in pairs.items()}
        diversity = s.diversity_weight * (1 - self.seen / self.total)  # falls to nothing, as in the paper
        loss = adversarial + s.style_weight * terms["style"] - diversity * terms["diversity"]
        loss = loss + s.cycle_weight * terms["cycle"]
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in self.optimisers[: 3 if by_latent else 1]:
            optimiser.step()
        return {"loss_generator": adversarial.item()} | {f"loss_{key}": term.item() for key, term in terms.items()}

    def _styles(self, source, domains, by_latent):
        return (self.model.mapping if by_latent else self.model.encoder)(source, domains)

    def _draw(self, indices):
        flips = torch.rand(len(indices), 1, 1, 1, device=self.device) < 0.5
        chosen = self.images[indices]
        return torch.where(flips, chosen.flip(3), chosen), self.domains[indices]

    def _of_domains(self, domains):
        """Draw one photograph of each of the domains (N,)."""
        places = [torch.nonzero(self.domains == domain).flatten() for domain in domains.tolist()]
        return self._draw(torch.stack([place[torch.randint(len(place), ())] for place in places]))[0]

    @torch.no_grad()
    def sheet(self, growth=None, count=8):
        """Photographs above their translations to the other domain by three latent vectors: uint8 (H, W)."""
        places = torch.linspace(0, len(self.images) - 1, count).long()
        real, domains = self.images[places], 1 - self.domains[places]
        random = torch.Generator().manual_seed(1)
        z = torch.randn(3, 1, self.settings.latent, generator=random).expand(-1, count, -1).to(self.device)
        rows = [real, *(self.average.translate(real, domains, z=row) for row in z)]
        return np.concatenate([np.concatenate(list(to_uint8(row)), 1) for row in rows])


def photographs_of(split):
    """Return (person, photo, path) of the people of a split."""
    people = set(orl.people(split))
    return [photograph for photograph in orl.orl_photographs() if photograph[0] in people]


def domain_of(person, photo):
    """Return the domain of a photograph: 1 with glasses, 0 without."""
    return int(photo in GLASSES.get(int(person), ()))


def train(settings, seed, folder, progress=True, splits=("train",)):
    """Train to the end, or go on with the training that `folder` holds; returns the Translating.

    settings: the section `translation`.
    Raises ValueError where the training in `folder` has other settings.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return run(Translating(settings, seed, device, splits), folder, "stargan2", progress)


def export(model, path):
    """Write a StarGAN2 in half precision, its arguments as metadata."""
    weights = {key: value.half().contiguous().cpu() for key, value in model.state_dict().items()}
    metadata = {key: json.dumps(value) for key, value in model.config.items()}
    paths.replace(path, lambda temporary: save_file(weights, temporary, metadata))


def load(path):
    """Read a StarGAN2 that `export` wrote, in evaluation mode. Raises FileNotFoundError where there is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{paths.show(path)}: no such weights; `python -m lib.fakes.gan.translate` makes them")
    with safe_open(path, "pt") as file:
        model = StarGAN2(**{key: json.loads(value) for key, value in file.metadata().items()})
    model.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    return model.eval().requires_grad_(False)


def make(folder, model, splits=("test",), seed=0, factor=1, real="CelebA-HQ", source="StarGAN2"):
    """Write the photographs of some people and of each a translation to the other domain, in the layout CelebA-HQ.

    Of `factor` translations the one is kept that comes closest to its photograph in file size and brightness. Their
    styles come from latent vectors that depend on (seed, number of the photograph) alone.
    """
    size = 4 * 2 ** (len(model.config["widths"]) - 1)
    photographs = [(split, *p) for split in splits for p in photographs_of(split)]
    pictures = np.stack([orl.photo_square(path, size) for *_, path in photographs])
    looks = images.giveaways(pictures)
    entries = []
    for index, (split, person, photo, path) in enumerate(photographs):
        domains = torch.full((factor,), 1 - domain_of(person, photo))
        random = torch.Generator().manual_seed((seed << 32) + index)
        z = torch.randn(factor, model.config["latent"], generator=random)
        drawn = to_uint8(model.translate(_tensor(path, size).expand(factor, -1, -1, -1), domains, z=z))
        distance = np.abs((images.giveaways(drawn) - looks[index]) / looks.std(0)).sum(1)
        name = f"{person}_{photo}"
        entries += [(real, name, pictures[index], split), (source, name, drawn[distance.argmin()], split)]
    images.write_set(folder, entries)


def _tensor(path, size):
    return torch.from_numpy(orl.photo_square(path, size))[None].float() / 127.5 - 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train StarGAN v2 between faces with and without glasses.")
    parser.add_argument("--scale", choices=SCALES)
    parameters = load_params(parser.parse_args().scale)
    trained = train(parameters.translation, parameters.seed, paths.UNFINISHED / f"stargan2_{parameters.scale}")
    export(trained.average, WEIGHTS / "stargan2.safetensors")
