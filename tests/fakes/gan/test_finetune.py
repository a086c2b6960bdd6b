import numpy as np
import pytest
import torch

from lib.fakes.gan import finetune, train
from lib.fakes.gan import images as gan_images
from lib.fakes.gan import photographs as gan_photographs
from lib.ops import spectra
from lib.params import Finetune, Generators, LearningRates

GENERATORS = Generators(
    latent=8, widths=[8, 8, 8], thousands=[0.016, 0.016, 0.016], fade=0.008, average_thousands=1, batch_size=4,
    learning_rates=LearningRates(progan=[0.001] * 3, stylegan=[0.002] * 3), penalty=2.0, penalty_interval=2,
    report_every=16,
)  # fmt: skip
SETTINGS = Finetune(
    thousands=0.048, alone=0.016, weight=10.0, learning_rate=0.0005, spectral_learning_rate=0.01,
    average_thousands=0.25, batch_size=4, report_every=16,
)  # fmt: skip


KINDS = pytest.mark.parametrize("kind", finetune.KINDS)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with an untrained ProGAN, as the bundled weights lie."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    generator = train.build("progan", GENERATORS.latent, GENERATORS.widths)
    train.write_weights(generator, folder / "progan.safetensors")
    return folder


@pytest.fixture(scope="module")
def photographs():
    return gan_photographs.of(GENERATORS, 16)


def test_photographs_have_a_profile_between_0_and_1_and_noise_lies_above(photographs):
    profile = finetune.Profile(photographs, "grid")
    torch.testing.assert_close(profile(photographs).mean(0), profile.target)
    assert profile.target.min() == 0 and profile.target.max() == 1
    noise = (photographs + 0.3 * torch.randn_like(photographs)).clamp(-1, 1)
    assert (profile(noise).mean(0) - profile.target)[-3:].min() > 0.2


def test_the_spectral_loss_is_least_for_the_spectrum_of_photographs_and_has_a_gradient(photographs):
    torch.manual_seed(0)
    profile = finetune.Profile(photographs, "grid")
    noisy = (photographs[:8] + 0.2 * torch.randn(8, 1, 16, 16)).requires_grad_()
    loss = finetune.spectral_loss(profile, noisy)
    assert loss > finetune.spectral_loss(profile, photographs[:8])
    (gradient,) = torch.autograd.grad(loss, noisy)
    assert (gradient.flatten(1).abs().sum(1) > 0).all()
    with torch.no_grad():
        assert finetune.spectral_loss(profile, noisy - 0.01 * gradient / gradient.abs().max()) < loss


@KINDS
def test_the_generator_gets_a_gradient_from_the_spectrum_alone(kind, weights, monkeypatch):
    training = finetune.Finetuning("progan", kind, SETTINGS, GENERATORS, 0, weights=weights)
    monkeypatch.setattr(train.Training, "adversarial_loss", lambda self, fake, growth: torch.zeros(()))
    torch.manual_seed(0)
    training.adversarial_loss(training.generator(torch.randn(4, 8)), 2).backward()
    gradients = [p.grad for name, p in training.generator.named_parameters() if not name.startswith("to_image")]
    assert all(g is not None and g.abs().max() > 0 for g in gradients)
    assert all(p.grad is None for p in training.critic.parameters())


def test_the_spectral_discriminator_learns_to_tell_blurred_photographs(photographs):
    torch.manual_seed(0)
    critic = finetune.SpectralDiscriminator(photographs)
    blurred = torch.nn.functional.avg_pool2d(photographs, 3, 1, 1, count_include_pad=False)
    steps = torch.optim.Adam(critic.parameters(), 0.05)
    for _ in range(60):
        loss = torch.nn.functional.softplus(-critic(photographs)) + torch.nn.functional.softplus(critic(blurred))
        steps.zero_grad()
        loss.mean().backward()
        steps.step()
    assert (critic(photographs) > 0).float().mean() > 0.9
    assert (critic(blurred) < 0).float().mean() > 0.9


def test_the_profile_of_a_bundled_size_has_the_published_length():
    images = torch.zeros(1, 1, 128, 128)
    assert finetune.SpectralDiscriminator(images).linear.in_features == 91
    assert len(finetune.Profile(images, "grid").target) == 88


@KINDS
def test_a_finetuning_starts_from_the_bundled_weights_and_its_discriminator_learns_first(kind, weights):
    training = finetune.Finetuning("progan", kind, SETTINGS, GENERATORS, 0, weights=weights)
    before = gan_images.load_generator("progan", weights).state_dict()
    for _ in range(4):
        training.step()
    assert all(torch.equal(value, before[key]) for key, value in training.generator.state_dict().items())
    assert all(torch.equal(value, before[key]) for key, value in training.average.state_dict().items())
    training.step()
    assert any(not torch.equal(value, before[key]) for key, value in training.generator.state_dict().items())


@KINDS
def test_a_killed_finetuning_ends_with_the_same_weights_as_an_unbroken_one(kind, weights, tmp_path, interrupted):
    arguments = ("progan", kind, SETTINGS, GENERATORS, 0)
    options = {"weights": weights}
    unbroken, report = finetune.finetune(*arguments, tmp_path / "unbroken", tmp_path, **options)
    calls = interrupted(finetune.Finetuning, "step", at=11)
    with pytest.raises(KeyboardInterrupt):
        finetune.finetune(*arguments, tmp_path / "killed", tmp_path, **options)
    resumed, again = finetune.finetune(*arguments, tmp_path / "killed", tmp_path, **options)
    assert len(calls) == 11 + 12 - 8
    assert all(torch.equal(a, b) for a, b in zip(unbroken.parameters(), resumed.parameters(), strict=True))
    assert again == report
    loaded = gan_images.load_generator(f"progan_{kind}", tmp_path)
    drawn = gan_images.draw(loaded, np.arange(100))
    real = spectra.mean_spectrum(gan_photographs.to_uint8(gan_photographs.of(GENERATORS, 16)) / 255)
    assert spectra.gap(real, spectra.mean_spectrum(drawn / 255)) == pytest.approx(report["gap_after"], rel=0.05)


def test_a_finetuning_with_another_weight_or_kind_is_not_taken_for_this_one(weights, tmp_path):
    arguments = (GENERATORS, 0, tmp_path / "state", tmp_path, weights)
    finetune.finetune("progan", "R", SETTINGS, *arguments)
    with pytest.raises(ValueError, match="other settings"):
        finetune.finetune("progan", "R", SETTINGS.replace(weight=9.0), *arguments)
    with pytest.raises(ValueError, match="other settings"):
        finetune.finetune("progan", "A", SETTINGS, *arguments)
    with pytest.raises(ValueError, match="kind: 'E'"):
        finetune.finetune("progan", "E", SETTINGS, *arguments)


def test_a_strong_regularization_closes_the_gap(weights, tmp_path):
    settings = SETTINGS.replace(weight=100.0, learning_rate=0.01, thousands=0.4, average_thousands=0.01)
    _, report = finetune.finetune("progan", "R", settings, GENERATORS, 0, tmp_path / "state", tmp_path, weights)
    assert report["gap_after"] < 0.5 * report["gap_before"]


@pytest.mark.parametrize("name", ["progan", "stylegan"])
def test_the_bundled_finetuned_generators_have_lost_half_of_their_spectral_gap(name):
    real = spectra.mean_spectrum(gan_photographs.to_uint8(gan_photographs.of(GENERATORS, 128)) / 255)

    def gap(weights):
        return spectra.gap(
            real, spectra.mean_spectrum(gan_images.draw(gan_images.load_generator(weights), range(100)) / 255)
        )

    before = gap(name)
    assert {kind: gap(f"{name}_{kind}") < before / 2 for kind in finetune.KINDS} == {"R": True, "A": True}


def test_weights_of_another_size_are_finetuned_at_their_own(weights, tmp_path):
    others = GENERATORS.replace(
        latent=4, widths=[4, 4], thousands=[0.016, 0.016],
        learning_rates=LearningRates(progan=[0.001] * 2, stylegan=[0.002] * 2),
    )  # fmt: skip
    training = finetune.Finetuning("progan", "R", SETTINGS, others, 0, weights=weights)
    assert training.settings.widths == GENERATORS.widths and training.images.shape[-1] == 16
