"""The photographs that generators learn from: any folder, in colour or grey."""

import numpy as np
import pytest
import torch
from PIL import Image

from lib.data import image
from lib.fakes.gan import finetune, images, photographs, train, translate
from lib.fakes.gan.__main__ import main
from lib.params import Finetune, Generators, LearningRates, Translation

SETTINGS = Generators(
    latent=8, widths=[8, 8, 8], thousands=[0.008, 0.008, 0.008], fade=0.004, average_thousands=1, batch_size=4,
    learning_rates=LearningRates(progan=[0.001] * 3, stylegan=[0.002] * 3), penalty=2.0, penalty_interval=2,
    report_every=8,
)  # fmt: skip
FINETUNE = Finetune(thousands=0.008, alone=0.004, weight=2.0, learning_rate=0.001, spectral_learning_rate=0.01,
                    average_thousands=1, batch_size=4, report_every=4)  # fmt: skip
TRANSLATION = Translation(
    colour=True, latent=4, style=6, widths=[8, 8, 8], thousands=0.008, batch_size=4, learning_rate=0.001,
    mapping_learning_rate=0.0001, penalty=1.0, penalty_interval=2, style_weight=1.0, diversity_weight=1.0,
    cycle_weight=1.0, average_thousands=1, report_every=4,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Twelve colour pictures, larger than the generators draw and not square, in two folders."""
    random = np.random.default_rng(0)
    for index in range(12):
        pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        pixels[..., index % 3] //= 4
        (tmp_path / f"domain{index % 2}").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"domain{index % 2}" / f"{index}.png")
    return tmp_path


def colour(folder, **changes):
    return SETTINGS.replace(photographs=str(folder), colour=True, **changes)


def test_a_folder_gives_the_central_squares_of_its_pictures_whatever_order_they_are_asked_in(folder):
    found = photographs.of(colour(folder), 16)
    assert found.shape == (12, 3, 16, 16) and len(found) == 12
    wanted = image.resize(image.read_image(found.files[7]), 16)
    again = photographs.to_uint8(found[torch.tensor([3, 7])])[1]
    assert (again == wanted).all()
    grey = photographs.of(SETTINGS.replace(photographs=str(folder)), 16)[[7]]
    assert grey.shape == (1, 1, 16, 16) and grey.min() >= -1 and grey.max() <= 1


def test_images_keep_their_pixels_and_colours_on_the_way_to_a_tensor_and_back():
    random = np.random.default_rng(0)
    for shape in ((2, 5, 5), (2, 5, 5, 3)):
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        assert (photographs.to_uint8(photographs.from_uint8(pixels)) == pixels).all()


@pytest.mark.parametrize("name", train.GENERATORS)
def test_every_generator_learns_from_a_folder_in_colour_and_its_weights_draw_colour(name, folder, tmp_path):
    training = train.train(name, colour(folder), 0, tmp_path / "state")
    train.export(name, training, tmp_path / "state", tmp_path)
    loaded = images.load_generator(name, tmp_path)
    drawn = images.draw(loaded, [1, 2])
    assert drawn.shape == (2, 16, 16, 3) and drawn.dtype == np.uint8
    assert np.ptp(drawn.astype(int), axis=-1).max() > 0
    assert image.read_image(tmp_path / f"{name}.png").shape[2] == 3


@pytest.mark.parametrize("kind", finetune.KINDS)
def test_a_generator_in_colour_is_finetuned_on_the_folder_that_it_has_learned_from(kind, folder, tmp_path):
    generator = train.build("progan", 8, SETTINGS.widths, 3)
    train.write_weights(generator, tmp_path / "progan.safetensors", architecture="progan")
    places = (0, tmp_path / "state", tmp_path, tmp_path)
    tuned, report = finetune.finetune("progan", kind, FINETUNE, colour(folder), *places)
    assert tuned.channels == 3 and np.isfinite(report["gap_after"])


def test_the_bundled_small_generators_are_not_finetuned_on_photographs_of_one_s_own_by_mistake(folder, tmp_path):
    for widths, channels in ((SETTINGS.widths[:2], 3), (SETTINGS.widths, 1)):
        generator = train.build("progan", 8, widths, channels)
        train.write_weights(generator, tmp_path / "progan.safetensors", architecture="progan")
        with pytest.raises(
            ValueError, match="^progan: draws another size or colour than .* --weights names the folder"
        ):
            finetune.Finetuning("progan", "R", FINETUNE, colour(folder), 0, weights=tmp_path)


def test_faces_are_translated_between_the_two_folders_of_a_data_set(folder, tmp_path):
    settings = TRANSLATION.replace(photographs=str(folder))
    training = translate.train(settings, 0, tmp_path / "state")
    assert training.domains.tolist() == [0] * 6 + [1] * 6
    assert training.sheet().shape == (4 * 16, 8 * 16, 3)
    with pytest.raises(ValueError, match="needs 2 folders, one a domain, has 1"):
        translate.train(settings.replace(photographs=str(folder / "domain0")), 0, tmp_path / "other")


def test_what_cannot_be_learned_from_is_told_in_one_line(folder, tmp_path):
    with pytest.raises(ValueError, match="256 pixels need a folder of pictures; the bundled ones are small and grey"):
        photographs.of(SETTINGS, 256)
    with pytest.raises(ValueError, match="in colour need a folder"):
        photographs.of(SETTINGS.replace(colour=True), 16)
    with pytest.raises(FileNotFoundError, match="photographs: no .png, .* file below"):
        photographs.of(colour(tmp_path / "none"), 16)
    small = photographs.of(colour(folder), 32)
    with pytest.raises(ValueError, match=r"0.png: 24 x 20 pixels are less than 32; remove it"):
        small[[0]]


def test_a_generator_draws_images_saved_like_the_photographs_beside_them(tmp_path):
    torch.manual_seed(0)
    generator = train.build("stylegan", 8, SETTINGS.widths, 3).eval()
    train.write_weights(generator, tmp_path / "stylegan.safetensors", architecture="stylegan")
    where = ["--weights", str(tmp_path), "--count", "3", "--first-seed", "5"]
    main(["draw", "stylegan", *where, "--out", str(tmp_path / "png")])
    main(["draw", "stylegan", *where, "--out", str(tmp_path / "jpeg"), "--quality", "75"])
    assert [file.name for file in sorted((tmp_path / "png").iterdir())] == ["000005.png", "000006.png", "000007.png"]
    with Image.open(tmp_path / "jpeg" / "000005.jpg") as drawn:
        assert drawn.format == "JPEG" and drawn.size == (16, 16)
