import torch

from lib import benchmark


def test_networks_are_timed_against_their_plain_twins_on_any_machine():
    small = {"num_features": 8, "growth_rate": 8, "num_blocks": 1, "num_layers": 1}
    eager = benchmark._measure({"eager": lambda: torch.ones(9).sum(), "ours": lambda: None}, 4, torch.device("cpu"), 2)
    assert eager["variant"].tolist() == ["eager", "ours"] and eager.loc[0, "times as fast"] == 1
    with torch.compiler.set_stance("force_eager"):
        rdn = benchmark.rdn_inference(torch.device("cpu"), small, 16, 1)
        pel = benchmark.pel_training(torch.device("cpu"), "tf_efficientnet_lite0", 32, 2, 1)
    assert len(rdn) == 4 and len(pel) == 4 and (pel["images/s"] > 0).all()
