"""NeuralTextures in small: a U-Net renders the mouth anew from the rest of the face and a coarse, driving mouth.

Source: Thies et al., "Deferred Neural Rendering" (2019), as FaceForensics++ uses it: only the mouth region changes.
Theirs learns one texture for each person; ours is one network for all people, and the driving mouth says what to draw.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lib.fakes.forge import scene
from lib.fakes.forge.deepfakes import conv, learn

SIZE = 64  # side of the mouth patch that the network renders, in pixels
FACE = 2 * SIZE  # side of the aligned face that the patch is cut from
ROWS, COLUMNS = slice(FACE - SIZE, FACE), slice(SIZE // 2, SIZE // 2 + SIZE)
COARSE = 16  # side of the driving mouth, in pixels
STEPS, BATCH = 1000, 16


class MouthRenderer(nn.Module):
    """A U-Net of two levels: (N, 3, 64, 64) from `network_input` -> mouth patches (N, 1, 64, 64) in [0, 1]."""

    def __init__(self):
        super().__init__()
        block = lambda inside, outside: nn.Sequential(*conv(inside, outside), *conv(outside, outside))
        self.down = nn.ModuleList([block(3, 16), block(16, 32), block(32, 64)])
        self.up = nn.ModuleList([block(96, 32), block(48, 16)])
        self.last = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        skips = []
        for block in self.down:
            x = block(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2), skip], dim=1))
        return torch.sigmoid(self.last(x))


def mouth_mask():
    """Return the soft mask of the region that is rendered anew, float32 (64, 64)."""
    return scene.ellipse(SIZE, (0.5, 0.63), (0.44, 0.33), 0.12)


def mouth_patch(face):
    """Return the mouth region of a Face in the common frame, float32 (64, 64)."""
    return face.aligned(FACE)[ROWS, COLUMNS]


def network_input(patches, driving):
    """Return what the network sees, (N, 3, 64, 64): the patch with a blurred mouth, the coarse driving mouth, the mask.

    patches, driving: (N, 1, 64, 64) in [0, 1].
    """
    mask = torch.from_numpy(mouth_mask()).expand_as(patches)
    coarse = F.interpolate(driving, (COARSE, COARSE), mode="area")
    blurred, coarse = (F.interpolate(x, (SIZE, SIZE), mode="bilinear") for x in (F.avg_pool2d(patches, 32), coarse))
    return torch.cat([patches + mask * (blurred - patches), coarse, mask], dim=1)


def train(people, seed=0, steps=STEPS):
    """Train the renderer on {person: ten Faces} to give each photograph its own mouth back."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    patches = np.stack([mouth_patch(face) for faces in people.values() for face in faces])
    patches = torch.from_numpy(patches)[:, None].clamp(0, 1)
    patches = torch.cat([patches, patches.flip(-1)])
    model = MouthRenderer()

    def draw():
        patch = patches[torch.randperm(len(patches), generator=generator)[:BATCH]]
        # At forging time the driving mouth is another person's: its light and its place are never exactly right.
        gain = 1 + 0.1 * torch.randn(len(patch), 1, 1, 1, generator=generator)
        shift = F.affine_grid(torch.eye(2, 3).repeat(len(patch), 1, 1), patch.shape, align_corners=False)
        shift = shift + 0.04 * torch.randn(len(patch), 1, 1, 2, generator=generator)
        driving = gain * F.grid_sample(patch, shift, padding_mode="reflection", align_corners=False)
        return model(network_input(patch, driving)), patch

    learn(model.parameters(), draw, steps, "NeuralTextures")
    return model.eval()


def driving_patches(targets, sources):
    """Return the sources' mouths in the light of the targets, float32 tensor (n, 1, 64, 64)."""
    mask, pairs = mouth_mask(), zip(map(mouth_patch, sources), map(mouth_patch, targets), strict=True)
    lit = [scene.match_colour(source, target, mask) for source, target in pairs]
    return torch.from_numpy(np.stack(lit))[:, None].float()


@torch.no_grad()
def render(model, targets, sources):
    """Return the targets' mouth patches with the mouth shapes of the sources, float32 (n, 64, 64)."""
    patches = torch.from_numpy(np.stack([mouth_patch(face) for face in targets]))[:, None]
    return model(network_input(patches, driving_patches(targets, sources)))[:, 0].numpy()


def forge(model, targets, sources):
    """Forge the targets' Faces with the mouths of the sources' most similar poses: scenes, masks as in `make.forge`."""
    driving = [scene.most_similar(face, sources) for face in targets]
    aligned = np.zeros((1 + len(targets), FACE, FACE), np.float32)
    aligned[:, ROWS, COLUMNS] = [mouth_mask(), *render(model, targets, driving)]
    return scene.paste_all(targets, aligned[1:], aligned[0])
