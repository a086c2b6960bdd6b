"""Deepfakes in small: one encoder for all people, one decoder for each; to forge, decode with another's decoder.

Source: the method of the "faceswap" tool that FaceForensics++ (Roessler et al., 2019, section 3) calls DeepFakes.
"""

import cv2
import numpy as np
import torch
from torch import nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F

from lib.fakes.forge import scene
from lib.fakes.forge.learn import learn

SIZE = 64  # side of the faces that the networks see, in pixels
SHARED_STEPS, PERSONAL_STEPS = 1000, 450
LATENTS, CODES = 128, 48  # numbers that describe a face; channels of the 8x8 code that the decoders start from


def encoder():
    """Return the shared encoder: aligned faces (N, 1, 64, 64) -> what there is to see, (N, 128)."""

    def block(inside, outside):
        return [nn.Conv2d(inside, outside, 5, stride=2, padding=2), nn.LeakyReLU(0.1)]

    convolutions = [*block(1, 24), *block(24, 48), *block(48, 96), *block(96, 96)]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(96 * 16, LATENTS))


def unfolding():
    """Return the shared step from latents (N, 128) to codes (N, 48, 8, 8)."""
    return nn.Sequential(nn.Linear(LATENTS, CODES * 64), nn.Unflatten(1, (CODES, 8, 8)), nn.LeakyReLU(0.1))


def decoder():
    """Return one person's decoder: codes (N, 48, 8, 8) -> faces (N, 1, 64, 64) in [0, 1]."""

    def block(inside, outside):
        return [nn.Upsample(scale_factor=2), nn.Conv2d(inside, outside, 3, padding=1), nn.LeakyReLU(0.1)]

    last = [nn.Conv2d(24, 4, 3, padding=1), nn.PixelShuffle(2), nn.Sigmoid()]
    return nn.Sequential(*block(CODES, 48), *block(48, 24), *last)


class DeepFakes(nn.Module):
    """The encoder and one decoder a person; the decoders' weights are stacked so that one call runs them all."""

    def __init__(self, n_people):
        super().__init__()
        self.encoder, self.unfolding = encoder(), unfolding()
        self.architecture = [decoder().to("meta")]  # in a list, so that its weights do not count as the module's
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
    """Return Faces as the networks see them: aligned, contrast evened out; float32 tensor (n, 1, 64, 64)."""
    aligned = [even(face.aligned(SIZE)) for face in faces]
    return torch.from_numpy(np.stack(aligned))[:, None]


def even(aligned):
    """Give an aligned face mean 0.5 and standard deviation 0.16 under the face mask, clipped to [0, 1]."""
    mean, spread = scene.moments(aligned, scene.face_mask(len(aligned)))
    return np.clip((aligned - mean) * (0.16 / spread) + 0.5, 0, 1)


def distort(faces, generator, strength=0.035):
    """Warp faces (N, 1, 64, 64) by a smooth random field, so that the encoder must learn what a face is, not copy it.

    strength: standard deviation of the 5x5 control points' shift, as a share of half the side.
    """
    n = len(faces)
    identity = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), faces.shape, align_corners=False)
    noise = strength * torch.randn(n, 2, 5, 5, generator=generator)
    field = F.interpolate(noise, faces.shape[-2:], mode="bicubic", align_corners=True).movedim(1, -1)
    return F.grid_sample(faces, identity + field, padding_mode="reflection", align_corners=False)


def train(people, seed=0, shared_steps=SHARED_STEPS, personal_steps=PERSONAL_STEPS):
    """Train the networks on {person: ten Faces}: first one decoder for all, then from its weights one a person."""
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
    adam = {"betas": (0.5, 0.99)}
    learn(shared, lambda: draw(decode_alike, 1), shared_steps, "Deepfakes, one decoder for all", **adam)
    model.adopt([common] * len(faces))
    each = lambda: draw(lambda seen: model(seen, everyone), 2)
    learn(model.parameters(), each, personal_steps, "Deepfakes, a decoder a person", **adam)
    return model.eval()


def move(latents, others):
    """Give latents (n, 128) the mean and the spread of `others`, number by number.

    A large encoder, trained long on many frames, describes all people alike; ours, on ten photographs each, still
    tells them apart, and a decoder knows only its own person's latents.
    """
    return (latents - latents.mean(0)) / latents.std(0) * others.std(0) + others.mean(0)


@torch.no_grad()
def swap(model, targets, sources, source):
    """Return the targets' Faces drawn by the decoder of person `source` (an index), aligned: float32 (n, 64, 64).

    targets, sources: all Faces of the two people.
    """
    latents = move(model.encoder(network_faces(targets)), model.encoder(network_faces(sources)))
    return model.decode(latents[None], torch.tensor([source]))[0, :, 0].numpy()


def forge(model, targets, sources, source):
    """Forge the target's Faces with the decoder of person `source` (an index).

    Returns scenes float32 (n, H, W) and the masks of what was changed, alike.
    """
    mask = scene.face_mask(2 * SIZE)
    forged = []
    for face, swapped in zip(targets, swap(model, targets, sources, source), strict=True):
        enlarged = cv2.resize(swapped, mask.shape, interpolation=cv2.INTER_CUBIC)
        forged.append(scene.match_colour(enlarged, face.aligned(2 * SIZE), mask))
    return scene.paste_all(targets, forged, mask)
