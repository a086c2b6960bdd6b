"""lib.pel.grid: the learning rates of the networks are chosen on validation people, the same few rates for all."""

import pandas as pd

from lib import detectors, params, paths
from lib.data import faces
from lib.pel import grid, train


def test_the_rate_with_the_best_validation_auc_is_chosen_for_each_network():
    rows = [("PEL", 0.001, 0.9), ("PEL", 0.0003, 0.95), ("MesoNet", 0.001, 0.6), ("MesoNet", 0.0003, 0.55)]
    table = grid.choose({"detector": name, "learning_rate": rate, "val_auc": auc} for name, rate, auc in rows)
    chosen = table[table["chosen"] == 1].set_index("detector")["learning_rate"].to_dict()
    assert chosen == {"PEL": 0.0003, "MesoNet": 0.001} and table["chosen"].sum() == 2


def test_an_attempt_sees_no_test_face_and_leaves_the_weights_of_the_tables_alone(face_settings):
    table = faces.prepare(face_settings.data.forged, face_settings.faces, face_settings.seed)
    given = {"faces": face_settings.faces, "pel": face_settings.pel, "pel_detectors": face_settings.pel_detectors}
    row = grid.attempt(("MesoNet", 0.002), table.query("split != 'test'"), seed=0, **given)
    assert row["learning_rate"] == 0.002 and 0 <= row["val_auc"] <= 1 and row["epochs"] == 1
    assert (paths.CHECKPOINTS / "pel_grid/MesoNet_0.002.safetensors").is_file()
    assert not (paths.CHECKPOINTS / "pel").exists()


def test_params_yaml_names_the_rates_that_the_grid_chose():
    table, settings = pd.read_csv(paths.ROOT / "results/tables/pel_grid.csv"), params.read("bundled")
    chosen = table[table["chosen"] == 1].set_index("detector")["learning_rate"].to_dict()
    found = {name: train.budget(name, settings.pel, settings.pel_detectors) for name in detectors.names("pel")}
    assert chosen == {name: budget.learning_rate for name, budget in found.items()}
    assert set(table["epochs"]) == {settings.pel.training.epochs} and set(table["learning_rate"]) == set(grid.RATES)
