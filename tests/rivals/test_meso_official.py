"""The authors' weights of MesoNet give here what their network gives: a second forward pass, after Keras, in NumPy."""

import h5py
import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from lib import detect, detectors, paths
from lib.data.image import read_image, resize
from lib.rivals import meso_official
from lib.training import checkpoints

INCEPTION = [(1, 4, 4, 2), (2, 4, 4, 2)]


def keras_names(kind):
    """Yield (layer, {name: shape}) of the published networks, in the order of their making."""
    if kind == "meso4":
        kernels = [(3, 3, 3, 8), (5, 5, 8, 8)]
    else:
        kernels = []
        for channels, (a, b, c, d) in zip((3, 11), INCEPTION, strict=True):
            kernels += [(1, 1, channels, a)]
            kernels += [kernel for width in (b, c, d) for kernel in ((1, 1, channels, width), (3, 3, width, width))]
    last = kernels[-1][-1] if kind == "meso4" else sum(INCEPTION[1])
    kernels += [(5, 5, last, 16), (5, 5, 16, 16)]
    widths = (8, 8, 16, 16) if kind == "meso4" else (11, 12, 16, 16)
    for number, kernel in enumerate(kernels, 3):
        yield f"conv2d_{number}", {"kernel": kernel, "bias": kernel[-1:]}
    for number, width in enumerate(widths, 2):
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        yield f"batch_normalization_{number}", dict.fromkeys(parts, (width,))
    for number, kernel in enumerate([(1024, 16), (16, 1)], 9):  # 9 and 10: their order is not that of the letters
        yield f"dense_{number}", {"kernel": kernel, "bias": kernel[-1:]}


def write(path, kind):
    rng, arrays = np.random.default_rng(0), {}
    for layer, parts in keras_names(kind):
        for part, shape in parts.items():
            positive, spread = part in ("gamma", "moving_variance"), 0.2
            if part == "kernel":
                spread = (2 / np.prod(shape[:-1])) ** 0.5 / (10 if shape[-1] == 1 else 1)  # no saturated output
            values = rng.uniform(0.5, 2, shape) if positive else rng.normal(0, spread, shape)
            arrays.setdefault(layer, {})[part] = values.astype("f4")
    with h5py.File(path, "w") as file:
        for layer, parts in arrays.items():
            for part, values in parts.items():
                file[f"{layer}/{layer}/{part}:0"] = values
    return arrays


def keras_probability(arrays, image):
    """What the published network says of an image (256, 256, 3) in [0, 1]: the probability of being real."""
    layers = {kind: [parts for name, parts in arrays.items() if name.startswith(kind)]
              for kind in ("conv2d", "batch_normalization", "dense")}  # fmt: skip
    convolutions, norms = iter(layers["conv2d"]), iter(layers["batch_normalization"])

    def convolve(x, dilation=1):
        parts = next(convolutions)
        height, width, _, count = parts["kernel"].shape
        wide = np.zeros((1 + dilation * (height - 1), 1 + dilation * (width - 1), *parts["kernel"].shape[2:]))
        wide[::dilation, ::dilation] = parts["kernel"]
        maps = [sum(correlate(x[..., i], wide[..., i, o], mode="constant") for i in range(x.shape[-1]))
                for o in range(count)]  # fmt: skip
        return np.maximum(np.stack(maps, -1) + parts["bias"], 0)

    def finish(x, pool):
        parts = next(norms)
        x = (x - parts["moving_mean"]) / np.sqrt(parts["moving_variance"] + 1e-3) * parts["gamma"] + parts["beta"]
        side = len(x) // pool
        return x.reshape(side, pool, side, pool, -1).max((1, 3))

    x = image.astype(float)
    for _ in range(2):
        if len(layers["conv2d"]) == 4:
            x = finish(convolve(x), 2)
        else:
            branches = [convolve(x)]
            for dilation in (1, 2, 3):
                branches.append(convolve(convolve(x), dilation))
            x = finish(np.concatenate(branches, -1), 2)
    x = finish(convolve(finish(convolve(x), 2)), 4).ravel()
    first, last = layers["dense"]
    hidden = x @ first["kernel"] + first["bias"]
    hidden = np.where(hidden > 0, hidden, 0.1 * hidden)
    return 1 / (1 + np.exp(-(hidden @ last["kernel"] + last["bias"])))[0]


@pytest.mark.parametrize("kind", ["meso4", "meso_inception4"])
def test_a_converted_network_gives_what_the_published_one_gives(tmp_path, kind):
    arrays = write(tmp_path / "weights.h5", kind)
    image = np.random.default_rng(1).random((256, 256, 3)).astype("f4")
    found, model = meso_official.read(tmp_path / "weights.h5")
    with torch.inference_mode():
        fake = model.fake_probability({"rgb": torch.from_numpy(image).permute(2, 0, 1)[None]}).item()
    assert found == kind
    assert fake == pytest.approx(1 - keras_probability(arrays, image), abs=1e-5)
    assert 0.001 < fake < 0.999, "a saturated output would hide an error"


@pytest.mark.parametrize("name", ["Meso4_DF", "MesoInception_DF", "Meso4_F2F", "MesoInception_F2F"])
def test_the_official_weights_give_what_the_published_network_gives_on_its_own_pictures(outside, name):
    folder = outside("mesonet")
    _, model = meso_official.read(folder / "weights" / f"{name}.h5")
    arrays = {}
    with h5py.File(folder / "weights" / f"{name}.h5") as file:
        for layer in sorted(file, key=lambda layer: int(layer.rpartition("_")[2])):
            if layer in file[layer]:
                arrays[layer] = {part.removesuffix(":0"): values[()] for part, values in file[layer][layer].items()}
    for path in sorted((folder / "test_images").glob("*/*.jpg"))[:2]:
        image = resize(read_image(path), 256) / np.float32(255)
        with torch.inference_mode():
            fake = model.fake_probability({"rgb": torch.from_numpy(image).permute(2, 0, 1)[None]}).item()
        assert fake == pytest.approx(1 - keras_probability(arrays, image), abs=1e-4)


def test_a_converted_file_scores_pictures_by_lib_detect(tmp_path, monkeypatch, face_settings, capsys):
    monkeypatch.setattr(meso_official, "load", lambda: face_settings)
    write(tmp_path / "Meso4_X.h5", "meso4")
    meso_official.main([str(tmp_path / "Meso4_X.h5"), "--score"])
    file = checkpoints.file("official/Meso4_X")
    assert str(paths.show(file)) in capsys.readouterr().out
    loaded = detect.load(checkpoint=file)
    assert (loaded.name, loaded.size, loaded.faces["size"]) == ("MesoNet", 256, 256)
    scores = (paths.RESULTS / "scores/official/Meso4_X.csv").read_text().splitlines()[1:]
    assert len(scores) > 10 and scores[0] == "train,test,label,method,video,identity,frame,score"
    assert isinstance(detectors.restore(*checkpoints.load(file)), meso_official.MesoNet)


def test_a_file_with_other_weights_gets_one_line_that_names_it(tmp_path):
    write(tmp_path / "weights.h5", "meso4")
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        del file["dense_10"]
    (tmp_path / "text.h5").write_text("no weights")
    for name in ("weights", "text"):
        with pytest.raises(SystemExit, match=rf"{name}\.h5: not the weights of Meso-4 or MesoInception-4 \([^\n]*\)$"):
            meso_official.main([str(tmp_path / f"{name}.h5")])
    with pytest.raises(SystemExit, match=r"none\.h5: no such file$"):
        meso_official.main([str(tmp_path / "none.h5")])
