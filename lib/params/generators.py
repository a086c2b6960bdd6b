"""The generators of the bundled images, and what is made with them."""

from dataclasses import dataclass

from lib.params.build import ParamsError


@dataclass(frozen=True)
class LearningRates:
    progan: list[float]
    stylegan: list[float]


@dataclass(frozen=True)
class Generators:
    latent: int
    widths: list[int]
    thousands: list[float]
    fade: float
    average_thousands: float
    batch_size: int
    learning_rates: LearningRates
    penalty: float
    penalty_interval: int
    report_every: int

    def check(self, key):
        rates = {f"learning_rates.{name}": values for name, values in vars(self.learning_rates).items()}
        for name, values in {"thousands": self.thousands, **rates}.items():
            if len(values) != len(self.widths):
                raise ParamsError(f"{key}.{name}: needs one number for each of the {len(self.widths)} widths")


@dataclass(frozen=True)
class Finetune:
    thousands: float
    alone: float
    weight: float
    learning_rate: float
    spectral_learning_rate: float
    average_thousands: float
    batch_size: int
    report_every: int

    def check(self, key):
        if self.alone >= self.thousands:
            raise ParamsError(f"{key}.alone: {self.alone} leaves the generator none of the {self.thousands} thousands")


@dataclass(frozen=True)
class Translation:
    latent: int
    style: int
    widths: list[int]
    thousands: float
    batch_size: int
    learning_rate: float
    mapping_learning_rate: float
    penalty: float
    penalty_interval: int
    style_weight: float
    diversity_weight: float
    cycle_weight: float
    average_thousands: float
    report_every: int

    def check(self, key):
        if len(self.widths) < 2:
            raise ParamsError(f"{key}.widths: needs one number a size, two at the least, has {self.widths}")


@dataclass(frozen=True)
class MoreFakes:
    draws: int
    first_seed: int
