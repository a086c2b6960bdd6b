"""Beyond the Spectrum: the re-synthesizer, its detectors, and those that its tables compare."""

from dataclasses import dataclass

from lib.params.build import ParamsError, one_of


@dataclass(frozen=True)
class ReSynthesizer:
    size: int
    limit: int
    num_features: int
    growth_rate: int
    num_blocks: int
    num_layers: int
    factor: int
    perceptual: str
    loss: str
    stage_weights: list[float]
    weights: str
    patch: int
    pixel_epochs: int
    pixel_learning_rate: float
    epochs: int
    learning_rate: float
    batch_size: int
    workers: int

    def check(self, key):
        one_of(f"{key}.perceptual", self.perceptual, ("efficientnet_lite0", "vgg19"))
        one_of(f"{key}.loss", self.loss, ("paper", "released"))
        if len(self.stage_weights) != 6:
            raise ParamsError(
                f"{key}.stage_weights: needs 6 numbers (pixel, stage 1 .. 5), has {len(self.stage_weights)}"
            )
        if self.size % self.factor or self.patch > self.size:
            raise ParamsError(
                f"{key}.size: {self.size} is not a multiple of factor {self.factor}, or smaller than patch"
            )
        if self.patch % self.factor:
            raise ParamsError(f"{key}.patch: {self.patch} is not a multiple of factor {self.factor}")


@dataclass(frozen=True)
class ResidualDetectors:
    stages: list[int]
    stage_weights: list[float]
    width: int
    layers: list[int]
    in_memory: bool
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    workers: int

    def check(self, key):
        if not self.stages or not set(self.stages) <= set(range(6)):
            raise ParamsError(f"{key}.stages: {self.stages} are not among 0 (pixel) and 1 .. 5 (perceptual stages)")
        if len(self.stages) != len(self.stage_weights):
            raise ParamsError(f"{key}.stage_weights: needs one number for each of the {len(self.stages)} stages")


@dataclass(frozen=True)
class EndToEnd:
    task: str
    optimizer: str
    epochs: int
    batch_size: int
    learning_rate: float
    detector_learning_rate: float
    weight_decay: float
    checkpoint: bool
    workers: int

    def check(self, key):
        one_of(f"{key}.task", self.task, ("", "C", "D"))
        one_of(f"{key}.optimizer", self.optimizer, ("adam", "sgd"))


@dataclass(frozen=True)
class Curves:
    jpeg: list[int]
    blur: list[int]
    noise: list[float]
    crop: list[float]
    resize: list[float]


@dataclass(frozen=True)
class SpectrumDetectors:
    sources: list[str]
    gram_width: int
    gram_pretrained: bool
    curve_images: int
    curves: Curves
