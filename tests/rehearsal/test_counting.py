import copy

import pytest
import torch
from torch import nn

from lib.backbones.efficientnet import create_efficientnet
from lib.rehearsal.counting import Gpu, count


def summed(model, batch):
    return model(batch["rgb"]).float().sum()


def test_work_of_a_small_network_is_that_by_hand():
    model = nn.Sequential(nn.Conv2d(4, 8, 3, bias=False), nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.Flatten(),
                          nn.Linear(8 * 4 * 4, 10, bias=False))  # fmt: skip
    work = count(model, summed, {"rgb": torch.empty(2, 4, 8, 8)})
    dense, depthwise, linear = 2 * 8 * 36 * 4 * 9, 2 * 8 * 16 * 9, 2 * 128 * 10
    assert work.total_flops(training=False) == dense + depthwise + linear
    # The first layer needs no gradient of its input: a forward and one backward pass, where the others have two.
    assert work.total_flops() == 2 * dense + 3 * depthwise + 3 * linear
    weights = 4 * sum(p.numel() for p in model.parameters())
    assert (work.weights, work.fixed) == (weights, 3 * weights)


def test_efficientnet_b4_has_the_published_flops():
    work = count(create_efficientnet("tf_efficientnet_b4.ap_in1k", pretrained=False), summed,
                 {"rgb": torch.empty(2, 3, 320, 320)})  # fmt: skip
    published = 2 * 4.2e9 * (320 / 380) ** 2  # Tan and Le, ICML 2019: 4.2 billion multiplications and additions
    assert work.total_flops(training=False) == pytest.approx(published, rel=0.05)
    assert work.total_flops() == pytest.approx(3 * published, rel=0.05)


def test_batch_takes_memory_by_its_images():
    layers = [nn.Conv2d(16, 16, 3, padding=1) for _ in range(6)]
    small, large = (count(nn.Sequential(*copy.deepcopy(layers)), summed, {"rgb": torch.empty(n, 16, 64, 64)})
                    for n in (4, 8))  # fmt: skip
    assert small.image == pytest.approx(large.image, rel=0.05)
    assert 6 * 2 * 16 * 64**2 < small.image < 12 * 2 * 16 * 64**2  # each map once in bfloat16, and little beside


def test_step_is_never_faster_than_its_operators_can_start():
    work = count(nn.Linear(4, 4), summed, {"rgb": torch.empty(2, 4)})
    assert work.seconds(Gpu(), 1) == pytest.approx(len(work.flops) * Gpu().launch)
    slow = Gpu(utilisation=1e-9)
    assert work.seconds(slow, 2) == pytest.approx(2 * work.seconds(slow, 1))
