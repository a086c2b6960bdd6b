"""The contract of a notebook, as far as it can be checked without running it (`make test` runs them too)."""

import re

import jupytext
import nbformat
import pytest
import yaml

from lib import paths
from lib.notebooks import _passing

NOTEBOOKS = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind="code"):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind and cell.source.strip()]


@every_notebook
def test_a_reader_sees_the_outputs_of_one_run_from_top_to_bottom(path):
    assert [cell.execution_count for cell in cells(path)] == list(range(1, len(cells(path)) + 1))
    assert not [output for cell in cells(path) for output in cell.outputs if output.output_type == "error"]


@every_notebook
def test_the_text_that_is_reviewed_is_that_of_the_notebook(path):
    text = jupytext.read(path.parent / "source" / f"{path.stem}.py")
    both = (text, nbformat.read(path, as_version=4))
    shown = [[(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in each.cells] for each in both]
    assert shown[0] == shown[1], "`make text` brings both to the newer one"


@every_notebook
def test_cells_are_small_enough_to_be_read_on_a_slide(path):
    assert max(len(cell.source.splitlines()) for cell in cells(path)) <= 25


@every_notebook
def test_a_line_of_code_fits_on_a_slide_and_marks_for_machines_are_tags(path):
    sources = [cell.source for cell in cells(path)]
    assert max(len(line) for source in sources for line in source.splitlines()) <= 100
    assert not [source for source in sources if re.search("NBVAL|fmt: |noqa", source)]


@every_notebook
def test_every_figure_has_a_text_for_readers_who_cannot_see_it(path):
    figures = [output for cell in cells(path) for output in cell.outputs if "image/png" in output.get("data", {})]
    without = [figure for figure in figures if not figure.metadata.get("image/png", {}).get("alt")]
    assert not without, f"{len(without)} of {len(figures)}: show them by figures.show(fig, alt=...)"


@every_notebook
def test_no_portrait_of_ours_stands_under_the_name_of_another_data_set(path):
    titles = [output.metadata["image/png"]["alt"] for cell in cells(path) for output in cell.outputs
              if "image/png" in output.get("data", {})]  # fmt: skip
    drawn = re.findall(r"(?:title|suptitle|label|columns|rows)=f?\"[^\"]*\"", "\n".join(c.source for c in cells(path)))
    wrong = [text for text in titles + drawn if re.search("CelebA-HQ|FFHQ", text) and "place" not in text]
    assert not wrong


@every_notebook
def test_a_notebook_holds_no_machine_path_and_downloads_quickly(path):
    text = path.read_text()
    assert not re.search(r"/(work|root|home|tmp|Users)/", text)
    assert path.stat().st_size < 3_000_000


@every_notebook
def test_papermill_finds_one_parameters_cell(path):
    tagged = [cell for cell in cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert "scale = None" in tagged[0].source


@every_notebook
def test_no_link_to_another_notebook_is_dead(path):
    links = [
        link
        for cell in cells(path, "markdown")
        for link in re.findall(r"\]\(([\w./-]+\.(?:ipynb|md|yaml))", cell.source)
    ]
    assert links, "a notebook links to the one before or after it"
    assert not [link for link in links if not (path.parent / link).exists()]


@every_notebook
def test_there_are_exercises_and_their_solutions_are_folded_away(path):
    prose = "\n".join(cell.source for cell in cells(path, "markdown"))
    assert re.search(r"^#+ .*[Ee]xercise", prose, re.M)
    assert "<details>" in prose


def test_a_stage_of_the_pipeline_is_named_like_its_notebook():
    stages = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())["stages"]
    numbered = {path.stem[3:]: path for path in NOTEBOOKS}
    for name, stage in stages.items():
        steps = stage.get("do", stage)
        if name in numbered:
            notebook = f"notebooks/{numbered[name].name}"
            assert notebook in steps["cmd"]
            assert notebook in steps["deps"]
        else:
            assert steps["cmd"].startswith("python -m lib.")


def test_no_progress_bar_is_left_in_a_committed_notebook():

    bar = {"output_type": "display_data", "data": {"text/plain": "scoring:  90%|######### | 9/10 [00:05<00:00]"}}
    table = {"output_type": "execute_result", "data": {"text/plain": "accuracy 90 %"}}
    warning = {"output_type": "stream", "name": "stderr", "text": "a warning"}
    assert [_passing(output) for output in (bar, table, warning)] == [True, False, True]
