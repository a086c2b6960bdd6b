import numpy as np
import pytest
import torch

from lib import params, paths
from lib.data import image, layouts
from lib.fakes import orl
from lib.fakes.gan import sets, stargan2, train, translate
from lib.fakes.gan.__main__ import main
from lib.params import DataSet, Generators, LearningRates, MoreFakes

GENERATORS = Generators(
    latent=8, widths=[8, 8, 8], thousands=[0.016] * 3, fade=0.008, average_thousands=1, batch_size=4,
    learning_rates=LearningRates(progan=[0.001] * 3, stylegan=[0.002] * 3), penalty=2.0, penalty_interval=2,
    report_every=16,
)  # fmt: skip
SETTINGS = MoreFakes(draws=2, first_seed=10_000)
EVERY = pytest.mark.parametrize("name", sets.SETS)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of small untrained networks, one for each of the weights that the sets need."""
    return untrained(tmp_path_factory.mktemp("weights"))


def untrained(folder, channels=1):
    for name in sets.COMMANDS.keys() - {"stargan2"}:
        torch.manual_seed(0)
        architecture = name.split("_")[0]
        generator = train.build(architecture, GENERATORS.latent, GENERATORS.widths, channels).requires_grad_(False)
        for to_image in generator.to_image if architecture == "stylegan2" else ():
            to_image.conv.weight *= 0.2  # or an untrained network draws black and white, which hides its variety
        train.write_weights(generator, folder / f"{name}.safetensors", architecture=architecture)
    torch.manual_seed(0)
    translate.export(stargan2.StarGAN2(4, 6, GENERATORS.widths, channels), folder / "stargan2.safetensors")
    return folder


@pytest.fixture(scope="module")
def drawn(weights, tmp_path_factory):
    """A folder with all sets."""
    folder = tmp_path_factory.mktemp("generated")
    lines = list(sets.draw_all(sets.SETS, SETTINGS, 0, folder, weights))
    assert [line.split(":")[0] for line in lines] == list(sets.SETS)
    return folder


def table_of(folder, name):
    return layouts.images(DataSet(layout="FFHQ" if name == "FFHQ" else "CelebA-HQ", root=str(folder / name)))


@EVERY
def test_a_set_holds_no_one_whom_a_detector_has_trained_on(name, drawn):
    table = table_of(drawn, name)
    assert (table["split"] == "test").all()
    real, people, sources = sets.SETS[name]
    assert people != "train"
    assert table.groupby("method").size().unique().tolist() == [10 * len(orl.people(people))]
    photographs = table.loc[table["label"] == 0, "identity"]
    assert set(photographs) == {f"{real}/{person}" for person in orl.people(people)}
    assert set(table.loc[table["label"] == 1, "method"]) == set(sources)
    if name == "StarGAN2":
        translated = table.loc[table["label"] == 1, "video"].str.extract(r"/(\d+)_\d+$")[0]
        assert set(translated) == set(orl.people("test"))


@pytest.mark.skipif(not (paths.DATA / "CelebA-HQ").is_dir(), reason="the bundled data are not restored")
@pytest.mark.parametrize("name", sorted(sets.SETS.keys() - {"StarGAN2"}))
def test_no_face_has_a_seed_that_a_training_face_has(name, drawn):
    bundled = {path.stem for source in ("ProGAN", "StyleGAN") for path in (paths.DATA / "CelebA-HQ" / source).iterdir()}
    table = table_of(drawn, name)
    seeds = {video.split("/")[1] for video in table.loc[table["label"] == 1, "video"]}
    assert seeds and not seeds & bundled


@EVERY
def test_a_set_drawn_again_has_the_same_bytes(name, drawn, weights, tmp_path):
    again = sets.draw(name, SETTINGS, 0, tmp_path, weights)
    files = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(drawn / name) for path in (drawn / name).rglob("*") if path.is_file())
    assert all((again / file).read_bytes() == (drawn / name / file).read_bytes() for file in files)


def test_faces_near_the_mean_face_vary_less(drawn):
    spread = []
    for source in ("StyleGAN2-0.5", "StyleGAN2-1.0"):
        faces = np.stack([image.read_image(path) for path in (drawn / "FFHQ" / source).iterdir()])
        spread.append(faces.std(0).mean())
    assert spread[0] < 0.9 * spread[1]


def test_more_draws_bring_the_translations_closer_to_the_photographs(weights, tmp_path):
    distance = {}
    for draws in (1, 8):
        folder = sets.draw("StarGAN2", MoreFakes(draws=draws, first_seed=0), 0, tmp_path, weights)
        pairs = [(path, folder / "StarGAN2" / path.name) for path in (folder / "CelebA-HQ").iterdir()]
        brightness = [[image.read_image(path).mean() for path in pair] for pair in pairs]
        distance[draws] = np.abs(np.diff(brightness)).mean()
    assert distance[8] < distance[1]


def test_a_set_that_is_there_is_replaced_only_by_a_whole_one(weights, tmp_path, interrupted):
    folder = sets.draw("StarGAN2", SETTINGS, 0, tmp_path, weights)
    (folder / "old").touch()
    interrupted(sets.images, "write_png", at=7)
    with pytest.raises(KeyboardInterrupt):
        sets.draw("StarGAN2", SETTINGS, 0, tmp_path, weights)
    assert (folder / "old").exists() and len(list((folder / "StarGAN2").iterdir())) == 100
    sets.draw("StarGAN2", SETTINGS, 0, tmp_path, weights)
    assert not (folder / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["StarGAN2"]


def test_what_is_missing_is_one_line_with_the_file_and_the_command(weights, tmp_path):
    (tmp_path / "weights").mkdir()
    for path in weights.glob("*_R.safetensors"):
        (tmp_path / "weights" / path.name).symlink_to(path)
    (tmp_path / "weights" / "stylegan_A.safetensors").symlink_to(weights / "stylegan_A.safetensors")
    lines = dict(
        line.split(": ", 1) for line in sets.draw_all(sets.SETS, SETTINGS, 0, tmp_path / "out", tmp_path / "weights")
    )
    assert lines["CelebA-HQ+R"].startswith("100 CelebA-HQ, 100 ProGAN, 100 StyleGAN in ")
    assert "progan_A.safetensors (`python -m lib.fakes.gan finetune progan A` makes it)" in lines["CelebA-HQ+A"]
    assert "stylegan_A" not in lines["CelebA-HQ+A"]
    assert lines["FFHQ"].count("stylegan2_others.safetensors") == 1
    assert "`python -m lib.fakes.gan translate` makes it" in lines["StarGAN2"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["CelebA-HQ+R"]


def test_the_command_line_passes_without_weights_and_names_an_unknown_set(tmp_path, capsys):
    options = ["--weights", str(tmp_path), "--out", str(tmp_path / "out")]
    main(["sets", *options])
    assert len(capsys.readouterr().out.splitlines()) == len(sets.SETS)
    assert (tmp_path / "out").is_dir()
    with pytest.raises(SystemExit, match="2"):
        main(["sets", *options, "FFH"])
    assert "NAME: 'FFH' is not one of" in (error := capsys.readouterr().err) and "did you mean FFHQ?" in error


def test_generators_of_different_sizes_make_no_set(weights, tmp_path):
    for name in ("stylegan_others", "stylegan2_others"):
        widths = GENERATORS.widths[: 3 if name == "stylegan_others" else 2]
        path = tmp_path / f"{name}.safetensors"
        generator = train.build(name.split("_")[0], 8, widths)
        train.write_weights(generator, path, architecture=name.split("_")[0])
    with pytest.raises(ValueError, match=r"^weights: .* different sizes"):
        sets.draw("FFHQ", SETTINGS, 0, tmp_path / "out", tmp_path)


def test_without_generators_of_one_s_own_nothing_is_drawn_at_the_paper_s_scale(tmp_path, capsys, monkeypatch):
    paper = params.read("paper").more_fakes
    monkeypatch.setattr(sets, "draw", lambda *given: pytest.fail("small grey faces were drawn"))
    wanted = "nothing is drawn: more_fakes.weights names no generators; name folders of ready images in test_sets"
    assert list(sets.draw_all(sets.SETS, paper, 0, tmp_path)) == [wanted]
    named = paper.replace(weights=str(tmp_path / "mine"))
    lines = list(sets.draw_all(["FFHQ"], named, 0, tmp_path))
    assert "FFHQ: not drawn, because these are missing:" in lines[0] and "mine/stylegan_others.safetensors" in lines[0]
    assert paths.resolve(params.read("bundled").more_fakes.weights) == sets.images.WEIGHTS


@pytest.fixture
def own(tmp_path):
    """A user's colour generators (weights/) and colour photographs, larger than they draw, one folder a set."""
    untrained(tmp_path / "weights", channels=3)
    random = np.random.default_rng(0)
    for name in sets.SETS:
        for index in range(6):
            folder = f"domain{index % 2}" if name == "StarGAN2" else "any"
            pixels = random.integers(0, 256, (20, 24, 3), np.uint8)
            image.write_png(tmp_path / "photographs" / name / folder / f"{index}.png", pixels)
    return tmp_path


def test_a_user_s_own_generators_draw_every_set_beside_the_user_s_own_photographs(own, capsys):
    options = ["--weights", own / "weights", "--photographs", own / "photographs", "--out", own / "out"]
    main(["--scale", "smoke", "sets", *map(str, options)])
    assert len(capsys.readouterr().out.splitlines()) == len(sets.SETS)
    for name, (real, _, sources) in sets.SETS.items():
        table = table_of(own / "out", name)
        assert table["method"].value_counts().to_dict() == dict.fromkeys([real, *sources], 6)
        assert (table["split"] == "test").all()
        for row in table.itertuples():
            picture = image.read_image(row.path)
            assert picture.shape == (16, 16, 3) and (picture != picture[..., :1]).any()
        photograph = own / "photographs" / name / ("domain1" if name == "StarGAN2" else "any") / "3.png"
        shown = own / "out" / name / real / f"{photograph.parent.name}_3.png"
        assert (image.read_image(shown) == image.resize(image.read_image(photograph), 16)).all()


@EVERY
def test_small_grey_photographs_never_stand_beside_fakes_in_colour(name, own):
    with pytest.raises(ValueError, match="16 pixels in colour need a folder of pictures; the bundled ones are small"):
        sets.draw(name, SETTINGS, 0, own / "out", own / "weights")
    assert not (own / "out" / name).exists()


def test_a_set_without_photographs_of_one_s_own_is_one_line_that_names_their_folder(own):
    (own / "photographs" / "FFHQ").rename(own / "elsewhere")
    settings = SETTINGS.replace(photographs=str(own / "photographs"))
    lines = list(sets.draw_all(["FFHQ", "StarGAN2"], settings, 0, own / "out", own / "weights"))
    assert lines[0] == f"FFHQ: not drawn, because these are missing: {own}/photographs/FFHQ (its photographs)"
    assert lines[1].startswith("StarGAN2: 6 CelebA-HQ, 6 StarGAN2 in ")


def test_faces_that_are_not_kept_do_not_fill_the_memory(weights, tmp_path, monkeypatch):
    drawn, written, plain = [], [], sets.images.write_png

    def stream(generator, seeds, **options):
        for seed in seeds:
            drawn.append(seed)
            yield np.full((16, 16), seed % 251, np.uint8)

    def write(path, picture):
        written.append(len(drawn))
        plain(path, picture)

    monkeypatch.setattr(sets.images, "stream", stream)
    monkeypatch.setattr(sets.images, "write_png", write)
    sets.draw("CelebA-HQ+R", SETTINGS, 0, tmp_path, weights)
    assert written == [0] * 100 + [*range(201, 301)] + [*range(501, 601)], "each is written as soon as it is drawn"
