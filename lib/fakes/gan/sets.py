"""The further test sets of Beyond the Spectrum, drawn into generated/.

- CelebA-HQ+R, CelebA-HQ+A: fakes of the ProGAN and the StyleGAN that were finetuned for their spectra (Table 1);
- FFHQ: fakes of a StyleGAN and a StyleGAN2 that learned from other people (Table 2);
- StarGAN2: photographs with glasses put on or taken off (Fig. 6).

All photographs are of the test people, and no face is drawn from a seed that data/CelebA-HQ has used: a finetuned
generator draws almost the same face of the same seed. File size and brightness are matched as in `images`. A set whose
weights are missing is left out, and a line says what makes them.
"""

from lib import paths
from lib.fakes.gan import images, translate
from lib.params import one_of

GENERATED = paths.OUTPUTS / "generated"
SETS = {
    **{
        f"CelebA-HQ+{kind}": ("CelebA-HQ", {"ProGAN": (f"progan_{kind}", {}), "StyleGAN": (f"stylegan_{kind}", {})})
        for kind in ("R", "A")
    },
    "FFHQ": (
        "FFHQ",
        {
            "StyleGAN": ("stylegan_others", {}),
            "StyleGAN2-0.5": ("stylegan2_others", {"psi": 0.5}),
            "StyleGAN2-1.0": ("stylegan2_others", {"psi": 1.0}),
        },
    ),
    "StarGAN2": ("CelebA-HQ", {"StarGAN2": ("stargan2", {})}),
}
"""A set: the folder of its photographs, and {folder of fakes: (name of the weights, options of `sample`)}."""

COMMANDS = {
    **{f"{name}_{kind}": f"finetune {name} {kind}" for name in ("progan", "stylegan") for kind in ("R", "A")},
    **{f"{name}_others": f"train {name} --people others" for name in ("stylegan", "stylegan2")},
    "stargan2": "translate",
}
"""What makes the weights: the arguments of `python -m lib.fakes.gan`."""

ORIGINALS = {
    "CelebA-HQ": "the authors' release of ProGAN, made from the photographs of CelebA",
    "FFHQ": "the authors' release of StyleGAN",
    "LSUN bedroom": "the release of LSUN (Yu et al., 2015), category bedroom",
    "LSUN church_outdoor": "the release of LSUN (Yu et al., 2015), category church_outdoor",
    "ProGAN": "the authors' release of ProGAN: generator for CelebA-HQ, 1024 pixels",
    "StyleGAN": "the authors' release of StyleGAN: generators for CelebA-HQ and FFHQ, 1024 pixels, LSUN bedroom, 256",
    "StyleGAN2": "the authors' release of StyleGAN2: generators for FFHQ, 1024 pixels, and LSUN church_outdoor, 256",
    "StarGAN2": "the authors' release of StarGAN v2: networks for CelebA-HQ, 256 pixels",
}


def original(name):
    """Return where a data set or generator of the paper is obtained. Raises ParamsError for one it does not use."""
    one_of("original", name, ORIGINALS)
    return ORIGINALS[name]


def lacking(name, weights=images.WEIGHTS):
    """Return {file: command that makes it} of the weights that a set needs and the folder `weights` lacks."""
    _, sources = SETS[name]
    files = {weights / f"{network}.safetensors": COMMANDS[network] for network, _ in sources.values()}
    return {path: f"python -m lib.fakes.gan {command}" for path, command in files.items() if not path.is_file()}


def draw(name, settings, seed, out=GENERATED, weights=images.WEIGHTS, progress=True):
    """Write the set `name`, one of SETS, to out/NAME and return that folder; what lies there is replaced at the end.

    settings: the section `more_fakes`. Raises FileNotFoundError for missing weights.
    """
    real, sources = SETS[name]
    if name == "StarGAN2":
        model = translate.load(weights / "stargan2.safetensors")
        translate.make(out / name, model, seed=seed, factor=settings.draws, real=real)
    else:
        images.make(
            out / name, weights, settings.draws, settings.first_seed, progress, sources=sources, real=real,
            splits=["test"],
        )  # fmt: skip
    return out / name


def draw_all(names, settings, seed, out=GENERATED, weights=images.WEIGHTS, progress=True):
    """Write the sets whose weights are there and yield, for each set, a line that says what became of it."""
    for name in names:
        missing = lacking(name, weights)
        if missing:
            files = ", ".join(f"{paths.show(path)} (`{command}` makes it)" for path, command in missing.items())
            yield f"{name}: not drawn, for want of {files}"
            continue
        folder = draw(name, settings, seed, out, weights, progress)
        counts = {source.name: len(list(source.glob("*.png"))) for source in sorted(folder.iterdir())}
        listed = ", ".join(f"{count} {source}" for source, count in counts.items() if count)
        yield f"{name}: {listed} in {paths.show(folder)}"
