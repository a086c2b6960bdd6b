"""lib.notebooks: what a reader of a committed notebook sees is what the run drew, and no more bytes than it needs."""

import base64
import io

import nbformat
import numpy as np
import pytest
from nbformat import v4
from PIL import Image

from lib import notebooks, paths


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Point lib.paths at an empty notebooks/ and results/notebooks/."""
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    for folder in (paths.NOTEBOOKS, paths.RESULTS / "notebooks"):
        folder.mkdir(parents=True)
    return tmp_path


def png(rgb):
    file = io.BytesIO()
    Image.fromarray(rgb).convert("RGBA").save(file, "PNG", compress_level=6)  # as matplotlib writes it
    return base64.b64encode(file.getvalue()).decode()


def pixels(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


def overlay():
    """A heat map over a face in small: two gradients that cross, thousands of colours."""
    y, x = np.mgrid[0:96, 0:96]
    return np.stack([2 * x + 40, 2 * y + 30, 255 - x - y], axis=-1).astype(np.uint8)


def plot():
    """A line on white, in some dozens of colours."""
    rgb = np.full((200, 300, 3), 255, np.uint8)
    rgb[90:110] = np.linspace(0, 255, 20).astype(np.uint8)[:, None, None]
    return rgb


def run(outputs, seconds=3.2):
    """Execute a notebook of one cell as papermill does, in `seconds`; return the cell that write_back commits."""
    file, times = paths.NOTEBOOKS / "01.ipynb", {"papermill": {"duration": seconds}}
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("1", id="a")]), file)
    cell = v4.new_code_cell("1", id="a", execution_count=1, outputs=outputs, metadata=times)
    nbformat.write(
        v4.new_notebook(cells=[cell], metadata=times | {"widgets": {"state": "of bars and sliders"}}),
        paths.RESULTS / "notebooks" / file.name,
    )
    notebooks.write_back()
    return nbformat.read(file, as_version=4).cells[0]


@pytest.mark.parametrize("picture", [overlay, plot])
def test_a_heat_map_keeps_its_smooth_colours_and_a_plot_its_lines(folders, picture):
    drawn = png(picture())
    [kept] = run([v4.new_output("display_data", {"image/png": drawn})]).outputs
    np.testing.assert_array_equal(pixels(kept.data["image/png"]), picture())
    assert len(kept.data["image/png"]) < len(drawn)


def test_256_colours_are_few_enough_for_a_palette_which_costs_a_reader_less_to_download():
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    rgb = colours[np.random.default_rng(1).integers(0, 256, (64, 64))]
    small = notebooks._smaller(png(rgb))
    np.testing.assert_array_equal(pixels(small), rgb)
    assert len(small) < 0.6 * len(png(rgb))


def test_progress_bars_and_warnings_are_gone_and_results_stay(folders):
    outputs = [
        v4.new_output("stream", name="stderr", text="a warning"),
        v4.new_output("display_data", {"text/plain": "  50%|#####     | 1/2"}),
        v4.new_output("stream", name="stdout", text="accuracy 0.9\n"),
    ]
    assert [output.text for output in run(outputs).outputs] == ["accuracy 0.9\n"]


def test_a_slider_keeps_its_state_and_a_progress_bar_does_not(folders):
    slider = v4.new_output("display_data", {notebooks.WIDGET: {"model_id": "b"}, "text/plain": "IntSlider(value=3)"})
    for outputs, kept in (([slider], True), ([], False)):
        run(outputs)
        assert ("widgets" in nbformat.read(paths.NOTEBOOKS / "01.ipynb", as_version=4).metadata) == kept


def test_a_slower_run_with_the_same_outputs_is_no_change_in_git(folders):
    run([], seconds=3.2)
    fast = (paths.NOTEBOOKS / "01.ipynb").read_bytes()
    run([], seconds=9.9)
    assert (paths.NOTEBOOKS / "01.ipynb").read_bytes() == fast


def test_a_notebook_that_was_not_run_stays_as_it_is(folders, capsys):
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("1")]), paths.NOTEBOOKS / "02.ipynb")
    before = (paths.NOTEBOOKS / "02.ipynb").read_bytes()
    notebooks.write_back()
    assert (paths.NOTEBOOKS / "02.ipynb").read_bytes() == before
    assert "02.ipynb: not run yet" in capsys.readouterr().out
