import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from lib import paths
from lib.data import image, layouts
from lib.fakes import orl
from lib.fakes.gan import images, layers, photographs, train
from lib.fakes.gan.stylegan import adain
from lib.fakes.gan.stylegan2 import ModulatedConv, ResidualDiscriminator
from lib.params import DataSet, Generators, LearningRates

SETTINGS = Generators(
    latent=8, widths=[8, 8, 8], thousands=[0.016, 0.016, 0.016], fade=0.008, average_thousands=1, batch_size=4,
    learning_rates=LearningRates(progan=[0.001] * 3, stylegan=[0.002] * 3), penalty=2.0, penalty_interval=2,
    report_every=16,
)  # fmt: skip
ALL = pytest.mark.parametrize("name", train.GENERATORS)
BOTH = pytest.mark.parametrize("name", ["progan", "stylegan"])


def network(name):
    torch.manual_seed(0)
    return train.build(name, SETTINGS.latent, SETTINGS.widths).eval().requires_grad_(False)


def seeded(call, *arguments):
    torch.manual_seed(1)
    return call(*arguments)


def test_stylegan2_always_draws_its_full_size_and_its_discriminator_reads_it():
    drawn = network("stylegan2")(torch.randn(4, SETTINGS.latent))
    assert drawn.shape == (4, 1, 16, 16)
    assert ResidualDiscriminator(SETTINGS.widths)(drawn).shape == (4,)


@BOTH
@pytest.mark.parametrize(("growth", "size"), [(0, 4), (0.5, 8), (1, 8), (1.01, 16), (2, 16), (None, 16)])
def test_generator_and_discriminator_agree_on_the_size_at_every_growth(name, growth, size):
    drawn = network(name)(torch.randn(4, SETTINGS.latent), growth)
    assert drawn.shape == (4, 1, size, size)
    assert layers.Discriminator(SETTINGS.widths)(drawn, growth).shape == (4,)


@BOTH
def test_a_new_size_comes_in_gently(name):
    generator, z = network(name), torch.randn(4, SETTINGS.latent)
    before = F.interpolate(seeded(generator, z, 1.0), scale_factor=2)
    just_after, later = seeded(generator, z, 1.001), seeded(generator, z, 1.9)
    assert (just_after - before).abs().max() < 0.05 < (later - before).abs().max()


def test_the_discriminator_hardly_notices_the_moment_a_new_size_comes_in():
    discriminator, coarse = layers.Discriminator(SETTINGS.widths), torch.rand(4, 1, 8, 8)
    fine = F.interpolate(coarse, scale_factor=2)
    assert torch.allclose(discriminator(fine, 1.0001), discriminator(coarse, 1.0), atol=0.01)


def test_a_growth_that_the_network_does_not_have_is_named():
    with pytest.raises(ValueError, match="growth: 3 is not between 0 and 2"):
        layers.level_and_fade(3, 3)


def test_the_schedule_fades_each_size_in_and_then_holds_it():
    growths = [train.growth_at(seen, [1, 2, 4], 0.5) for seen in (0, 999, 1250, 1500, 2999, 3250, 3500, 7000, 9999)]
    assert growths == [0, 0, 0.5, 1, 1, 1.5, 2, 2, 2]


def test_equalised_layers_keep_the_size_of_signals_whatever_their_width():
    torch.manual_seed(0)
    for width in (4, 256):
        x = torch.randn(64, width, 8, 8)
        convolved = layers.EqualConv(width, 32, 3, gain=1.0)(x)[:, :, 1:-1, 1:-1]
        mapped = layers.EqualLinear(width, 32, gain=1.0, rate=0.01)(x[:, :, 0, 0])
        assert 0.8 < convolved.std() < 1.2
        assert 0.7 < mapped.std() < 1.3


def test_pixel_norm_leaves_every_pixel_with_unit_mean_square():
    x = layers.pixel_norm(7 * torch.randn(2, 5, 3, 3))
    assert torch.allclose(x.square().mean(1), torch.ones(2, 3, 3), atol=1e-4)


def test_the_discriminator_sees_a_generator_that_always_draws_the_same():
    same = layers.minibatch_stddev(torch.rand(1, 3, 4, 4).expand(8, 3, 4, 4))
    varied = layers.minibatch_stddev(torch.rand(8, 3, 4, 4))
    assert same.shape == varied.shape == (8, 4, 4, 4)
    assert same[:, 3].max() < 1e-3 < 0.1 < varied[:, 3].min()


def test_adain_gives_each_map_the_mean_and_deviation_of_the_style():
    scale, bias = torch.randn(2, 2, 3, 1, 1)
    x = adain(5 + 3 * torch.randn(2, 3, 16, 16), scale, bias)
    assert torch.allclose(x.mean((2, 3)), bias[:, :, 0, 0], atol=1e-4)
    assert torch.allclose(x.std((2, 3), unbiased=False), (1 + scale).abs()[:, :, 0, 0], atol=1e-4)


def test_bilinear_doubling_is_the_blurred_upsampling_of_the_paper():
    x = torch.randn(1, 1, 6, 6)
    tent = torch.tensor([1.0, 2.0, 1.0]) / 4
    blurred = F.conv2d(F.interpolate(x, scale_factor=2), (tent[:, None] * tent).view(1, 1, 3, 3))
    bilinear = F.interpolate(x, scale_factor=2, mode="bilinear")
    assert torch.allclose(bilinear[:, :, 1:-1, 1:-1], blurred, atol=1e-6)


def test_style_mixing_takes_coarse_layers_from_one_face_and_fine_layers_from_another():
    generator = network("stylegan")
    first, second = torch.randn(2, 1, SETTINGS.latent)
    styles = generator.mix(first, second, 2)
    assert styles.shape == (1, generator.layers, SETTINGS.latent)
    assert (styles[:, :2] == first).all()
    assert (styles[:, 2:] == second).all()


def test_truncation_pulls_every_face_to_the_mean_face():
    generator = network("stylegan")
    generator.mean_style.normal_()
    w = torch.randn(3, SETTINGS.latent)
    assert torch.allclose(generator.truncate(w, 0.0), generator.mean_style.expand(3, -1))
    assert torch.allclose(generator.truncate(w, 1.0), w)


def test_scaling_inputs_and_outputs_is_scaling_and_demodulating_the_weights_of_each_image():
    torch.manual_seed(0)
    conv, x, w = ModulatedConv(3, 5, 3, 7), torch.randn(2, 3, 8, 8), torch.randn(2, 7)
    style = conv.style(w)
    for one, s, drawn in zip(x, style, conv(x, w), strict=True):
        weight = conv.weight * conv.scale * s[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        torch.testing.assert_close(drawn, F.conv2d(one[None], weight, padding=1)[0])


def test_demodulation_keeps_the_deviation_whatever_the_style():
    torch.manual_seed(0)
    conv, x, w = ModulatedConv(32, 32, 3, 7), torch.randn(4, 32, 16, 16), torch.randn(4, 7)
    small, large = conv(x, w), conv(x, 30 * w)
    assert 0.8 < small[..., 1:-1, 1:-1].std() < 1.2
    assert 0.8 < large[..., 1:-1, 1:-1].std() < 1.2


def test_the_image_of_stylegan2_is_the_sum_of_what_every_size_adds():
    generator, w = network("stylegan2"), torch.randn(2, 2 * len(SETTINGS.widths), SETTINGS.latent)
    whole = generator.synthesise(w)
    for to_image in generator.to_image[:-1]:
        to_image.conv.weight.zero_()
        to_image.bias.zero_()
    finest = generator.synthesise(w)
    assert not torch.allclose(whole, finest)
    for to_image in generator.to_image[-1:]:
        to_image.conv.weight.zero_()
    assert generator.synthesise(w).abs().max() == 0


def test_every_style_of_stylegan2_is_used():
    generator, w = network("stylegan2"), torch.randn(1, 2 * len(SETTINGS.widths), SETTINGS.latent).requires_grad_()
    generator.synthesise(w).square().sum().backward()
    assert w.shape[1] == generator.layers
    assert (w.grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
def test_without_variety_all_faces_are_the_mean_face(name):
    generator = network(name)
    alike = [generator.sample(1, torch.Generator().manual_seed(seed), psi=0.0) for seed in (1, 2)]
    varied = [generator.sample(1, torch.Generator().manual_seed(seed), psi=1.0) for seed in (1, 2)]
    assert torch.allclose(*alike, atol=1e-5)
    assert not torch.allclose(*varied, atol=1e-5)


def test_r1_is_the_squared_gradient():
    weight = torch.randn(1, 16, 16)
    penalty = train.r1(lambda x, growth: (x * weight).sum((1, 2, 3)), torch.rand(4, 1, 16, 16), None)
    assert torch.allclose(penalty, weight.square().sum())


def test_augmentation_moves_and_relights_but_lets_gradients_through():
    x = torch.rand(8, 1, 16, 16, requires_grad=True)
    torch.manual_seed(0)
    augmented = train.augment(x)
    assert augmented.shape == x.shape
    assert not torch.allclose(augmented, x)
    augmented.sum().backward()
    assert (x.grad.flatten(1).abs().sum(1) > 0).all()


def test_the_generators_never_see_a_person_of_val_or_test():
    seen = {picture.numpy().tobytes() for picture in photographs.of(SETTINGS, 32)}
    rest = {
        (np.float32(orl.photo_square(path, 32)) / 127.5 - 1).tobytes()
        for person, _, path in orl.orl_photographs()
        if person not in orl.people("train")
    }
    assert photographs.of(SETTINGS, 32, ("val", "test")).shape == (160, 1, 32, 32)
    assert len(seen) == 240
    assert len(rest) == 160
    assert not seen & rest


@ALL
def test_a_killed_training_ends_with_the_same_weights_as_an_unbroken_one(name, tmp_path, interrupted):
    unbroken = train.train(name, SETTINGS, 0, tmp_path / "unbroken")
    calls = interrupted(train.Training, "step", at=7)
    with pytest.raises(KeyboardInterrupt):
        train.train(name, SETTINGS, 0, tmp_path / "killed")
    resumed = train.train(name, SETTINGS, 0, tmp_path / "killed")
    assert len(calls) == 7 + 12 - 4  # resumed behind step 4, the last checkpoint before the kill
    for one, other in zip(unbroken.average.parameters(), resumed.average.parameters(), strict=True):
        assert torch.equal(one, other)
    drop = [{key: value for key, value in row.items() if key != "seconds"} for row in resumed.history]
    assert drop == [{key: value for key, value in row.items() if key != "seconds"} for row in unbroken.history]


def test_a_training_with_other_settings_is_not_taken_for_this_one(tmp_path):
    train.train("progan", SETTINGS, 0, tmp_path)
    with pytest.raises(ValueError, match="other settings"):
        train.train("progan", SETTINGS.replace(penalty=1.0), 0, tmp_path)


@pytest.mark.parametrize("name", ["stylegan", "stylegan2"])
def test_training_moves_both_networks(name):
    training = train.Training(name, SETTINGS, 0)
    training.seen = 40
    before = [p.clone() for n in (training.generator, training.discriminator) for p in n.parameters()]
    losses = training.step()
    after = [p for n in (training.generator, training.discriminator) for p in n.parameters()]
    assert all(np.isfinite(value) for value in losses.values())
    assert sum(not torch.equal(b, a) for b, a in zip(before, after, strict=True)) > 0.8 * len(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generators")
    for name in ("progan", "stylegan"):
        training = train.train(name, SETTINGS, 0, folder / name)
        train.export(name, training, folder / name, folder)
    return folder


@BOTH
def test_exported_weights_draw_the_faces_of_the_training(name, weights):
    loaded = images.load_generator(name, weights)
    assert (images.draw(loaded, [3, 5])[1] == images.draw(loaded, [5])[0]).all()
    assert not (images.draw(loaded, [3]) == images.draw(loaded, [5])).all()
    growth = image.read_image(weights / f"{name}.png")
    assert growth.shape[:2] == (3 * 16, train.SHEET[1] * 16)


def test_missing_weights_say_where_they_come_from(tmp_path):
    with pytest.raises(FileNotFoundError, match="dvc pull"):
        images.load_generator("progan", tmp_path)


def test_chosen_faces_give_themselves_away_by_neither_size_nor_brightness():
    random = np.random.default_rng(0)
    real = random.normal([10_000, 110], [800, 20], (100, 2))
    drawn = random.normal([10_900, 90], [900, 25], (2000, 2))
    chosen = images.alike(drawn, real)
    assert len(set(chosen)) == 100
    labels = np.repeat([0, 1], 100)
    for column in range(2):
        first = roc_auc_score(labels, np.r_[real[:, column], drawn[:100, column]])
        kept = roc_auc_score(labels, np.r_[real[:, column], drawn[chosen, column]])
        assert abs(first - 0.5) > 0.15
        assert abs(kept - 0.5) < 0.05


def test_the_image_set_is_read_by_the_loader_with_people_apart(weights, tmp_path):
    images.make(tmp_path / "set", weights, factor=1)
    table = layouts.images(DataSet(layout="CelebA-HQ", root=str(tmp_path / "set")))
    assert table.groupby("method").size().to_dict() == {"CelebA-HQ": 400, "ProGAN": 400, "StyleGAN": 400}
    assert table.groupby(["method", "split"]).size().unique().tolist() == [100, 240, 60]
    layouts.check_disjoint(table)


def test_a_set_of_other_people_holds_their_photographs_alone(weights, tmp_path):
    sources = {"StyleGAN-0.5": ("stylegan", {"psi": 0.5}), "StyleGAN": ("stylegan", {})}
    images.make(tmp_path / "set", weights, 1, sources=sources, real="FFHQ", people=["val"], split="test")
    table = layouts.images(DataSet(layout="FFHQ", root=str(tmp_path / "set")))
    assert table.groupby("method").size().to_dict() == {"FFHQ": 60, "StyleGAN": 60, "StyleGAN-0.5": 60}
    assert (table["split"] == "test").all()
    assert set(table.loc[table["label"] == 0, "identity"]) == {f"FFHQ/{person}" for person in orl.people("val")}


@pytest.mark.skipif(not (paths.DATA / "CelebA-HQ").is_dir(), reason="the bundled data are not restored")
def test_the_bundled_faces_are_those_of_the_bundled_weights():
    for source, (name, _) in images.SOURCES.items():
        path = min((paths.DATA / "CelebA-HQ" / source).glob("*.png"))
        again = images.draw(images.load_generator(name), [int(path.stem)])[0]
        difference = np.abs(again.astype(int) - image.read_image(path)[..., 0])
        assert difference.max() <= 2
