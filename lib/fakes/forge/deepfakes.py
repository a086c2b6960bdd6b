"""Deepfakes in small: one encoder for all people, a decoder for each; to forge, decode with another person's decoder.

Source: the method of the "faceswap" tool that FaceForensics++ (Roessler et al., 2019, section 3) calls DeepFakes.
"""

import cv2
import numpy as np
import torch
from torch import nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F
from tqdm.auto import tqdm

from lib.fakes.forge import scene

SIZE = 64  # side of the faces that the networks see, in pixels
SHARED_STEPS, PERSONAL_STEPS = 1000, 450
LATENTS, CODES = 128, 48  # numbers that describe a face; channels of the 8x8 code that decoders start from


def learn(parameters, draw, steps, description, **options):
    """Train `parameters` for `steps` steps, so that both images of `draw()`, (drawn, wanted) of (..., H, W), agree.

    options: further ones of AdamW.
    """
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, **options)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    bar = tqdm(range(steps), desc=description)
    for _ in bar:
        drawn, wanted = draw()
        l1 = F.l1_loss(drawn, wanted)
        # Differences between neighbouring pixels count as well, because L1 alone accepts a blurred image.
        edges = sum(F.l1_loss(drawn.diff(dim=axis), wanted.diff(dim=axis)) for axis in (-2, -1))
        optimizer.zero_grad()
        (l1 + edges).backward()
        optimizer.step()
        schedule.step()
        bar.set_postfix(l1=f"{l1.item():.4f}")


def conv(inside, outside, size=3, stride=1):
    """Return a convolution and its leaky ReLU, in a list."""
    return [nn.Conv2d(inside, outside, size, stride, padding=size // 2), nn.LeakyReLU(0.1)]


def decoder():
    """Return one person's decoder: codes (N, 48, 8, 8) -> faces (N, 1, 64, 64) in [0, 1]."""
    last = [nn.Conv2d(24, 4, 3, padding=1), nn.PixelShuffle(2), nn.Sigmoid()]
    double = nn.Upsample(scale_factor=2)
    return nn.Sequential(double, *conv(CODES, 48), double, *conv(48, 24), *last)


class DeepFakes(nn.Module):
    """Aligned faces -> `encoder`, 128 numbers -> `unfolding`, a code (48, 8, 8) -> one decoder a person.

    The decoders' weights are stacked, so that one call runs them all.
    """

    def __init__(self, n_people):
        super().__init__()
        convolutions = [*conv(1, 24, 5, 2), *conv(24, 48, 5, 2), *conv(48, 96, 5, 2), *conv(96, 96, 5, 2)]
        self.encoder = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(96 * 16, LATENTS))
        codes = nn.Unflatten(1, (CODES, 8, 8))
        self.unfolding = nn.Sequential(nn.Linear(LATENTS, CODES * 64), codes, nn.LeakyReLU(0.1))
        self.architecture = [decoder().to("meta")]  # in a list, so that PyTorch does not register its weights
        self.adopt([decoder()] * n_people)

    def adopt(self, decoders):
        """Take the weights of these decoders, one a person."""
        stacked, _ = stack_module_state(decoders)
        self.decoders = nn.ParameterDict({name.replace(".", "_"): w.detach() for name, w in stacked.items()})

    def decode(self, latents, people):
        """Decode latents (P, K, 128), row p with the decoder of people[p] -> faces (P, K, 1, 64, 64)."""
        codes = self.unfolding(latents.flatten(0, 1)).unflatten(0, latents.shape[:2])
        weights = {name.replace("_", "."): w[people] for name, w in self.decoders.items()}
        return torch.vmap(lambda w, code: functional_call(self.architecture[0], w, (code,)))(weights, codes)

    def forward(self, faces, people):
        """Encode faces (P, K, 1, 64, 64) and decode row p with the decoder of people[p]."""
        return self.decode(self.encoder(faces.flatten(0, 1)).unflatten(0, faces.shape[:2]), people)


def network_faces(faces):
    """Return Faces as the networks see them, aligned and of equal contrast: float32 (n, 1, 64, 64) in [0, 1]."""
    even = []
    for aligned in (face.aligned(SIZE) for face in faces):
        mean, spread = scene.moments(aligned, scene.face_mask(SIZE))
        even.append(np.clip((aligned - mean) * (0.16 / spread) + 0.5, 0, 1))
    return torch.from_numpy(np.stack(even))[:, None]


def distort(faces, generator):
    """Warp faces (N, 1, 64, 64) by a smooth random field, so that the encoder cannot just copy a face.

    The field is interpolated between 5x5 points, which shift by 0.035 of half the side (standard deviation).
    """
    n = len(faces)
    identity = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), faces.shape, align_corners=False)
    noise = 0.035 * torch.randn(n, 2, 5, 5, generator=generator)
    field = F.interpolate(noise, faces.shape[-2:], mode="bicubic", align_corners=True).movedim(1, -1)
    return F.grid_sample(faces, identity + field, padding_mode="reflection", align_corners=False)


def train(people, seed=0, shared_steps=SHARED_STEPS, personal_steps=PERSONAL_STEPS):
    """Train the networks on {person: ten Faces}: first one decoder for all people, then, from its weights, one each."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    faces = torch.stack([network_faces(p) for p in people.values()])  # (people, photos, 1, 64, 64)
    faces = torch.cat([faces, faces.flip(-1)], dim=1)
    everyone = torch.arange(len(faces))
    model, common = DeepFakes(len(faces)), decoder()

    def draw(decode, photos_each):
        photos = torch.randint(faces.shape[1], (len(faces), photos_each), generator=generator)
        wanted = faces[everyone[:, None], photos]
        seen = distort(wanted.flatten(0, 1), generator).unflatten(0, wanted.shape[:2])
        return decode(seen), wanted

    def decode_alike(seen):
        return common(model.unfolding(model.encoder(seen.flatten(0, 1)))).unflatten(0, seen.shape[:2])

    shared = [*model.encoder.parameters(), *model.unfolding.parameters(), *common.parameters()]
    learn(shared, lambda: draw(decode_alike, 1), shared_steps, "Deepfakes, one decoder for all", betas=(0.5, 0.99))
    model.adopt([common] * len(faces))
    each = lambda: draw(lambda seen: model(seen, everyone), 2)
    learn(model.parameters(), each, personal_steps, "Deepfakes, a decoder a person", betas=(0.5, 0.99))
    return model.eval()


def move(latents, others):
    """Give each of the 128 numbers of latents (n, 128) the mean and the standard deviation that `others` have.

    A large encoder, trained on many frames, describes all people alike. Ours, trained on ten photographs each, still
    tells them apart, and a decoder knows only its own person's latents.
    """
    return (latents - latents.mean(0)) / latents.std(0) * others.std(0) + others.mean(0)


@torch.no_grad()
def swap(model, targets, sources, source):
    """Return all Faces of a target as the decoder of person `source` (an index) draws them, float32 (n, 64, 64)."""
    latents = move(model.encoder(network_faces(targets)), model.encoder(network_faces(sources)))
    return model.decode(latents[None], torch.tensor([source]))[0, :, 0].numpy()


def forge(model, targets, sources, source):
    """Forge the target's Faces with the decoder of person `source` (an index): scenes and masks as in `make.forge`."""
    mask = scene.face_mask(2 * SIZE)
    forged = []
    for face, swapped in zip(targets, swap(model, targets, sources, source), strict=True):
        enlarged = cv2.resize(swapped, mask.shape, interpolation=cv2.INTER_CUBIC)
        forged.append(scene.match_colour(enlarged, face.aligned(2 * SIZE), mask))
    return scene.paste_all(targets, forged, mask)
