"""lib.real: each task reads the samples that a user names, keeps scores alone, and says which folder is missing."""

import numpy as np
import pytest
import yaml

from lib import params, paths, real
from lib.data.image import write_png


@pytest.fixture
def samples(tmp_path, monkeypatch):
    """A folder of tiny samples, and the commands that a task starts, which are not run."""
    for name in ("ffpp_faces_128", "dfdc_faces_224", "ffhq_stylegan_256_q95"):
        for kind in ("real", "fake"):
            write_png(tmp_path / "samples" / name / kind / "000" / "1.png", np.zeros((256, 256, 3), np.uint8))
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path)
    started = []

    class Ended:
        returncode = 0

    monkeypatch.setattr(real.subprocess, "run", lambda words, env, cwd: started.append((words[1:], env)) or Ended)
    return tmp_path / "samples", started


@pytest.mark.parametrize("name", real.TASKS)
def test_the_settings_of_a_task_are_valid_and_name_its_samples(samples, name):
    folder, started = samples
    real.main([str(folder), name])
    settings = params.load(file=started[0][1]["DEEPFAKE_PARAMS"])
    used = settings.data.generated if name == "generated" else settings.data.forged
    assert settings.scale == "bundled" and used.root.startswith(str(folder))
    assert all(env["DEEPFAKE_OUTPUTS"].endswith(f".real/{name}") for _, env in started)


def test_a_task_trains_each_of_its_seeds_once_and_keeps_the_scores_apart_from_those_of_the_bundled_faces(samples):
    folder, started = samples
    real.main([str(folder), "forged"])
    kept = ["--kept", str(real.KEPT / "forged")]
    assert [words for words, _ in started] == [
        ["-m", "lib.seeds", *"01234", "--family", "pel", *kept, "--only", "PEL", "RGB"],
        ["-m", "lib.seeds", *"01234", "--family", "pel", *kept, "--only", "SBI", "PEL+residual"],
        ["-m", "lib.seeds", *"012", "--family", "pel", *kept],
    ]
    started.clear()
    real.main([str(folder), "generated", "--seeds", "0"])
    kept = ["--kept", str(real.KEPT / "generated")]
    assert [words for words, _ in started] == [
        ["-m", "lib.bts.wiped"], ["-m", "lib.seeds", "0", "--family", "bts", *kept],
    ]  # fmt: skip


def test_published_weights_are_scored_where_they_lie_beside_the_samples(samples, monkeypatch):
    folder, started = samples
    monkeypatch.setattr(real, "KEPT", folder / "kept")
    (folder / real.OFFICIAL).mkdir(parents=True)
    file = folder / real.OFFICIAL / "Meso4_DF.h5"
    file.touch()
    scores = folder.parent / ".real/dfdc/results/scores/official/Meso4_DF.csv"
    scores.parent.mkdir(parents=True)
    scores.write_text("# key\ntest,label,score\nDFDC,1,0.123456\n")
    real.main([str(folder), "dfdc"])
    assert started[-1][0] == ["-m", "lib.rivals.meso_official", "--score", str(file)]
    (kept,) = real.seeds.read("official/Meso4_DF", folder / "kept" / "dfdc").items()
    assert (kept[0], kept[1]["score"].tolist()) == (0, [0.1235])


def test_a_sample_that_is_not_there_is_one_line_before_anything_is_trained(samples):
    folder, started = samples
    (folder / "dfdc_faces_224").rename(folder / "dfdc")
    with pytest.raises(SystemExit, match="dfdc_faces_224: no such folder; task forged needs it"):
        real.main([str(folder), "forged"])
    assert not started


def test_only_what_a_task_names_differs_from_params_yaml(samples):
    folder, _ = samples
    file = real.write(real.TASKS["forged"], folder, folder / "out")
    raw, ours = yaml.safe_load(paths.PARAMS.read_text()), yaml.safe_load(file.read_text())
    assert {key for key in raw if raw[key] != ours[key]} <= {"data", "faces", "pel_detectors"}
    assert ours["pel"] == raw["pel"] and ours["faces"]["margin"] == raw["faces"]["margin"]
