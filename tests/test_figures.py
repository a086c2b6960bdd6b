"""Figures: the same bytes each run, pictures the right way round, curves that grey print keeps apart."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from ipywidgets import Image, IntSlider

from lib import figures, paths

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def clean_style():
    with matplotlib.rc_context():
        figures.style()
        yield
    matplotlib.pyplot.close("all")


def test_saving_a_figure_twice_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FIGURES", tmp_path)
    curve = {"PEL": ([0, 1, 0, 1], [0.1, 0.9, 0.6, 0.4])}
    figures.save(figures.roc(curve).figure, "first")
    again = figures.roc(curve).figure
    figures.save(again, "again")
    figures.save(again, "again_after_drawing")
    first, *others = [file.read_bytes() for file in tmp_path.iterdir()]
    assert others == [first, first]
    assert b"Software" not in first


def test_a_tensor_is_drawn_upright_and_in_its_own_colours():
    rgb = torch.zeros(3, 4, 6)
    rgb[0, 0, 5] = 1
    assert figures.image(rgb).shape == (4, 6, 3)
    assert figures.image(rgb)[0, 5].tolist() == [1, 0, 0]
    assert figures.image(rgb[:1]).shape == (4, 6)
    assert figures.image(2 * rgb).max() == 1
    assert figures.image(np.full((4, 6, 3), 255, np.uint8)).dtype == np.uint8


def test_a_grid_shows_every_picture_with_its_title_and_leaves_gaps_empty():
    fig = figures.show_grid(
        [torch.rand(3, 8, 8), None, torch.rand(8, 8)], ["real", "", "mask"], columns=2, rows=["one", "two"]
    )
    assert len(fig.axes) == 4
    assert [len(ax.images) for ax in fig.axes] == [1, 0, 1, 0]
    assert [ax.get_title() for ax in fig.axes] == ["real", "", "mask", ""]
    assert [text.get_text() for ax in fig.axes for text in ax.texts] == ["one", "two"]


def test_an_overlay_is_brightest_where_the_heat_is():
    heat = torch.zeros(8, 8)
    heat[2, 5] = 1
    picture = figures.overlay(torch.full((3, 8, 8), 0.5), heat)
    assert np.unravel_index(picture.sum(-1).argmax(), (8, 8)) == (2, 5)
    assert picture.min() >= 0
    assert picture.max() <= 1
    same = figures.overlay(np.full((8, 8, 3), 128, np.uint8), heat)
    assert np.allclose(same, picture, atol=0.01)


def test_a_heat_map_of_another_size_than_the_picture_is_refused():
    with pytest.raises(ValueError, match="heat is 4 x 4, the picture 8 x 8"):
        figures.overlay(torch.rand(3, 8, 8), torch.rand(4, 4))


def test_curves_differ_in_line_and_not_in_colour_alone():
    ax = figures.roc({name: ([0, 1, 0, 1], [0.1, 0.9, 0.6, 0.4]) for name in "abc"})
    assert len({str(line.get_linestyle()) for line in ax.lines[:3]}) == 3


def robustness_curves(detectors):
    random = np.random.default_rng(0)
    rows = [
        {"change": change, "strength": strength, "detector": detector, "value": (v := random.uniform(0.5, 1)),
         "low": v - 0.05, "high": v + 0.05}
        for change, strengths in {"jpeg": [np.nan, 90, 10, 50], "blur": [np.nan, 3, 9]}.items()
        for strength in strengths
        for detector in detectors
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_robustness_runs_from_mild_to_strong_in_every_panel():
    curves = robustness_curves(["SR", "Image"])
    jpeg, blur = figures.robustness(curves).axes[:2]
    assert [label.get_text() for label in jpeg.get_xticklabels()] == ["none", "90", "50", "10"]
    assert [label.get_text() for label in blur.get_xticklabels()] == ["none", "3", "9"]
    expected = curves.query("change == 'jpeg' and detector == 'SR'").set_index("strength")["value"]
    assert jpeg.lines[0].get_ydata()[1:].tolist() == expected.loc[[90, 50, 10]].tolist()
    assert jpeg.lines[0].get_ydata()[0] == expected[expected.index.isna()].item()
    assert (jpeg.get_xlabel(), blur.get_xlabel()) == ("JPEG quality", "blur kernel (pixels)")
    assert len(jpeg.collections) == 2  # a band each


def test_twelve_detectors_differ_in_grey_print():
    ax = figures.robustness(robustness_curves([f"detector {i}" for i in range(12)])).axes[0]
    looks = {(str(x.get_linestyle()), x.get_marker(), x.get_markerfacecolor() == "white") for x in ax.lines[:12]}
    assert len(looks) == 12


def test_the_bar_of_a_heat_map_ends_where_its_colours_end():
    fig = figures.show_grid([torch.rand(3, 8, 8)])
    bar = figures.heat_bar(fig.axes[0], "grey levels", 12.5)
    assert bar.ax.get_ylim() == (0, 12.5)
    assert bar.ax.get_ylabel() == "grey levels"


def test_a_slider_that_is_moved_draws_the_picture_anew():
    drawn, slider, picture = [], IntSlider(3), Image()

    def draw(value):
        drawn.append(value)
        return figures.show_grid([torch.full((3, 8, 8), value / 10)])

    figures.follow([slider], picture, draw)
    first = bytes(picture.value)
    slider.value = 5
    assert drawn == [3, 5] and first.startswith(b"\x89PNG") and bytes(picture.value) != first
    assert not figures.plt.get_fignums()


def test_a_shown_figure_has_a_text_for_readers_who_cannot_see_it_and_is_closed(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(figures, "display", shown.append)
    monkeypatch.setattr(figures.paths, "FIGURES", tmp_path)
    figures.show(figures.show_grid([torch.rand(3, 8, 8)]), alt="a square of noise", name="noise")
    data, metadata = shown[0]._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "a square of noise" and "image/png" in data
    assert (tmp_path / "noise.png").is_file() and not figures.plt.get_fignums()


def test_no_panel_of_robustness_crowns_a_winner():
    titles = [ax.get_title(loc="left") for ax in figures.robustness(robustness_curves(["SR", "Image"])).axes]
    assert titles[0].startswith("strongest jpeg: from 0.") and not any(
        name in t for t in titles for name in ("SR", "Image")
    )
