import pytest
import torch

from lib.rivals.spectrum_2d import FrequencyDetector


@pytest.mark.parametrize("kind", ["FFT-2d", "DCT-2d"])
def test_a_frequency_detector_gives_two_logits_and_a_probability(kind):
    model = FrequencyDetector(kind, 32, layers=(1, 1, 1, 1), width=2).eval()
    rgb = torch.rand(2, 3, 32, 32)
    assert model(rgb).shape == (2, 2)
    probability = model.fake_probability({"rgb": rgb})
    torch.testing.assert_close(probability, model(rgb).softmax(1)[:, 1])


def test_the_network_behind_the_spectrum_is_the_one_that_sees_pictures():
    model = FrequencyDetector("FFT-2d", 32)
    assert sum(p.numel() for p in model.parameters()) == 23_635_906


def test_another_kind_of_spectrum_is_named():
    with pytest.raises(ValueError, match="DCT2d.*FFT-2d, DCT-2d"):
        FrequencyDetector("DCT2d", 32)
