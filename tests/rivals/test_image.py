import torch

from lib.rivals.image import ImageDetector


def test_the_picture_itself_gives_a_probability_and_a_map_that_tells_places_apart():
    torch.manual_seed(0)
    model, rgb = ImageDetector([1] * 4, width=4).eval(), torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(model.fake_probability({"rgb": rgb}), model(rgb).softmax(1)[:, 1])
    heat = model.activation_maps(rgb)["image"]
    assert len(heat) == 2
    assert heat.flatten(1).std(1).min() > 0
