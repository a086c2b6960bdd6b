"""params.yaml, read and checked: an unknown key, a wrong type or a missing path fails before anything is computed."""

import dataclasses
import difflib
import os
import typing
from dataclasses import dataclass, field

import yaml

from lib import paths

SCALES = ("smoke", "bundled", "paper")


class ParamsError(ValueError):
    """A value in params.yaml that cannot be used; the message names the key and the remedy."""


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
        one_of(f"{key}.compression", self.compression, ("raw", "c23", "c40"))
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


@dataclass(frozen=True)
class TestSets:
    """Sets whose folders may be missing."""

    R: DataSet
    A: DataSet
    FFHQ: DataSet
    StarGAN2: DataSet

    def check(self, key):
        for name, data_set in vars(self).items():
            one_of(f"{key}.{name}.layout", data_set.layout, data_set.layouts)


@dataclass(frozen=True)
class Scenes:
    """Sets whose folders may be missing."""

    bedroom: DataSet
    church: DataSet

    check = TestSets.check


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
class Pel:
    backbone: str
    pretrained: bool
    stride: int
    frequency_start: str
    epochs: int
    warmup_epochs: int
    decay_at: list[float]
    batch_size: int
    learning_rate: float
    weight_decay: float
    workers: int

    def check(self, key):
        one_of(f"{key}.frequency_start", self.frequency_start, ("pretrained", "random"))
        self.check_decay(key)

    def check_decay(self, key):
        if not all(0 < share < 1 for share in self.decay_at):
            raise ParamsError(f"{key}.decay_at: {self.decay_at} are not shares of the epochs, between 0 and 1")


@dataclass(frozen=True)
class Training:
    epochs: int
    warmup_epochs: int
    decay_at: list[float]
    batch_size: int
    learning_rate: float
    weight_decay: float
    workers: int

    check = Pel.check_decay


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
        one_of(f"{key}.compression", self.compression, ("raw", "c23", "c40"))
        self.training.check(f"{key}.training")
        if self.size % 32:
            raise ParamsError(f"{key}.size: {self.size} is not a multiple of 32, by which the networks shrink a face")


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


@dataclass(frozen=True)
class Params:
    """All of params.yaml at one scale."""

    scale: str
    seed: int
    data: Data
    faces: Faces
    re_synthesizer: ReSynthesizer
    residual_detectors: ResidualDetectors
    end_to_end: EndToEnd
    spectrum_detectors: SpectrumDetectors
    test_sets: TestSets
    scenes: Scenes
    pel: Pel
    forgery_detectors: ForgeryDetectors
    ablations: Ablations
    generators: Generators
    finetuning: Finetune
    translation: Translation
    more_fakes: MoreFakes


def one_of(key, value, allowed):
    """Raise ParamsError unless `value` is one of `allowed`."""
    if value not in allowed:
        near = difflib.get_close_matches(str(value), [str(a) for a in allowed], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ParamsError(f"{key}: {value!r} is not one of {', '.join(map(str, allowed))}{hint}")


def load(scale=None, file=None):
    """Read and check params.yaml.

    scale: smoke, bundled or paper; None takes the environment variable DEEPFAKE_SCALE, else the file's own `scale`.
    file: another file than the repository's params.yaml (also: the environment variable DEEPFAKE_PARAMS).
    Raises ParamsError with one line that names the key.
    """
    file = paths.resolve(file or paths.PARAMS)
    try:
        raw = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{file}: no such file; give the path of a params.yaml") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise ParamsError(
            f"{paths.show(file)}: not valid YAML{f' in line {where.line + 1}' if where else ''}"
        ) from None
    if not isinstance(raw, dict):
        raise ParamsError(f"{paths.show(file)}: holds no keys; copy the repository's params.yaml")
    scale = scale or os.environ.get("DEEPFAKE_SCALE") or raw.get("scale")
    one_of("scale", scale, SCALES)
    # All scales are checked, so that a typo in the paper's numbers does not wait for the GPU box.
    checked = {name: _build(Params, _at_scale(raw, name), "") for name in SCALES}
    params = checked[scale]
    for section in dataclasses.fields(Params):
        value = getattr(params, section.name)
        if hasattr(value, "check"):
            value.check(section.name)
    return params


def _at_scale(raw, scale):
    merged = {**raw, "scale": scale}
    for name, section in raw.items():
        if not isinstance(section, dict):
            continue
        overrides = {s: section.get(s, {}) for s in SCALES if s in section}
        for s, values in overrides.items():
            unknown = set(values) - set(section) if isinstance(values, dict) else {""}
            if unknown:
                raise ParamsError(f"{name}.{s}.{min(unknown)}: unknown key; overrides name keys of section {name}")
        base = {key: value for key, value in section.items() if key not in overrides}
        merged[name] = {**base, **overrides.get(scale, {})}
    return merged


def _build(kind, raw, prefix):
    """Make a dataclass (or a checked plain value) of `raw`; `prefix` is the key it stands under."""
    if dataclasses.is_dataclass(kind):
        if not isinstance(raw, dict):
            raise ParamsError(f"{prefix}: needs a section of keys, has {raw!r}")
        types = typing.get_type_hints(kind)
        fields = {f.name: f for f in dataclasses.fields(kind)}
        dot = f"{prefix}." if prefix else ""
        for key in raw:
            if key not in fields:
                near = difflib.get_close_matches(str(key), fields, 1)
                hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(fields)}"
                raise ParamsError(f"{dot}{key}: unknown key; {hint}")
        for name, f in fields.items():
            required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            if required and name not in raw:
                raise ParamsError(f"{dot}{name}: missing; the repository's params.yaml has it")
        return kind(**{key: _build(types[key], value, f"{dot}{key}") for key, value in raw.items()})
    if typing.get_origin(kind) is list:
        if not isinstance(raw, list):
            raise ParamsError(f"{prefix}: needs a list, has {raw!r}")
        return [_build(typing.get_args(kind)[0], value, f"{prefix}[{i}]") for i, value in enumerate(raw)]
    if kind is float and type(raw) is int:
        return float(raw)
    if type(raw) is not kind:
        raise ParamsError(f"{prefix}: needs {kind.__name__}, has {raw!r}")
    return raw


if __name__ == "__main__":
    try:
        params = load()
    except ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
    print(f"params.yaml is valid (scale: {params.scale}).")
