"""params.yaml, read and checked: an unknown key, a wrong type or a missing path fails before anything is computed.

`python -m lib.params` also says all that would stop a run (`lib.preflight`). The file itself says what each key means.
"""

import importlib
import os
from operator import attrgetter
from typing import Annotated, Literal, get_args

import yaml
from pydantic import Field

from lib import paths
from lib.data import roots
from lib.sections import Count, Natural, NotNegative, ParamsError, Positive, Share, build, one_of, section

SCALES = ("smoke", "bundled", "paper")
Block = Annotated[int, Field(ge=0, le=7)]  # of an EfficientNet: 0 is the stem, 1 .. 7 the MBConv stages
Backbone = Annotated[str, Field(pattern=r"\.|^tf_efficientnet_lite0$")]  # with a tag, except the one that is installed
Compression = Literal["raw", "c23", "c40"]
Layout = Literal["FaceForensics++", "WildDeepfake", "Celeb-DF-v2", "Celeb-DF-v2-all", "DeepfakeDetection", "DFDC",
                 "DFDC-40-49", "CelebA-HQ", "FFHQ", "folders"]  # fmt: skip
LAYOUTS = get_args(Layout)
BUDGET = {"epochs": Count, "batch_size": Count, "learning_rate": Positive, "workers": Natural}  # of any training


DataSet = section(
    "DataSet",
    lambda s: len(s.counts) not in (0, 3) and f"counts: needs 3 numbers (train, val, test), has {len(s.counts)}",
    layout=Layout, root=str, compression=(Compression, "c23"), size=(Natural, 0), resize=(bool, False),
    counts=(list[Natural], []),
)  # fmt: skip
Data = section(
    "Data",
    *(lambda s, key=key, other=other: getattr(s, key).size and f"{key}.size: {other} is its size; change that"
      for key, other in (("forged", "faces.size"), ("generated", "re_synthesizer.size"))),
    forged=DataSet, generated=DataSet, cross_forged=(list[DataSet], []), cross_generated=(list[DataSet], []),
)  # fmt: skip
Faces = section(
    "Faces", frames_per_video=Count, size=Count, margin=Positive, detector=Literal["mtcnn", "dsfd"], workers=Natural
)

# Beyond the Spectrum: the re-synthesizer, its detectors, and those that its tables compare.
ReSynthesizer = section(
    "ReSynthesizer",
    lambda s: len(s.stage_weights) != 6
    and f"stage_weights: needs 6 numbers (pixel, stage 1 .. 5), has {len(s.stage_weights)}",
    lambda s: (s.size % s.factor or s.patch > s.size)
    and f"size: {s.size} is not a multiple of factor {s.factor}, or smaller than patch",
    lambda s: s.patch % s.factor and f"patch: {s.patch} is not a multiple of factor {s.factor}",
    size=Count, limit=Natural, validate_on=Natural, num_features=Count, growth_rate=Count, num_blocks=Count,
    num_layers=Count, factor=Count, perceptual=Literal["efficientnet_lite0", "vgg19"], patch=Count, weights=str,
    loss=Literal["paper", "released"], stage_weights=list[NotNegative], pixel_epochs=Natural,
    pixel_learning_rate=Positive, **BUDGET,
)  # fmt: skip
ResidualDetectors = section(
    "ResidualDetectors",
    lambda s: not (s.stages and set(s.stages) <= set(range(6)))
    and f"stages: {s.stages} are not among 0 (pixel) and 1 .. 5 (perceptual stages)",
    lambda s: len(s.stages) != len(s.stage_weights)
    and f"stage_weights: needs one number for each of the {len(s.stages)} stages",
    stages=list[int], stage_weights=list[NotNegative], width=Count, layers=list[Count], in_memory=bool,
    weight_decay=NotNegative, **BUDGET,
)  # fmt: skip
JointTraining = section(
    "JointTraining", task=Literal["", "C", "D"], optimizer=Literal["adam", "sgd"], detector_learning_rate=Positive,
    weight_decay=NotNegative, checkpoint=bool, **BUDGET,
)  # fmt: skip
Curves = section("Curves", jpeg=list[Annotated[Count, Field(le=100)]], blur=list[Count], noise=list[Positive],
                 crop=list[Share], resize=list[Share])  # fmt: skip
BtsDetectors = section("BtsDetectors", sources=list[str], gram_width=Count, gram_pretrained=bool, prnu_images=Natural,
                       svm_images=Natural, curve_images=Count, curves=Curves)  # fmt: skip
TestSets = section("TestSets", R=DataSet, A=DataSet, FFHQ=DataSet, StarGAN2=DataSet)  # folders that may be missing
Scenes = section("Scenes", bedroom=DataSet, church=DataSet)

# PEL, the networks that its tables compare, and its ablations; all trained with the same kind of budget.
Training = section("Training", warmup_epochs=Natural, decay_at=list[Share], weight_decay=NotNegative,
                   augment=Annotated[float, Field(ge=0, le=1)], **BUDGET)  # fmt: skip
TrainedOn = Literal["FF++(HQ)", "FF++(LQ)", "WildDeepfake"]
Pel = section(
    "Pel", backbone=Backbone, pretrained=bool, stride=Count, frequency_start=Literal["pretrained", "random"],
    literal_init=bool, noise_after=list[Block], enhance_after=list[Block], training=Training,
)  # fmt: skip
PelDetectors = section(
    "PelDetectors",
    lambda s: s.pretrained and s.width != 1 and f"width: ImageNet weights exist for width 1, not {s.width}",
    train_on=list[TrainedOn], seeds_train_on=list[TrainedOn], width=Annotated[float, Field(gt=0, le=1)],
    pretrained=bool, attention_backbone=Backbone, attention_maps=Count, texture_stage=Natural, limit=Natural,
    curve_images=Natural, learning_rates=dict[str, Positive],
)  # fmt: skip
Ablations = section(
    "Ablations",
    lambda s: s.size % 32 and f"size: {s.size} is not a multiple of 32, by which the networks shrink a face",
    compression=Compression, size=Count, frames_per_video=Count, rows=list[str], training=Training,
)  # fmt: skip

# The generators of the bundled images, and what is made with them.
LearningRates = section("LearningRates", progan=list[Positive], stylegan=list[Positive])
Generators = section(
    "Generators",
    *(lambda s, key=key: len(attrgetter(key)(s)) != len(s.widths)
      and f"{key}: needs one number for each of the {len(s.widths)} widths"
      for key in ("thousands", "learning_rates.progan", "learning_rates.stylegan")),
    photographs=(str, ""), colour=(bool, False), latent=Count, widths=list[Count], thousands=list[NotNegative],
    fade=NotNegative, average_thousands=Positive, batch_size=Count, learning_rates=LearningRates, penalty=NotNegative,
    penalty_interval=Count, report_every=Count,
)  # fmt: skip
Finetune = section(
    "Finetune",
    lambda s: s.alone >= s.thousands and f"alone: {s.alone} leaves the generator none of the {s.thousands} thousands",
    thousands=Positive, alone=NotNegative, weight=NotNegative, learning_rate=Positive, spectral_learning_rate=Positive,
    average_thousands=Positive, batch_size=Count, report_every=Count,
)  # fmt: skip
Translation = section(
    "Translation",
    lambda s: len(s.widths) < 2 and f"widths: needs one number a size, two at the least, has {s.widths}",
    photographs=(str, ""), colour=(bool, False), latent=Count, style=Count, widths=list[Count], thousands=Positive,
    batch_size=Count, learning_rate=Positive, mapping_learning_rate=Positive, penalty=NotNegative,
    penalty_interval=Count, style_weight=NotNegative, diversity_weight=NotNegative, cycle_weight=NotNegative,
    average_thousands=Positive, report_every=Count,
)  # fmt: skip
MoreFakes = section("MoreFakes", draws=Count, first_seed=Natural, weights=(str, ""), photographs=(str, ""))
Machine = section("Machine", threads=Natural)
Params = section(
    "Params", scale=Literal[SCALES], seed=Natural, training_seed=Natural, machine=Machine, data=Data, faces=Faces,
    pel=Pel, re_synthesizer=ReSynthesizer, residual_detectors=ResidualDetectors, joint_training=JointTraining,
    bts_detectors=BtsDetectors, test_sets=TestSets, scenes=Scenes, pel_detectors=PelDetectors, ablations=Ablations,
    generators=Generators, finetuning=Finetune, translation=Translation, more_fakes=MoreFakes,
)  # fmt: skip


def load(scale=None, file=None):
    """Return what `read` returns; raises ParamsError also if a folder is missing that a run at this scale needs.

    Sets without a root are left out of data.cross_forged and data.cross_generated.
    """
    params = read(scale, file)
    for wrong in roots.wrong(params):
        raise ParamsError(wrong)
    return params.replace(data=roots.named(params.data))


def read(scale=None, file=None):
    """Read and check params.yaml.

    scale: smoke, bundled or paper; None takes the environment variable DEEPFAKE_SCALE, else the file's own `scale`.
    file: another file than the repository's params.yaml (also: the environment variable DEEPFAKE_PARAMS). The variable
    DEEPFAKE_SEED takes the place of the file's training_seed.
    Raises ParamsError in one line that names the key.
    """
    file = paths.resolve(file or paths.PARAMS)
    try:
        raw = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{file}: no such file; give the path of a params.yaml") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ParamsError(f"{paths.show(file)}: not valid YAML{f' in line {mark.line + 1}' if mark else ''}") from None
    if not isinstance(raw, dict):
        raise ParamsError(f"{paths.show(file)}: holds no keys; copy the repository's params.yaml")
    scale = scale or os.environ.get("DEEPFAKE_SCALE") or raw.get("scale")
    one_of("scale", scale, SCALES)
    if seed := os.environ.get("DEEPFAKE_SEED"):
        raw["training_seed"] = int(seed) if seed.isdecimal() else seed
    # All scales are checked, so that a typo in the paper's numbers is not found only on the machine with the GPU.
    return {name: build(Params, _at_scale(raw, name)) for name in SCALES}[scale]


def _at_scale(raw, scale):
    merged = {**raw, "scale": scale}
    for name, keys in ((name, keys) for name, keys in raw.items() if isinstance(keys, dict)):
        base, changes = {key: value for key, value in keys.items() if key not in SCALES}, keys.get(scale, {})
        if not isinstance(changes, dict):
            raise ParamsError(f"{name}.{scale}: needs a section of keys, has {changes!r}")
        for unknown in sorted(set(changes) - set(base), key=str):
            raise ParamsError(f"{name}.{scale}.{unknown}: unknown key; overrides name keys of section {name}")
        merged[name] = merge(base, changes)
    return merged


def merge(base, changes):
    """Return a dict after the changes in another dict; nested dicts are merged key by key."""
    nested = isinstance(base, dict) and isinstance(changes, dict)
    return base | {key: merge(base.get(key), value) for key, value in changes.items()} if nested else changes


if __name__ == "__main__":
    try:
        given = read()
    except ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
    # By name: lib.preflight needs modules that need this one.
    if found := importlib.import_module("lib.preflight").problems(given):
        raise SystemExit("\n".join(f"params.yaml: {line}" for line in found))
    print(f"params.yaml is valid (scale: {given.scale}).")
