"""The settings of the rehearsal: params.yaml at scale paper, with fewer images and epochs, on stand-ins."""

import copy
import re

import yaml

from lib import paths
from lib.params import merge
from lib.rehearsal import stand_ins

ONE = {"counts": [1, 1, 1]}
FEW = {
    "data": {"generated": ONE},
    "faces": {"frames_per_video": 2, "workers": 1},
    "re_synthesizer": {"validate_on": 1, "epochs": 1, "workers": 1},
    # Paper: false, because its images do not fit; here it spares the many passes of one picture through the RDN.
    "residual_detectors": {"epochs": 1, "in_memory": True, "workers": 0},
    "joint_training": {"epochs": 1, "workers": 0},
    "bts_detectors": {
        "prnu_images": 1,
        "curve_images": 1,
        "curves": {"jpeg": [50], "blur": [], "noise": [], "crop": [], "resize": []},
    },
    "test_sets": {name: {"counts": [0, 0, 1]} for name in ("R", "A", "FFHQ", "StarGAN2")},
    "scenes": {name: {"counts": [4, 1, 1]} for name in ("bedroom", "church")},
    "pel": {"training": {"epochs": 1, "workers": 1}},
    "pel_detectors": {"limit": 4, "curve_images": 2},
    "ablations": {"frames_per_video": 1, "training": {"epochs": 1, "workers": 1}},
}
"""What differs from scale paper: {section: keys under `paper:`}."""


def write(folder):
    """Write params.yaml for stand-ins below a folder to folder/params.yaml, and return this path.

    The whole file of the repository with changed values under `paper:`; batches are as large as the data allow.
    """
    raw = copy.deepcopy(yaml.safe_load((paths.ROOT / "params.yaml").read_text()))
    for changes in (stand_ins.roots(folder / "stand_ins"), FEW):
        for section, keys in changes.items():
            raw[section]["paper"] = merge(raw[section]["paper"], keys)
    file = folder / "params.yaml"
    paths.replace(file, lambda temporary: temporary.write_text(yaml.safe_dump(raw)))
    return file


def command(stage, outputs):
    """Return the command of a stage of dvc.yaml as a list, with its notebook written to a folder of outputs."""
    words = stage["cmd"].split()
    return [str(outputs / word) if re.match("results/", word) else word for word in words]
