import pytest
import torch

from lib.data import layouts
from lib.fakes import orl
from lib.fakes.gan import stargan2, translate
from lib.params import DataSet, Translation

SETTINGS = Translation(
    latent=4, style=6, widths=[8, 8, 8], thousands=0.048, batch_size=4, learning_rate=0.0005,
    mapping_learning_rate=0.00005, penalty=1.0, penalty_interval=8, style_weight=1.0, diversity_weight=1.0,
    cycle_weight=1.0, average_thousands=1.0, report_every=16,
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return stargan2.StarGAN2(4, 6, [8, 8, 8]).eval().requires_grad_(False)


def test_a_translation_has_the_size_of_the_photograph(model):
    for widths in ([8, 8, 8], [8, 8, 8, 8, 4]):
        size = 4 * 2 ** (len(widths) - 1)
        net = stargan2.StarGAN2(4, 6, widths)
        real, domains = torch.rand(2, 1, size, size), torch.tensor([0, 1])
        assert net.translate(real, domains, z=torch.randn(2, 4)).shape == real.shape
        assert net.translate(real, domains, references=real.flip(0)).shape == real.shape


def test_domain_latent_vector_and_reference_each_change_the_translation(model):
    real, z = torch.rand(1, 1, 16, 16), torch.randn(2, 1, 4)
    without, with_glasses = (model.translate(real, torch.tensor([domain]), z=z[0]) for domain in (0, 1))
    assert not torch.allclose(without, with_glasses)
    assert not torch.allclose(without, model.translate(real, torch.tensor([0]), z=z[1]))
    references = torch.rand(2, 1, 1, 16, 16)
    drawn = [model.translate(real, torch.tensor([0]), references=reference) for reference in references]
    assert not torch.allclose(*drawn)


def test_each_image_of_a_batch_gets_its_own_domain(model):
    real, z = torch.rand(2, 1, 16, 16), torch.randn(2, 4)
    both = model.translate(real, torch.tensor([0, 1]), z=z)
    alone = [model.translate(real[i : i + 1], torch.tensor([i]), z=z[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(both, torch.cat(alone))


def test_adaptive_norm_gives_each_map_the_mean_and_deviation_of_the_style():
    norm, style = stargan2.AdaptiveNorm(3, 6), torch.randn(2, 6)
    scale, bias = norm.affine(style).chunk(2, 1)
    x = norm(4 + 3 * torch.randn(2, 3, 16, 16), style)
    torch.testing.assert_close(x.mean((2, 3)), bias, atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((2, 3), unbiased=False), (1 + scale).abs(), atol=1e-3, rtol=1e-3)


def test_people_with_and_without_glasses_teach_both_domains():
    training = translate.Translating(SETTINGS, 0)
    assert len(training.images) == 240
    assert training.domains.sum() == 65
    of_domain = training._of_domains(torch.tensor([1, 0, 1]))
    assert of_domain.shape == (3, 1, 16, 16)


def test_a_killed_training_ends_with_the_same_weights_as_an_unbroken_one(tmp_path, interrupted):
    unbroken = translate.train(SETTINGS, 0, tmp_path / "unbroken")
    calls = interrupted(translate.Translating, "step", at=7)
    with pytest.raises(KeyboardInterrupt):
        translate.train(SETTINGS, 0, tmp_path / "killed")
    resumed = translate.train(SETTINGS, 0, tmp_path / "killed")
    assert len(calls) == 7 + 12 - 4
    pairs = zip(unbroken.average.parameters(), resumed.average.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with pytest.raises(ValueError, match="other settings"):
        translate.train(SETTINGS.replace(cycle_weight=9.0), 0, tmp_path / "killed")


@pytest.mark.parametrize(("step", "learning"), [(0, ["generator", "mapping", "encoder"]), (1, ["generator"])])
def test_of_reference_photographs_the_generator_learns_and_of_latent_vectors_all_networks(step, learning):
    training = translate.Translating(SETTINGS, 0)
    training.seen = 4 * step
    before = {key: value.clone() for key, value in training.model.state_dict().items()}
    losses = training.step()
    assert {"loss_generator", "loss_style", "loss_diversity", "loss_cycle", "loss_discriminator"} == set(losses)
    after = training.model.state_dict()
    assert sorted({key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}) == sorted(learning)


def test_translated_people_are_read_by_the_loader_and_depend_on_the_seed_alone(model, tmp_path):
    translate.export(model, tmp_path / "stargan2.safetensors")
    loaded = translate.load(tmp_path / "stargan2.safetensors")
    for name in ("one", "two"):
        translate.make(tmp_path / name, loaded)
    table = layouts.images(DataSet(layout="CelebA-HQ", root=str(tmp_path / "one")))
    assert table.groupby("method").size().to_dict() == {"CelebA-HQ": 100, "StarGAN2": 100}
    assert (table["split"] == "test").all()
    first = f"StarGAN2/{orl.people('test')[0]}_1.png"
    assert (tmp_path / "one" / first).read_bytes() == (tmp_path / "two" / first).read_bytes()


def test_missing_weights_say_what_makes_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="lib.fakes.gan.translate"):
        translate.load(tmp_path / "stargan2.safetensors")
