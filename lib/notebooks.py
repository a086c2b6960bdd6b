"""`python -m lib.notebooks` writes the outputs of the last run back into notebooks/, ready to be committed."""

import base64
import io

import nbformat
from PIL import Image

from lib import paths

WIDGET = "application/vnd.jupyter.widget-view+json"


def write_back():
    """Replace each notebook by its executed copy in results/notebooks/, without the times that papermill adds."""
    for source in sorted(paths.NOTEBOOKS.glob("*.ipynb")):
        executed = paths.RESULTS / "notebooks" / source.name
        if not executed.is_file():
            print(f"{paths.show(source)}: not run yet, left as it is")
            continue
        notebook = nbformat.read(executed, as_version=4)
        notebook.metadata.pop("papermill", None)
        notebook.metadata.language_info = {"name": "python"}
        for cell in notebook.cells:
            cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags" and value}
            if "hide-input" in cell.metadata.get("tags", ()):
                cell.metadata["jupyter"] = {"source_hidden": True}
            if cell.cell_type == "code":
                cell.outputs = [output for output in cell.outputs if not _passing(output)]
                for output in cell.outputs:
                    if "image/png" in output.get("data", {}):
                        output.data["image/png"] = _smaller(output.data["image/png"])
        if not any(WIDGET in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])):
            notebook.metadata.pop("widgets", None)  # the state of progress bars
        paths.replace(source, lambda temporary, notebook=notebook: nbformat.write(notebook, temporary))
        print(f"{paths.show(source)}: {source.stat().st_size / 1e6:.2f} MB")


def _smaller(png):
    """Return a PNG in base64 with the same pixels in fewer bytes; with a palette if it has at most 256 colours."""
    picture, smaller = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), io.BytesIO()
    palette = picture.quantize(256)
    same = palette.convert("RGB").tobytes() == picture.tobytes()  # with fewer colours, heat maps would show bands
    (palette if same else picture).save(smaller, "PNG", optimize=True)
    return base64.b64encode(smaller.getvalue()).decode()


def _passing(output):
    """Return whether an output was useful only while the notebook ran: a progress bar, or text on stderr."""
    return output.get("name") == "stderr" or "%|" in output.get("data", {}).get("text/plain", "")


if __name__ == "__main__":
    write_back()
