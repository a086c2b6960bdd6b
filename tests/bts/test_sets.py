import pandas as pd

from lib.bts import sets


def test_a_generator_s_detector_never_sees_the_other_generator(gan_table):
    for generator, methods in {
        "ProGAN": {"CelebA-HQ", "ProGAN"},
        sets.ALL: {"CelebA-HQ", "ProGAN", "StyleGAN"},
    }.items():
        assert set(gan_table.iloc[sets.of_source(gan_table, generator)]["method"]) == methods


def test_a_single_kind_of_fake_is_trained_once():
    folders = pd.DataFrame({"label": [0, 1], "method": ["real", "fake"]})
    assert sets.sources(folders) == [sets.ALL]
