"""The data: which sets, where they lie, and how faces are cut out of them."""

import os
from dataclasses import dataclass, field

from lib import paths
from lib.params.build import ParamsError, one_of

COMPRESSIONS = ("raw", "c23", "c40")


@dataclass(frozen=True)
class DataSet:
    """One data set: how its folders are laid out and where it lies."""

    layout: str
    root: str
    compression: str = "c23"

    layouts = ("FaceForensics++", "WildDeepfake", "Celeb-DF-v2", "Celeb-DF-v2-all", "DeepfakeDetection", "DFDC",
               "DFDC-40-49", "CelebA-HQ", "FFHQ", "folders")  # fmt: skip

    def check(self, key):
        one_of(f"{key}.layout", self.layout, self.layouts)
        one_of(f"{key}.compression", self.compression, COMPRESSIONS)
        if not paths.resolve(self.root).is_dir():
            bundled = not os.path.isabs(self.root) and self.root.startswith("data/")
            remedy = "run `dvc pull` (or `make repro`)" if bundled else "correct the path"
            raise ParamsError(f"{key}.root: no folder at {self.root}: {remedy}")


@dataclass(frozen=True)
class Data:
    forged: DataSet
    generated: DataSet
    cross_forged: list[DataSet] = field(default_factory=list)
    cross_generated: list[DataSet] = field(default_factory=list)

    def check(self, key):
        self.forged.check(f"{key}.forged")
        self.generated.check(f"{key}.generated")
        for name in ("cross_forged", "cross_generated"):
            for index, data_set in enumerate(getattr(self, name)):
                data_set.check(f"{key}.{name}[{index}]")


@dataclass(frozen=True)
class Faces:
    frames_per_video: int
    size: int
    margin: float
    detector: str
    workers: int

    def check(self, key):
        one_of(f"{key}.detector", self.detector, ("mtcnn", "dsfd"))


class OptionalSets:
    """Sets whose folders may be missing."""

    def check(self, key):
        for name, data_set in vars(self).items():
            one_of(f"{key}.{name}.layout", data_set.layout, data_set.layouts)


@dataclass(frozen=True)
class TestSets(OptionalSets):
    R: DataSet
    A: DataSet
    FFHQ: DataSet
    StarGAN2: DataSet


@dataclass(frozen=True)
class Scenes(OptionalSets):
    bedroom: DataSet
    church: DataSet
