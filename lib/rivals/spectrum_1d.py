"""1D Spectrum: a linear support vector machine on the azimuthal spectrum of the grey image.

Durall et al., "Unmasking DeepFakes with simple Features" (2019), as released for high-resolution faces, with
standardised features.
"""

import cv2
import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from lib.ops.spectra import azimuthal_profile


def features(rgb):
    """Return the 1D spectra, float64 (N, length), of rgb (N, 3, S, S) in [0, 1], as grey images of 8 bits."""
    pixels = (255 * rgb).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return np.stack([azimuthal_profile(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) for image in pixels])


class SpectrumSVM(nn.Module):
    """Decide by one hyperplane: rgb (N, 3, size, size) in [0, 1] -> logits (N,), positive = fake.

    scikit-learn finds it; mean, deviation, weight and bias are buffers, saved as those of any network.
    """

    def __init__(self, size):
        super().__init__()
        self.config = {"size": size}
        length = len(azimuthal_profile(np.zeros((size, size))))
        for name, value in (("mean", 0.0), ("deviation", 1.0), ("weight", 0.0)):
            self.register_buffer(name, torch.full((length,), value, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros((), dtype=torch.float64))

    def fit(self, spectra, labels, penalty=1.0):
        """Learn from `features` (N, length) and labels (N,), 1 = fake; penalty: C of the machine; returns itself."""
        scaler, machine = make_pipeline(StandardScaler(), SVC(kernel="linear", C=penalty)).fit(spectra, labels)
        return self._take(scaler.mean_, scaler.scale_, machine.coef_[0], machine.intercept_[0])

    def _take(self, *values):
        for buffer, value in zip((self.mean, self.deviation, self.weight, self.bias), values, strict=True):
            buffer.copy_(torch.tensor(value))
        return self

    def decide(self, spectra):
        """Return the signed distance (N,) of `features` from the hyperplane, in margins."""
        return ((torch.as_tensor(spectra).to(self.mean) - self.mean) / self.deviation) @ self.weight + self.bias

    def forward(self, rgb):
        return self.decide(features(rgb))

    def fake_probability(self, rgb):
        """Return the logistic function (N,) of the distance: above 0.5 on the side of the fakes; no probability."""
        return self(rgb).sigmoid()
