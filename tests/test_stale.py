"""What must be trained again after an edit, and what must not: a table of edits against all trainings."""

import contextlib
import shutil

import pytest
import yaml

from lib import detectors, paths
from lib.bts import re_synthesis
from lib.bts.train import train as train_bts
from lib.pel import ablations
from lib.pel.sets import FaceSets
from lib.pel.train import train as train_pel
from lib.training import checkpoints, fit, staleness

STAGES = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())["stages"]
TRAININGS = {name for name, stage in STAGES.items() if "python -m" in stage["cmd"]}
RE_SYNTHESIZERS = {f"{name}_pixel" for name in re_synthesis.NAMES}
RESIDUAL = {"SR", "SR-stages", "SR+C", "SR+D"}
PEL = {"PEL", "RGB", "Freq", "row median5"}
RESNETS = {"Image", "FFT-2d", "DCT-2d", "GramNet"}
BTS = {"PRNU", "1D-Spectrum"} | RESNETS | RESIDUAL
FACES = PEL | {"MesoNet", "Xception", "Add-Net", "F3-Net", "Multi-Att"}
EVERYTHING = RE_SYNTHESIZERS | BTS | FACES
SCORED = {"bts_detectors", "pel_detectors", "ablation_rows", "cross_training"}

EDITS = {  # file, text, what takes its place: trainings that are stale, commands of dvc.yaml that run again
    "a C++ header": ("ops/median/noise_tiles.h", "#include <cstring>", "#include <cstring>\nint changed;", PEL,
                     {"more_fakes", *SCORED}),
    "the masks of Add-Net": ("rivals/add_net.py", "BLUR = ", "BLUR = 2 * ", {"Add-Net"}, SCORED),
    "the residuals": ("bts/residuals.py", "stage.cpu()", "stage.half().cpu()", RESIDUAL,
                      {"re_synthesizers", *SCORED}),
    "the loader": ("data/items.py", "/ 255", "/ 256", EVERYTHING, TRAININGS),
    "Xception's trunk": ("backbones/xception.py", "BLOCKS = (", "BLOCKS = (*(), ", {"Xception", "Add-Net", "F3-Net"},
                         {"re_synthesizers", *SCORED}),
    "the EfficientNets": ("backbones/efficientnet.py", "SHIPPED = ", "MORE = SHIPPED = ",
                          PEL | {"Multi-Att"} | RE_SYNTHESIZERS | RESIDUAL, {"re_synthesizers", *SCORED}),
    "the equalization": ("ops/equalization.py", "max_steps=", "max_steps=1 + ", set(),
                         {"more_fakes", "wiped_fakes", *SCORED}),
    "one rival": ("rivals/gram_net.py", "nn.Dropout(0.5)", "nn.Dropout(0.4)", {"GramNet"}, SCORED),
    "how videos are listed": ("data/video_sets.py", "METHODS = ", "MORE = METHODS = ", set(), TRAININGS),
    "the training loop": ("training/fit.py", "momentum=0.9", "momentum=0.8",
                          EVERYTHING - {"PRNU", "1D-Spectrum"}, TRAININGS - {"wiped_fakes"}),
    "words about a network": ("pel/network.py", "Eq. 7", "Equation 7", set(), SCORED),
    "a comment far away": ("fakes/forge/scene.py", '"""', '"""Once more: ', set(), {"more_fakes"}),
    "the colours of figures": ("figures.py", "REAL, FAKE = ", "FAKE, REAL = ", set(), set()),
    "a table of the paper": ("pel/tables.py", "import numpy as np", "import numpy", set(), set()),
    "the command line of a stage": ("pel/score.py", "also train on", "train on, too,", set(), {"pel_detectors"}),
}  # fmt: skip


class Recorded(Exception):
    """Ends a training as soon as it has said what it depends on."""


@pytest.fixture
def depends_on(gan_settings, gan_table, face_settings, tmp_path, monkeypatch):
    """A function that gives {training: what its key is made of} of all trainings, at a size of the images."""
    made_of, key = [], staleness.key
    monkeypatch.setattr(staleness, "key", lambda **what: made_of.append(what) or key(**what))

    def stop(name, key):
        raise Recorded

    monkeypatch.setattr(fit, "finished", stop)

    def record(train, *given, **named):
        made_of.clear()
        with contextlib.suppress(Recorded):
            train(*given, **named)
        return made_of[0]

    def collect(size):
        shared = gan_settings.re_synthesizer.replace(size=size)
        for name in re_synthesis.NAMES:
            phi = re_synthesis.RDN(**re_synthesis.rdn_options(shared))
            checkpoints.save(phi, checkpoints.file(f"re_synthesizer/{name}"), {})
        found = {f"{n}_pixel": record(re_synthesis.train, shared, gan_table, n, 0) for n in re_synthesis.NAMES}
        sections = {"re_synthesizer": shared, "bts_detectors": gan_settings.bts_detectors}
        for name in detectors.names("bts"):
            given = (name, gan_table, "ProGAN", size, gan_settings.residual_detectors, 0)
            found[name] = record(train_bts, *given, **sections)
        data, faces, few = face_settings.data, face_settings.faces, face_settings.pel_detectors
        table = FaceSets(data, faces, few, 0).table("own")
        entries = [detectors.entry(name) for name in detectors.names("pel")]
        for entry in (*entries, ablations.entry("median5")):
            options = (table, faces, face_settings.pel.training, 0, f"pel/{entry.name}")
            name = entry.name if entry in entries else f"row {entry.name}"
            found[name] = record(train_pel, entry, *options, pel=face_settings.pel, pel_detectors=few)
        return found

    return collect


def covers(dependency, file):
    return file == dependency or file.startswith(f"{dependency}/")


def test_an_edit_makes_stale_what_depends_on_it_and_nothing_else(depends_on, tmp_path, monkeypatch):
    trainings = depends_on(32)
    assert set(trainings) == EVERYTHING
    before = {name: staleness.key(**what) for name, what in trainings.items()}
    shutil.copytree(paths.ROOT / "lib", tmp_path / "copy/lib", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(staleness, "ROOT", tmp_path / "copy")
    assert {name: staleness.key(**what) for name, what in trainings.items()} == before, "the same code elsewhere"
    for edit, (name, old, new, stale, commands) in EDITS.items():
        file = tmp_path / "copy/lib" / name
        text = file.read_text()
        assert old in text, f"{edit}: {name} has changed, and so must this table"
        file.write_text(text.replace(old, new))
        changed = {name for name, what in trainings.items() if staleness.key(**what) != before[name]}
        file.write_text(text)
        assert changed == stale, edit
        run_again = {s for s in TRAININGS if any(covers(dep, f"lib/{name}") for dep in STAGES[s]["deps"])}
        assert run_again == commands, edit


def test_another_size_of_the_images_is_another_training_for_those_that_see_them_and_for_no_other(depends_on):
    before = {name: staleness.key(**what) for name, what in depends_on(32).items()}
    after = {name: staleness.key(**what) for name, what in depends_on(64).items()}
    assert {name for name in before if before[name] != after[name]} == RE_SYNTHESIZERS | BTS
    reading = {name for name in TRAININGS if "re_synthesizer" in STAGES[name]["params"]}
    assert reading == {"re_synthesizers", "wiped_fakes", "bts_detectors", "cross_training"}


def test_a_run_that_was_killed_finds_what_had_ended(face_settings, monkeypatch):
    data, few = face_settings.data, face_settings.pel_detectors
    table = FaceSets(data, face_settings.faces, few, 0).table("own")
    given = (detectors.entry("MesoNet"), table, face_settings.faces, face_settings.pel.training, 0, "pel/MesoNet")
    _, history = train_pel(*given, pel_detectors=few)
    monkeypatch.setattr(fit, "_optimizer", lambda *_: pytest.fail("trained again"))
    _, again = train_pel(*given, pel_detectors=few)
    assert again.equals(history)
