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

from lib.detectors import Detector, register
from lib.ops.spectra import azimuthal_profile
from lib.rivals.prnu import Images, pixels, sample, spread


def features(images):
    """Return the 1D spectra, float64 (N, length), of N images uint8 (S, S, 3), after conversion to 8-bit grey."""
    return np.stack(list(spread(lambda image: azimuthal_profile(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)), images)))


class SpectrumSVM(Detector):
    """Decide by one hyperplane: rgb (N, 3, size, size) in [0, 1] -> distance (N,) in margins, positive = fake.

    The score, the logistic function of the distance, is no probability. What scikit-learn finds is kept in buffers.
    learns_from: number of images of each source from which `learn` learns, 0: all. Twice as many take four times as
    long.
    """

    def __init__(self, size, learns_from=0):
        super().__init__()
        self.size, self.learns_from = size, learns_from
        length = len(azimuthal_profile(np.zeros((size, size))))
        for name, value in (("mean", 0.0), ("deviation", 1.0), ("weight", 0.0)):
            self.register_buffer(name, torch.full((length,), value, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros((), dtype=torch.float64))

    def learn(self, learn_items, learn_table, check_items, check_table):
        """Learn from the images of a table, or from a `sample` of them; no option changes, so it returns {}."""
        rows = sample(learn_table, self.learns_from)
        self.fit(features(Images(learn_items, rows)), learn_table["label"].to_numpy()[rows])
        return {}

    def fit(self, spectra, labels, penalty=1.0):
        """Learn from `features` (N, length) and labels (N,), 1 = fake; penalty: C of the machine; returns itself."""
        scaler, machine = make_pipeline(StandardScaler(), SVC(kernel="linear", C=penalty)).fit(spectra, labels)
        values = scaler.mean_, scaler.scale_, machine.coef_[0], machine.intercept_[0]
        for buffer, value in zip((self.mean, self.deviation, self.weight, self.bias), values, strict=True):
            buffer.copy_(torch.tensor(value))
        return self

    def forward(self, rgb):
        spectra = torch.as_tensor(features(pixels(rgb))).to(self.mean)
        return ((spectra - self.mean) / self.deviation) @ self.weight + self.bias


@register("1D-Spectrum", "bts", SpectrumSVM, flip=False)
def options(size, bts_detectors):
    return {"size": size, "learns_from": bts_detectors.svm_images}
