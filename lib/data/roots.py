"""The folders of the data sets in params.yaml: which have to be there at a scale, and which must not be used."""

from lib import paths
from lib.data import check


def data_sets(params):
    """Return {key in params.yaml: params.DataSet} of all sets, also of those without a root."""
    found = {f"data.{key}": getattr(params.data, key) for key in ("forged", "generated")}
    for key in ("cross_forged", "cross_generated"):
        found |= {f"data.{key}[{place}]": each for place, each in enumerate(getattr(params.data, key))}
    for key in ("test_sets", "scenes"):
        found |= {f"{key}.{name}": each for name, each in getattr(params, key)}
    return found


def named(data):
    """Return the section data without those sets of cross_forged and cross_generated that have no root."""
    lists = {key: [each for each in getattr(data, key) if each.root] for key in ("cross_forged", "cross_generated")}
    return data.replace(**lists)


def wrong(params):
    """Return what is wrong with the roots of the data sets, one line each.

    data.forged and data.generated need a root. The folder of every root in `data` has to exist; at the paper's scale
    that of every root. There, none may lie in the bundled folders, whose small grey images have no place in its tables;
    generated/ is allowed if more_fakes.weights names other generators than the bundled ones.
    """
    found, paper, fakes = [], params.scale == "paper", params.more_fakes.weights
    for key, data_set in data_sets(params).items():
        root = data_set.root
        if not root:
            if key in ("data.forged", "data.generated"):
                words = f"{check.INSIDE[data_set.layout][0]} (layout {data_set.layout})"
                found.append(f"{key}.root: at scale {params.scale} name the folder that holds {words}")
        elif paper and (bundled(root) == "data/" or (bundled(root) and not fakes)):
            remedy = "at scale paper name a folder of your own"
            found.append(f"{key}.root: {root} lies in the bundled {bundled(root)}, whose images are small: {remedy}")
        elif (paper or key.startswith("data.")) and not check.is_there(data_set):
            remedy = "run `dvc pull` (or `make repro`)" if root.startswith("data/") else "correct the path"
            found.append(f"{key}.root: no folder at {root}: {remedy}")
    if paper and bundled(fakes):
        found.append(f"more_fakes.weights: {fakes} holds small generators: at scale paper name your own, or none")
    return found


def bundled(path):
    """Return "data/" or "generated/" for a path inside these folders of the project, else ""."""
    inside = lambda folder: path and paths.resolve(path).resolve().is_relative_to((paths.ROOT / folder).resolve())
    return next(filter(inside, ("data/", "generated/")), "")
