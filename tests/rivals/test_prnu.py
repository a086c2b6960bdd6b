import weakref

import numpy as np
import pandas as pd
import pytest
import pywt
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from lib import detectors
from lib.data.image import resize
from lib.rivals import prnu
from lib.training import checkpoints

DB4 = (0.23037781330885523, 0.7148465705525415, 0.6308807679295904, -0.02798376941698385,
       -0.18703481171888114, 0.030841381835986965, 0.032883011666982945, -0.010597401784997278)  # fmt: skip
LOW = np.array(DB4)
HIGH = LOW[::-1] * (-1) ** np.arange(8)


@pytest.fixture(scope="module")
def photograph():
    return resize(load_sample_image("china.jpg"), 72)


def split(x, axis):
    """One step of the wavelet transform along an axis: a mirrored border, two filters, every other value."""
    x = np.moveaxis(x, axis, -1)
    wide = np.concatenate([x[..., 6::-1], x, x[..., :-8:-1]], axis=-1)
    count = (x.shape[-1] + 7) // 2
    bands = [sum(taps[j] * wide[..., 1 + j : 1 + j + 2 * count : 2] for j in range(8)) for taps in (LOW, HIGH)]
    return [np.moveaxis(band, -1, axis) for band in bands]


def join(low, high, axis):
    low, high = (np.moveaxis(x, axis, -1) for x in (low, high))
    wide = np.zeros((*low.shape[:-1], 2 * low.shape[-1] + 6))
    for x, taps in ((low, LOW), (high, HIGH)):
        for j in range(8):
            wide[..., j : j + 2 * x.shape[-1] : 2] += taps[j] * x
    return np.moveaxis(wide[..., 6:-6], -1, axis)


def window_mean(x, size):
    """Mean over size x size, zeros outside, by cumulative sums."""
    for _ in range(2):
        padded = np.pad(x, ((size // 2 + 1, size // 2), (0, 0))).cumsum(0)
        x = ((padded[size:] - padded[:-size]) / size).T
    return x


def noise_part(x, variance):
    least = np.minimum.reduce([np.maximum(window_mean(x**2, size) - variance, 0) for size in (3, 5, 7, 9)])
    return x * variance / (least + variance)


def second_residual(image, levels, sigma):
    """The cleaned noise of an image, after the papers, in NumPy alone."""
    grey = np.zeros(image.shape[:2])
    for channel, weight in enumerate((0.29893602, 0.58704307, 0.11402090)):
        smooth, details = image[..., channel].astype(float), []
        for _ in range(levels):
            above, below = split(smooth, 0)
            smooth, *level = *split(above, 1), *split(below, 1)
            details.append([noise_part(band, sigma**2) for band in level])
        smooth = np.zeros_like(smooth)
        for level in details[::-1]:
            height, width = level[0].shape
            smooth = smooth[:height, :width]
            smooth = join(join(smooth, level[0], 1), join(level[1], level[2], 1), 0)
        grey += weight * smooth[: image.shape[0], : image.shape[1]]
    for y in range(2):
        for x in range(2):
            phase = grey[y::2, x::2] - grey[y::2, x::2].mean()
            grey[y::2, x::2] = phase - phase.mean(1)[:, None] - phase.mean(0)
    spectrum = np.fft.fft2(grey) / np.sqrt(grey.size)
    magnitude = np.abs(spectrum)
    cleaned = noise_part(magnitude, grey.var(ddof=1)) * np.exp(1j * np.angle(spectrum))
    return np.fft.ifft2(cleaned * np.sqrt(grey.size)).real


@pytest.mark.parametrize(("levels", "sigma"), [(3, 0.8), (2, 5.0)])
def test_the_noise_of_an_image_agrees_with_a_second_implementation(photograph, levels, sigma):
    ours = prnu.residual(photograph, levels, sigma)
    assert np.abs(ours).max() > 0.1
    np.testing.assert_allclose(ours, second_residual(photograph, levels, sigma), atol=1e-4)


def test_a_constant_image_has_no_noise():
    assert np.abs(prnu.residual(np.full((32, 32, 3), 77, np.uint8))).max() < 1e-9


def test_a_fingerprint_correlates_with_itself_by_one_and_with_its_negative_by_minus_one(photograph):
    pattern = prnu.fingerprints(photograph[None], ["camera"], [(4, 5.0)])[4, 5.0]["camera"]
    other = np.random.default_rng(0).standard_normal(pattern.shape)
    found = prnu.correlation([pattern, -pattern], [pattern, other])
    np.testing.assert_allclose(found[:, 0], [1, -1])
    assert np.abs(found[:, 1]).max() < 0.1


def test_a_fingerprint_is_the_likeliest_one_of_the_noise_of_its_images(photograph):
    images, setting = [photograph, photograph[::-1].copy(), photograph[:, ::-1].copy()], (2, 5.0)
    sums, weights = 0, 1
    for image in images:
        ((_, noise),) = prnu.noise_residuals(image, [setting])
        counted = prnu._intensity(image.astype(float)) * prnu._unsaturated(image)
        sums, weights = sums + noise * image / 255, weights + counted**2
    found = prnu.fingerprints(images, ["camera"] * 3, [setting])[setting]["camera"]
    np.testing.assert_allclose(found, prnu._clean(sums / weights @ np.array(prnu.GREY)), atol=1e-9)


def test_bright_pixels_count_and_saturated_ones_do_not():
    image = np.full((16, 16, 3), 100, np.uint8)
    image[4:8, 4:8] = 255
    image[12, 12] = 255  # alone: bright, not saturated
    kept = prnu._unsaturated(image)
    assert not kept[4:8, 4:8].any()
    assert kept[12, 12].all() and kept[0].all()
    np.testing.assert_allclose(prnu._intensity(np.array([126, 252, 255])), [0.5, 1, np.exp(-1.5)])


def sources(count=24, size=32, strength=12, seed=0):
    """Photographs without and generated images with a fixed pattern: uint8 (2 count, S, S, 3), source (2 count,)."""
    random = np.random.default_rng(seed)
    patterns = np.random.default_rng(9).standard_normal((2, size, size, 1))
    source = np.arange(2 * count) % 2
    smooth = np.stack([resize(random.integers(60, 190, (4, 4, 3), dtype=np.uint8), size) for _ in source])
    noisy = smooth + 4 * random.standard_normal(smooth.shape) + strength * patterns[source]
    return np.rint(noisy).clip(0, 255).astype(np.uint8), source


def test_fakes_are_told_by_the_fingerprint_of_their_generator():
    images, source = sources()
    held_out, truth = sources(seed=1)
    model = prnu.Prnu(32, ("CelebA-HQ", "ProGAN"), levels=2).fit(images, source)
    rgb = torch.from_numpy(held_out).permute(0, 3, 1, 2).float() / 255
    scores = model.fake_probability({"rgb": rgb})
    assert ((scores > 0.5).numpy() == truth).mean() > 0.95
    assert scores.min() >= 0 and scores.max() <= 1


def learn(model):
    """Let a Prnu learn from eight images a source, and choose by four others; returns its options and these four."""
    parts = []
    for count, seed in ((8, 0), (4, 1)):
        images, source = sources(count, seed=seed)
        rgb = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        table = pd.DataFrame({"label": source, "method": np.where(source, "ProGAN", "CelebA-HQ")})
        parts += [[{"rgb": image} for image in rgb], table]
    return {"size": 32, **model.learn(*parts, levels=(1, 2), sigmas=(0.5, 5.0))}, rgb


def test_of_levels_and_sigma_those_are_taken_that_tell_held_out_images_apart(monkeypatch):
    whole = prnu.fingerprints
    useful = lambda setting, prints: {name: part * (setting == (2, 5.0)) for name, part in prints.items()}
    useless = lambda *given: {setting: useful(setting, prints) for setting, prints in whole(*given).items()}
    monkeypatch.setattr(prnu, "fingerprints", useless)
    options, _ = learn(prnu.Prnu(32))
    assert (options["levels"], options["sigma"]) == (2, 5.0)


def test_what_it_chose_travels_with_the_weights(tmp_path):
    model = prnu.Prnu(32)
    options, rgb = learn(model)
    assert options["sources"] == ["CelebA-HQ", "ProGAN"]
    checkpoints.save(model, tmp_path / "prnu.safetensors", {"detector": "PRNU", "options": options})
    restored = detectors.restore(*checkpoints.load(tmp_path / "prnu.safetensors"))
    batch = {"rgb": rgb}
    assert torch.equal(restored.fake_probability(batch), model.fake_probability(batch))
    assert (restored.levels, restored.sigma) == (model.levels, model.sigma)


def streamed(count, size=32):
    """Images of two sources as items that are made when they are asked for, their table, and how many live at most."""
    images, source = sources(count, size)
    alive, most = weakref.WeakSet(), [0]

    class Items:
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            rgb = torch.from_numpy(images[index]).permute(2, 0, 1).float() / 255
            alive.add(rgb)
            most[0] = max(most[0], len(alive))
            return {"rgb": rgb}

    return Items(), pd.DataFrame({"label": source, "method": np.where(source, "ProGAN", "CelebA-HQ")}), most


def test_fifty_thousand_photographs_do_not_have_to_fit_into_memory():
    items, table, most = streamed(count=12)
    prnu.Prnu(32).learn(items, table, items, table, levels=(1, 2), sigmas=(0.5, 5.0))
    assert most[0] <= 2 * torch.get_num_threads()


def test_all_levels_and_sigmas_share_one_decomposition_and_give_what_each_gives_alone(photograph, monkeypatch):
    settings, calls, whole = [(levels, sigma) for levels in (1, 2, 3) for sigma in (0.5, 5.0)], [], pywt.wavedec2
    alone = dict(pair for setting in settings for pair in prnu.noise_residuals(photograph, [setting]))
    monkeypatch.setattr(pywt, "wavedec2", lambda *given, **named: calls.append(0) or whole(*given, **named))
    together = dict(prnu.noise_residuals(photograph, settings))
    assert len(calls) == 1
    assert all(np.array_equal(alone[setting], together[setting]) for setting in settings)


def test_levels_and_sigma_are_chosen_on_a_sample_and_the_fingerprints_are_those_of_all_images(monkeypatch):
    items, table, _ = streamed(count=12)
    asked, whole = [], prnu.fingerprints
    monkeypatch.setattr(prnu, "fingerprints", lambda *given: asked.append(list(given[1])) or whole(*given))
    few, again = prnu.Prnu(32, chosen_on=3), prnu.Prnu(32, chosen_on=3)
    options = few.learn(items, table, items, table, levels=(1, 2), sigmas=(0.5, 5.0))
    assert [len(names) for names in asked] == [6, 24] and sorted(asked[0]) == ["CelebA-HQ"] * 3 + ["ProGAN"] * 3
    assert again.learn(items, table, items, table, levels=(1, 2), sigmas=(0.5, 5.0)) == options
    images, source = sources(12)
    alone = prnu.Prnu(32, options["sources"], options["levels"], options["sigma"]).fit(images, source)
    assert torch.equal(few.fingerprints, alone.fingerprints)


def test_the_number_of_threads_changes_no_digit():
    images, source = sources(6)
    one = prnu.Prnu(32).fit(images, source).fingerprints
    torch.set_num_threads(3)
    try:
        assert torch.equal(prnu.Prnu(32).fit(images, source).fingerprints, one)
    finally:
        torch.set_num_threads(1)


def test_a_source_without_images_is_named():
    images, source = sources(count=2)
    with pytest.raises(ValueError, match="no image of StyleGAN"):
        prnu.Prnu(32, ("CelebA-HQ", "ProGAN", "StyleGAN")).fit(images, source)


def test_noise_and_its_peak_are_those_that_the_published_program_tests_itself_with(outside):
    """github.com/polimi-ispl/prnu-python, test/test_prnu.py: its pictures, and the figures that it expects."""
    picture = np.asarray(Image.open(outside("prnu-python") / "test/data/prnu1.jpg"))
    whole = prnu.residual(picture[:1000, :800].astype(float))
    assert (whole[300:, 150:] ** 2).sum() == pytest.approx(666995.0, rel=1e-4)
    small = prnu.residual(picture[:500, :400].astype(float))
    cut = np.zeros_like(small)
    cut[: 500 - 5, : 400 - 8] = small[5:, 8:]
    found = np.fft.ifft2(np.conj(np.fft.fft2(cut)) * np.fft.fft2(small)).real
    peak = np.unravel_index(found.argmax(), found.shape)
    assert peak == (5, 8)
    floor = np.roll(found, (1 - peak[0], 1 - peak[1]), (0, 1))
    floor[:4, :4] = 0  # as far around the peak as theirs
    assert found[peak] ** 2 / (floor**2).mean() == pytest.approx(134611.58644973233, rel=1e-3)
