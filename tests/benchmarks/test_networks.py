import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from lib.benchmarks import networks
from lib.pel import network


def test_networks_are_timed_against_their_plain_twins_on_any_machine():
    small = {"num_features": 8, "growth_rate": 8, "num_blocks": 1, "num_layers": 1}
    eager = networks._measure({"eager": lambda: torch.ones(9).sum(), "ours": lambda: None}, 4, torch.device("cpu"), 2)
    assert eager["variant"].tolist() == ["eager", "ours"] and eager.loc[0, "times as fast"] == 1
    with torch.compiler.set_stance("force_eager"):
        rdn = networks.rdn_inference(torch.device("cpu"), small, 16, 1)
        pel = networks.pel_training(torch.device("cpu"), "tf_efficientnet_lite0", 32, 2, 1)
    assert len(rdn) == 4 and len(pel) == 4 and (pel["images/s"] > 0).all()


def test_memory_is_parted_into_what_an_image_costs_and_what_any_batch_needs(monkeypatch):
    monkeypatch.setattr(networks, "ProcessPoolExecutor", lambda *args, **options: ThreadPoolExecutor(1))
    monkeypatch.setattr(networks, "_peak", lambda job: 100 + 30 * job[3] + (1000 + job[3] if job[4] else 0))
    table = networks.pel_memory("cpu", batches=(2, 4)).set_index("PEL")
    assert table.loc["training"].to_dict() == {"batch of 2": 1162, "batch of 4": 1224, "an image": 31, "fixed": 1100}
    assert table.loc["scoring"].to_dict() == {"batch of 2": 160, "batch of 4": 220, "an image": 30, "fixed": 100}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read where Linux has it")
def test_the_memory_of_a_training_holds_weights_gradients_averages_and_what_backward_needs():
    backbone, batch, kept = "tf_efficientnet_lite0", 4, {}
    model = network.PEL(backbone, pretrained=False).train()
    weights = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in model.parameters()}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.loss(model, {"rgb": torch.rand(batch, 3, 128, 128), "label": torch.ones(batch)})
    needed = 3 * sum(weights.values()) + sum(t.untyped_storage().nbytes() for p, t in kept.items() if p not in weights)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        peak = pool.submit(networks._peak, ("cpu", backbone, 128, batch, True)).result()
    assert 0.8 < peak * 2**20 / needed < 2
