import dataclasses
import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
import pytest
import yaml

from lib import detectors, paths, preflight
from lib.params import DataSet, ParamsError, read
from lib.pel import ablations
from lib.rehearsal import costs, cpu, networks, stages
from lib.rehearsal.counting import Work

WORK = Work(np.full(3, 1e12), np.full(3, 1e9), np.zeros(3, int), 1, 1e8, 3e8, 1e9, 1e8, 8)


@pytest.fixture(scope="module")
def paper():
    return read("paper")


@pytest.fixture(scope="module")
def works(paper):
    patch = dataclasses.replace(WORK, flops=WORK.flops / 1e3, bytes=WORK.bytes / 1e3, image=1e6, scored=1e6)
    return {**dict.fromkeys(networks.networks(paper), WORK), networks.RDN_KEY: patch}


def of(table, stage):
    return table.set_index("stage").loc[stage]


def test_every_stage_of_the_pipeline_has_its_costs(paper, works):
    named = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())["stages"]
    assert costs.table(paper, works=works)["stage"].tolist() == list(named)


def test_no_training_is_forgotten(paper, works):
    table, bts = costs.table(paper, works=works), len(detectors.names("bts"))
    faces, scenes = 2 * bts + len(stages.SHOWN), 2 * (bts + 3)
    assert of(table, "bts_detectors")["trainings"] == faces + scenes
    assert of(table, "pel_detectors")["trainings"] == 3 * len(detectors.names("pel"))  # FF++ HQ and LQ, WildDeepfake
    assert of(table, "ablation_rows")["trainings"] == len(ablations.ROWS)
    assert of(table, "re_synthesizers")["trainings"] == 3


def test_pel_sees_as_many_images_as_its_paper(paper, works):
    found = costs.rows(paper, works=works).set_index("what")
    assert found.loc["PEL on FF++(HQ)", "images"] == 30 * 2 * 720 * 50  # epochs, as many fakes as originals, frames
    assert found.loc["PEL on FF++(HQ), FF++(HQ)", "scored"] == 5 * 140 * 50
    assert found.loc["SR against ProGAN", "steps"] == 20 * 50_000 / 10


def test_twice_the_images_take_twice_the_hours(paper, works):
    every = paper.replace(re_synthesizer=paper.re_synthesizer.replace(validate_on=0))
    generated = paper.data.generated.replace(counts=[50_000, 5_000, 5_000])
    larger = every.replace(data=paper.data.replace(generated=generated))
    before, after = (costs.table(each, works=works) for each in (every, larger))
    for column in ("hours, 1 GPU", "hours, 8 GPUs", "GPU busy h", "core-hours"):
        for stage in ("re_synthesizers", "residual_detectors", "start_here"):
            assert of(after, stage)[column] == pytest.approx(2 * of(before, stage)[column], rel=0.01)


def test_several_gpus_share_trainings_and_not_scores(paper, works):
    found = costs.rows(paper, works=works).set_index("what").loc
    hours = ["hours, 1 GPU", "hours, 8 GPUs"]
    one, eight = found["PEL on FF++(HQ)", hours]
    assert eight == pytest.approx(one / 8)
    one, eight = found["PEL on FF++(HQ), DFDC", hours]
    assert eight == one


def test_batch_that_no_gpu_holds_fails_with_the_batch_that_does(paper, works):
    assert set(costs.table(paper, works=works)["verdict"]) == {"fits"}
    training = paper.pel.training.replace(batch_size=200)
    verdict = of(costs.table(paper.replace(pel=paper.pel.replace(training=training)), works=works), "pel_detectors")
    assert verdict["verdict"] == "GPU: 187 of 75 GiB (MesoNet on FF++(HQ), batch 200; 79 fit)"


def test_a_batch_size_is_judged_by_the_network_that_takes_most(paper, works):
    large = dataclasses.replace(WORK, image=3e9)
    found = costs.memory(paper, {**works, "Multi-Att": large, "ablations/nlm3": large}).set_index("trained")
    assert found["network"].to_dict() == {
        "re_synthesizer.batch_size": networks.RDN_KEY, "residual_detectors.batch_size": "Image",
        "pel.training.batch_size": "Multi-Att", "ablations.training.batch_size": "nlm3",
    }  # fmt: skip
    assert found.loc["pel.training.batch_size", ["fixed", "image"]].tolist() == [3e8 / 2**20, 3e9 / 2**20]
    kept = pd.read_csv(preflight.MEMORY).set_index("trained")
    assert kept["made_of"].equals(found["made_of"]), "run `python -m lib.rehearsal.costs`"


def test_too_little_disk_and_memory_fail(paper, works):
    larger = paper.replace(faces=paper.faces.replace(size=1600))
    assert of(costs.table(larger, works=works), "real_and_forged_faces")["verdict"].startswith("disk: ")
    many = paper.replace(re_synthesizer=paper.re_synthesizer.replace(workers=200))
    assert of(costs.table(many, works=works), "re_synthesizers")["verdict"].startswith("RAM: ")


def test_set_without_official_counts_is_named(paper, works):
    data = paper.data.replace(cross_forged=[DataSet(layout="folders", root="")])
    with pytest.raises(ParamsError, match="layout folders"):
        costs.table(paper.replace(data=data), works=works)


def test_every_official_count_has_a_source():
    table = stages.official()
    assert table["source"].str.len().gt(5).all()
    assert table.loc["FaceForensics++"][["real", "fake"]].sum().tolist() == [1000, 4000]
    assert table.loc["WildDeepfake"][["real", "fake"]].sum(axis=1).tolist() == [6508, 806]


def test_network_of_one_shape_is_counted_once_and_without_weights(paper):
    made = {key: networks.made_of(paper, key, entry) for key, entry in networks.networks(paper).items()}
    assert not any(options.get("pretrained") for _, options, _ in made.values())
    shapes = networks.shapes(paper)
    assert ["SR", "SR+C", "SR+D"] in shapes
    assert ["PEL", "ablations/pel"] in shapes
    assert ["SR-stages"] in shapes


def test_networks_are_counted_as_they_are_trained():
    one = functools.partial(networks.count_one, read("smoke"))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:  # constants here are real
        works = list(pool.map(one, ["Image", "MesoNet", networks.RDN_KEY]))
    for work in works:
        assert work.total_flops() > 1.5 * work.total_flops(training=False) > 0
        assert work.image > 0 < work.scored


def test_measured_table_has_a_time_for_each_item():
    table = pd.read_csv(cpu.FILE)
    assert table["seconds"].gt(0).all()
    assert table["machine"].nunique() == 1


def test_numbers_are_shown_with_two_digits():
    text = costs.shown(pd.DataFrame({"a": [56_789_012.0, 0.01234, 9.87], "b": ["fits"] * 3}))
    assert text["a"].tolist() == ["57,000,000", "0.012", "9.9"]
