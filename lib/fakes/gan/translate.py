"""StarGAN v2 learns to translate between faces with and without glasses, and translates photographs.

The losses are those of Choi et al. (CVPR 2020), section 2.2. The style of a step comes by turns from latent vectors and
from reference photographs; from the latter only the generator and the discriminator learn, as in the released code. The
discriminator sees images through `augment`; otherwise it would learn 240 photographs by heart.
"""

import functools

import numpy as np
import torch
import torch.nn.functional as F

from lib.fakes import orl, weights
from lib.fakes.gan import images, photographs
from lib.fakes.gan.layers import side
from lib.fakes.gan.photographs import from_uint8, to_uint8
from lib.fakes.gan.stargan2 import DOMAINS, Reader, StarGAN2
from lib.fakes.gan.train import augment, discriminator_step, flip
from lib.fakes.gan.training import Training
from lib.training.device import device

EVERY = frozenset(range(1, 11))
GLASSES = {
    1: EVERY, 3: {1, 2, 3, 8, 9}, 5: EVERY, 6: {4, 5, 10}, 12: EVERY - {3, 4}, 13: EVERY, 16: EVERY - {3, 4},
    18: {1, 2, 3, 6, 10}, 19: EVERY - {4, 6}, 26: EVERY, 27: EVERY, 30: EVERY, 33: EVERY, 35: {9, 10}, 36: EVERY,
}  # fmt: skip
"""ORL photographs with glasses, person: photos. Labelled by eye; the data set has no such list."""


class Translating(Training):
    """One training of a StarGAN2; settings: the section `translation`."""

    def __init__(self, settings, seed, device="cpu"):
        torch.manual_seed(seed)
        images = photographs.of(settings, side(len(settings.widths)))
        channels, folder = images.shape[1], settings.photographs
        self.model = StarGAN2(settings.latent, settings.style, settings.widths, channels)
        super().__init__(settings, seed, device, self.model, Reader(1, settings.widths, channels), images)
        bundled = [] if folder else [domain_of(person, photo) for person, photo, _ in orl.photographs_of("train")]
        self.domains = torch.as_tensor(images.domains if folder else bundled).to(self.device)
        if (found := len(self.domains.unique())) != len(DOMAINS):
            raise ValueError(f"photographs: {folder} needs {len(DOMAINS)} folders, one a domain, has {found}")
        networks = self.model.generator, self.model.mapping, self.model.encoder, self.discriminator
        rates = [settings.learning_rate, settings.mapping_learning_rate, *[settings.learning_rate] * 2]
        self.optimisers = [
            torch.optim.Adam(network.parameters(), rate, (0.0, 0.99), weight_decay=1e-4)
            for network, rate in zip(networks, rates, strict=True)
        ]

    def update(self, step):
        count = self.settings.batch_size
        real, domains = self._draw(torch.randint(len(self.images), (count,)))
        wanted = torch.randint(2, (count,), device=self.device)
        by_latent = step % 2 == 0
        if by_latent:
            sources = torch.randn(2, count, self.settings.latent, device=self.device)
        else:
            sources = [self._of_domains(wanted) for _ in range(2)]
        with torch.no_grad(), self.autocast():
            fake = self.model.generator(real, self._styles(sources[0], wanted, by_latent))
        self.discriminator.zero_grad()
        loss, _ = discriminator_step(self, real, fake, domains, wanted, step)
        return {"loss_discriminator": loss} | self._train_generator(real, domains, wanted, sources, by_latent)

    def _train_generator(self, real, domains, wanted, sources, by_latent):
        s, model = self.settings, self.model
        with self.autocast():
            style, other = (self._styles(source, wanted, by_latent) for source in sources)
            fake = model.generator(real, style)
            self.discriminator.requires_grad_(False)
            logits = self.discriminator(augment(fake), wanted)
            self.discriminator.requires_grad_(True)
            with torch.no_grad():
                varied = model.generator(real, other)
            read, again = model.encoder(fake, wanted), model.generator(fake, model.encoder(real, domains))
        terms = {"generator": F.softplus(-logits.float()).mean()}
        for key, pair in {"style": (read, style), "diversity": (fake, varied), "cycle": (again, real)}.items():
            terms[key] = F.l1_loss(*(x.float() for x in pair))
        diversity = s.diversity_weight * (1 - self.seen / self.total)  # falls to nothing, as in the paper
        loss = terms["generator"] + s.style_weight * terms["style"] - diversity * terms["diversity"]
        loss = loss + s.cycle_weight * terms["cycle"]
        self.model.zero_grad()
        loss.backward()
        for optimiser in self.optimisers[: 3 if by_latent else 1]:
            optimiser.step()
        return {f"loss_{key}": term.item() for key, term in terms.items()}

    def _styles(self, source, domains, by_latent):
        return (self.model.mapping if by_latent else self.model.encoder)(source, domains)

    def _draw(self, indices):
        return flip(self.images[indices]), self.domains[indices]

    def _of_domains(self, domains):
        """Draw one photograph of each of the domains (N,)."""
        places = [torch.nonzero(self.domains == domain).flatten() for domain in domains.tolist()]
        return self._draw(torch.stack([place[torch.randint(len(place), ())] for place in places]))[0]

    @torch.no_grad()
    def sheet(self, growth=None, count=8):
        """Return photographs above their translations to the other domain by three latent vectors: uint8."""
        places = torch.linspace(0, len(self.images) - 1, count).long()
        real, domains = self.images[places], 1 - self.domains[places]
        random = torch.Generator().manual_seed(1)
        z = torch.randn(3, 1, self.settings.latent, generator=random).expand(-1, count, -1).to(self.device)
        rows = [real, *(self.average.translate(real, domains, z=row) for row in z)]
        return np.vstack([np.hstack(to_uint8(row)) for row in rows])


def domain_of(person, photo):
    """Return the domain of a photograph: 1 with glasses, 0 without."""
    return int(photo in GLASSES.get(int(person), ()))


def train(settings, seed, folder):
    """Return the finished Translating, resumed from the state in `folder`; raises as Training.run."""
    return Translating(settings, seed, device()).run(folder, "stargan2")


def export(model, path):
    """Write a StarGAN2 with its arguments as metadata."""
    weights.write(model, path, **model.config)


def load(path):
    """Read a StarGAN2 that `export` wrote, in evaluation mode; raises FileNotFoundError if there is none."""
    return weights.load(path, "`python -m lib.fakes.gan translate` makes them", lambda config: StarGAN2(**config))


def make(folder, model, seed=0, factor=1, real="CelebA-HQ", people="test", own=None):
    """Write the photographs of a split's people, each with a translation to the other domain, in the layout CelebA-HQ.

    Of `factor` translations the one is kept that comes closest to its photograph in file size and brightness. Their
    styles come from latent vectors that depend on (seed, number of the photograph) alone.
    own: other photographs, a folder with one folder a domain. Raises ValueError for another number of folders.
    """
    size, channels = side(len(model.config["widths"])), model.config.get("channels", 1)
    entries = images.beside(real, size, channels, [people], "test", own)
    if own:
        domains = photographs.Folder(own, size, channels).domains.tolist()
    else:
        domains = [domain_of(*map(int, name.split("_"))) for _, name, *_ in entries]
    if own and len(set(domains)) != len(DOMAINS):
        raise ValueError(f"photographs: {own} needs {len(DOMAINS)} folders, one a domain, has {len(set(domains))}")
    images.write_set(folder, _translated(model.to(device()), entries, domains, seed, factor))


def _translated(model, entries, domains, seed, factor):
    """Yield the entries of photographs, then those of their translations."""
    yield from entries
    looks = images.giveaways(read() for _, _, read, _ in entries)
    deviation = images.deviations(looks)
    for index, ((_, name, read, split), domain) in enumerate(zip(entries, domains, strict=True)):
        wanted = torch.full((factor,), 1 - domain)
        random = torch.Generator().manual_seed((seed << 32) + index)
        z = torch.randn(factor, model.config["latent"], generator=random)
        pictures = from_uint8([read()] * factor)
        drawn = to_uint8(model.translate(*(x.to(device()) for x in (pictures, wanted)), z=z.to(device())))
        distance = np.abs((images.giveaways(drawn) - looks[index]) / deviation).sum(1)
        yield "StarGAN2", name, functools.partial(np.asarray, drawn[distance.argmin()]), split
