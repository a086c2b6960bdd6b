"""The further test sets of Beyond the Spectrum, drawn into generated/.

- CelebA-HQ+R, CelebA-HQ+A: fakes of the ProGAN and the StyleGAN that were finetuned for their spectra (Table 1);
- FFHQ: fakes of a StyleGAN and a StyleGAN2 that learned from other people (Table 2);
- StarGAN2: photographs with glasses put on or taken off (Fig. 6).

No detector learns from a person in them. The photographs of FFHQ are of the validation people, because Table 2 is about
other photographs, too; all others are of the test people. No face is drawn from a seed that data/CelebA-HQ has used,
because a finetuned generator draws almost the same face from the same seed. File size and brightness are matched as in
`images`.
"""

from lib import paths
from lib.fakes.gan import images, translate

GENERATED = paths.OUTPUTS / "generated"
SETS = {
    "CelebA-HQ+R": ("CelebA-HQ", "test", {"ProGAN": ("progan_R", {}), "StyleGAN": ("stylegan_R", {})}),
    "CelebA-HQ+A": ("CelebA-HQ", "test", {"ProGAN": ("progan_A", {}), "StyleGAN": ("stylegan_A", {})}),
    "FFHQ": ("FFHQ", "val", {"StyleGAN": ("stylegan_others", {}), "StyleGAN2-0.5": ("stylegan2_others", {"psi": 0.5}),
                             "StyleGAN2-1.0": ("stylegan2_others", {"psi": 1.0})}),
    "StarGAN2": ("CelebA-HQ", "test", {"StarGAN2": ("stargan2", {})}),
}  # fmt: skip
"""{set: (folder of photographs, split of their people, {folder of fakes: (name of weights, options of `sample`)})}."""

COMMANDS = {
    **{f"{name}_{kind}": f"finetune {name} {kind}" for name in ("progan", "stylegan") for kind in ("R", "A")},
    **{f"{name}_others": f"train {name} --people others" for name in ("stylegan", "stylegan2")},
    "stargan2": "translate",
}
"""What makes the weights: the arguments of `python -m lib.fakes.gan`."""


def draw(name, settings, seed, out=GENERATED, weights=images.WEIGHTS):
    """Write the set `name`, one of SETS, to out/NAME and return that folder; what lies there is replaced at the end.

    settings: the section `more_fakes`. Raises FileNotFoundError for missing weights or photographs, ValueError for
    photographs that are smaller than what the generators draw, or grey beside colour.
    """
    (real, people, sources), own = SETS[name], own_photographs(name, settings)
    if name == "StarGAN2":
        model = translate.load(weights / "stargan2.safetensors")
        translate.make(out / name, model, seed, settings.draws, real, people, own)
    else:
        images.make(out / name, weights, settings.draws, settings.first_seed, sources, real, [people], "test", own)
    return out / name


def own_photographs(name, settings):
    """Return the folder of the user's photographs for the set `name`, or None for those that are bundled."""
    return paths.resolve(settings.photographs) / name if settings.photographs else None


def draw_all(names, settings, seed, out=GENERATED, weights=None):
    """Write the sets and yield a line for each: what was drawn, or which weights are missing and what makes them.

    settings: the section `more_fakes`; weights: folder of the generators, `settings.weights` if None. If that is empty,
    as at the paper's scale, nothing is drawn, because the bundled generators draw small grey faces.
    """
    weights = weights or (settings.weights and paths.resolve(settings.weights))
    if not weights:
        yield "nothing is drawn: more_fakes.weights names no generators; name folders of ready images in test_sets"
        return
    for name in names:
        needed = {weights / f"{network}.safetensors": COMMANDS[network] for network, _ in SETS[name][-1].values()}
        missing = {paths.show(path): command for path, command in needed.items() if not path.is_file()}
        files = [f"{path} (`python -m lib.fakes.gan {command}` makes it)" for path, command in missing.items()]
        own = own_photographs(name, settings)
        if own and not own.is_dir():
            files.append(f"{paths.show(own)} (its photographs)")
        if files:
            yield f"{name}: not drawn, because these are missing: {', '.join(files)}"
            continue
        folder = draw(name, settings, seed, out, weights)
        counts = {source.name: len(list(source.glob("*.png"))) for source in sorted(folder.iterdir())}
        listed = ", ".join(f"{count} {source}" for source, count in counts.items() if count)
        yield f"{name}: {listed} in {paths.show(folder)}"
