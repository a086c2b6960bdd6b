"""PEL: the network, those that its tables compare, and its ablations; all with one kind of training budget."""

from dataclasses import dataclass

from lib.params.build import ParamsError, one_of
from lib.params.data import COMPRESSIONS


@dataclass(frozen=True)
class Training:
    epochs: int
    warmup_epochs: int
    decay_at: list[float]
    batch_size: int
    learning_rate: float
    weight_decay: float
    workers: int

    def check(self, key):
        if not all(0 < share < 1 for share in self.decay_at):
            raise ParamsError(f"{key}.decay_at: {self.decay_at} are not shares of the epochs, between 0 and 1")


@dataclass(frozen=True)
class PelNetwork:
    backbone: str
    pretrained: bool
    stride: int
    frequency_start: str


@dataclass(frozen=True)
class Pel(Training, PelNetwork):
    """The network's fields, then those of its training: a dataclass takes the fields of its last base first."""

    def check(self, key):
        one_of(f"{key}.frequency_start", self.frequency_start, ("pretrained", "random"))
        super().check(key)


@dataclass(frozen=True)
class ForgeryDetectors:
    train_on: list[str]
    width: float
    pretrained: bool
    attention_backbone: str
    attention_maps: int
    texture_stage: int
    limit: int
    curve_images: int
    training: Training

    def check(self, key):
        self.training.check(f"{key}.training")
        for name in self.train_on:
            one_of(f"{key}.train_on", name, ("FF++(HQ)", "FF++(LQ)", "WildDeepfake"))
        if self.pretrained and self.width != 1:
            raise ParamsError(f"{key}.width: ImageNet weights exist for width 1, not {self.width}")


@dataclass(frozen=True)
class Ablations:
    compression: str
    size: int
    frames_per_video: int
    seeds_epochs: int
    training: Training

    def check(self, key):
        one_of(f"{key}.compression", self.compression, COMPRESSIONS)
        self.training.check(f"{key}.training")
        if self.size % 32:
            raise ParamsError(f"{key}.size: {self.size} is not a multiple of 32, by which the networks shrink a face")
