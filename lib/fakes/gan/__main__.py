"""Train generators and draw data sets with them: `python -m lib.fakes.gan COMMAND`, of which -h says more."""

import argparse
from pathlib import Path

from lib import paths
from lib.fakes.gan import finetune, images, sets, train, translate
from lib.params import SCALES, ParamsError, load, one_of


def main(arguments=None):
    """Run the command line `arguments` (None: those of the program)."""
    parser = argparse.ArgumentParser(prog="python -m lib.fakes.gan", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--scale", choices=SCALES)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name, about, weights=False):
        added = commands.add_parser(name, help=about, description=about)
        if weights:
            added.add_argument("--weights", type=Path, default=images.WEIGHTS, help="of generators (%(default)s)")
        return added

    teach = command("train", "train ProGAN, StyleGAN or StyleGAN2")
    teach.add_argument("name", choices=train.GENERATORS)
    teach.add_argument(
        "--people", choices=train.PEOPLE, default="train", help="people that it learns from (%(default)s)"
    )
    tune = command("finetune", "go on training until the spectrum is that of photographs: +R, +A", True)
    tune.add_argument("name", choices=("progan", "stylegan"))
    tune.add_argument("kind", choices=finetune.KINDS)
    command("translate", "train StarGAN v2 between faces with and without glasses")
    some = command("draw", "draw images with a trained generator", True)
    some.add_argument("name", help="of the weights, such as stylegan")
    some.add_argument("--count", type=int, default=100, help="of images (%(default)s)")
    some.add_argument("--first-seed", type=int, default=0, help="the first seed, the others follow (%(default)s)")
    some.add_argument("--quality", type=int, default=0, help="of JPEG; PNG by default")
    some.add_argument("--out", type=Path, required=True, help="folder to write")
    draw = command("images", "make data/CelebA-HQ, photographs beside generated faces", True)
    draw.add_argument("--out", type=Path, default=paths.DATA / "CelebA-HQ", help="folder to write (%(default)s)")
    more = command("sets", "draw the further test sets of Beyond the Spectrum")
    more.add_argument("--weights", type=Path, help="of generators (more_fakes.weights of params.yaml)")
    more.add_argument("--photographs", type=Path, help="beside the fakes, one folder a NAME (more_fakes.photographs)")
    more.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(sets.SETS)} (all)")
    more.add_argument("--out", type=Path, default=sets.GENERATED, help="folder to write (%(default)s)")
    given = parser.parse_args(arguments)
    try:
        run(given, load(given.scale))
    except ParamsError as error:
        parser.error(str(error))
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None


def run(given, params):
    """Do what the arguments ask for."""
    if given.command == "train":
        name = given.name if given.people == "train" else f"{given.name}_{given.people}"
        folder = paths.UNFINISHED / f"{name}_{params.scale}"
        splits = train.PEOPLE[given.people]
        train.export(name, train.train(given.name, params.generators, params.seed, folder, splits=splits), folder)
    elif given.command == "finetune":
        folder = paths.UNFINISHED / f"{given.name}_{given.kind}_{params.scale}"
        sections = params.finetuning, params.generators, params.seed
        print(finetune.finetune(given.name, given.kind, *sections, folder, weights=given.weights)[1])
    elif given.command == "translate":
        trained = translate.train(params.translation, params.seed, paths.UNFINISHED / f"stargan2_{params.scale}")
        translate.export(trained.average, train.WEIGHTS / "stargan2.safetensors")
    elif given.command == "draw":
        seeds = range(given.first_seed, given.first_seed + given.count)
        images.write_draws(given.out, images.load_generator(given.name, given.weights), seeds, given.quality)
    elif given.command == "images":
        images.make(given.out, given.weights)
    else:
        for name in given.names:
            one_of("NAME", name, sets.SETS)
        given.out.mkdir(parents=True, exist_ok=True)  # the pipeline wants the folder, even an empty one
        own = str(given.photographs.resolve()) if given.photographs else params.more_fakes.photographs
        settings = params.more_fakes.replace(photographs=own)
        for line in sets.draw_all(given.names or sets.SETS, settings, params.seed, given.out, given.weights):
            print(line)


if __name__ == "__main__":
    main()
