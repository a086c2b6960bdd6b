import pytest
import torch

from lib.bts import residuals
from lib.bts.residuals import remembered

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
WEIGHTS = torch.ones(2)


class Maker:
    """Two stages that depend on the weights and on which side of an image is left; knows how many images it saw."""

    def __init__(self, weights=WEIGHTS):
        self.weights, self.seen = weights, 0

    def compute(self, rgb):
        self.seen += len(rgb)
        return [self.weights[0] * rgb * torch.linspace(0, 1, 8), rgb[..., :2] + self.weights[1]]

    def __call__(self, rgb):
        return remembered(self.compute, rgb, self.weights)


def same(found, wanted):
    return all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


def test_what_is_remembered_is_what_would_be_computed_in_any_order_and_mirrored():
    maker, plain = Maker(), Maker()
    with residuals.keep():
        for rgb in (IMAGES[:2], IMAGES[[3, 0, 1]], IMAGES.flip(-1)[[1, 1]], IMAGES):
            for _ in range(2):
                assert same(maker(rgb), plain.compute(rgb))
    assert maker.seen == 5  # four images, and one of them mirrored


def test_detectors_with_the_same_weights_share_what_others_do_not_see():
    first, second, other = Maker(), Maker(WEIGHTS.clone()), Maker(2 * WEIGHTS)
    with residuals.keep():
        assert same(first(IMAGES), second(IMAGES))
        assert not same(first(IMAGES), other(IMAGES))
    assert (first.seen, second.seen, other.seen) == (4, 0, 4)


@pytest.mark.parametrize("wanted", [True, False])
def test_nothing_is_kept_outside_of_the_context_or_unwanted(wanted):
    maker = Maker()
    with residuals.keep(wanted):
        with residuals.keep(wanted):
            maker(IMAGES)
        maker(IMAGES)
    assert maker.seen == (4 if wanted else 8)
    maker(IMAGES)
    assert maker.seen == (8 if wanted else 12)


def test_more_images_than_the_memory_holds_are_computed_anew_and_stay_right(monkeypatch):
    maker = Maker()
    monkeypatch.setattr(residuals, "LIMIT", 2 * sum(stage[0].nbytes for stage in maker.compute(IMAGES)))
    maker.seen = 0
    with residuals.keep():
        for _ in range(2):
            assert same(maker(IMAGES), Maker().compute(IMAGES))
    assert maker.seen == 4 + 2


def test_what_scoring_has_kept_can_be_learned_from():
    head = torch.ones(1, requires_grad=True)
    maker = Maker()
    with residuals.keep():
        with torch.inference_mode():
            maker(IMAGES)
        (head * maker(IMAGES)[0] ** 2).sum().backward()
    assert head.grad > 0
