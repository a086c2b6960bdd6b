"""params.yaml, read and checked: an unknown key, a wrong type or a missing path fails before anything is computed."""

import dataclasses
import os
from dataclasses import dataclass

import yaml

from lib import paths
from lib.params.build import ParamsError, build, one_of
from lib.params.data import Data, DataSet, Faces, Scenes, TestSets
from lib.params.generators import Finetune, Generators, LearningRates, MoreFakes, Translation
from lib.params.pel import Ablations, ForgeryDetectors, Pel, Training
from lib.params.spectrum import Curves, EndToEnd, ResidualDetectors, ReSynthesizer, SpectrumDetectors

__all__ = [
    "SCALES", "Ablations", "Curves", "Data", "DataSet", "EndToEnd", "Faces", "Finetune", "ForgeryDetectors",
    "Generators", "LearningRates", "MoreFakes", "Params", "ParamsError", "Pel", "ReSynthesizer", "ResidualDetectors",
    "Scenes", "SpectrumDetectors", "TestSets", "Training", "Translation", "load", "one_of",
]  # fmt: skip

SCALES = ("smoke", "bundled", "paper")


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
    checked = {name: build(Params, _at_scale(raw, name), "") for name in SCALES}
    for params in checked.values():
        for section in dataclasses.fields(Params):
            value = getattr(params, section.name)
            if hasattr(value, "check"):
                value.check(section.name)
    return checked[scale]


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
