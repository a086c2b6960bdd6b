"""How many images the notebooks among the stages of dvc.yaml send through networks, and the list of all stages."""

from lib import detectors
from lib.rehearsal import cpu, stages
from lib.rehearsal.ledger import BASE
from lib.rehearsal.networks import RDN_KEY
from lib.rehearsal.stages import face_sets, sets_of_images, tested


def pictures(params):
    """Return the number of test photographs, and the number of generators; each has as many test images."""
    data_set, _, _, generators = sets_of_images(params)[""]
    return data_set.counts[2], generators


def on_cpu(costs, stage, what, key, images, pixels=1.0, at_once=1):
    """Add the pictures that a notebook sends through a network on the CPU."""
    work = costs.works[key]
    seconds = images * (pixels * work.total_flops(training=False) / 1e12 * costs.seconds["teraflop"])
    costs.cpu(stage, what, seconds, ram=BASE + at_once * pixels * work.scored / 2**30)


def re_synthesis_notebook(costs, stage):
    settings, (_, generators) = costs.params.re_synthesizer, pictures(costs.params)
    on_cpu(costs, stage, "pictures", RDN_KEY, 80 * (1 + generators) + 144, (settings.size / settings.patch) ** 2, 24)


def residuals_notebook(costs, stage):
    (test, generators), size = pictures(costs.params), costs.params.re_synthesizer.size
    costs.score(stage, "residuals of all test pictures", "SR", test * (1 + generators), size, at_once=1)


def results_notebook(costs, stage):
    settings, (test, generators) = costs.params.re_synthesizer, pictures(costs.params)
    pixels, area = (settings.size / settings.patch) ** 2, (settings.size / cpu.LARGE) ** 2
    images = test * (1 + generators)
    costs.score(stage, "residuals of SR", RDN_KEY, images, settings.size, pixels, at_once=16)
    each = area * (costs.seconds["read"] + costs.seconds["grey spectrum"])
    costs.cpu(stage, "spectra", each * test * (1 + 5 * generators), cores=1)  # raw, R, A, E, P


def pel_notebook(costs, stage):
    own, *others = face_sets(costs.params).values()
    for name in ("PEL", "RGB"):
        costs.score(stage, f"{name}, own test", name, tested(*own[:2]), own[2])
        for data_set, parts, native in others:
            if data_set in costs.params.data.cross_forged:  # all its faces, those to train on among them
                images = sum(map(sum, parts.values()))
                costs.score(stage, f"{name}, {data_set.layout}", name, images, own[2], native=native)


def heat_notebook(costs, stage):
    params, (_, generators) = costs.params, pictures(costs.params)
    costs.score(stage, "forged faces", "PEL", 2 * 240 + 240 + 300, params.faces.size, at_once=32)
    costs.score(stage, "pictures", "SR", 60 * (1 + generators), params.re_synthesizer.size, at_once=32)


def both_notebook(costs, stage):
    params, (_, generators) = costs.params, pictures(costs.params)
    images = 240 * (1 + generators)
    for name in [*detectors.names("pel"), "PEL"]:
        costs.score(stage, name, name, images, params.faces.size, native=params.re_synthesizer.size)
    for name in ("Image", "FFT-2d", "DCT-2d", "GramNet", "SR", "SR"):
        costs.score(stage, name, name, images, params.re_synthesizer.size)


def start_notebook(costs, stage):
    test, generators = pictures(costs.params)
    costs.score(stage, "all test pictures", "SR", test * (1 + generators), costs.params.re_synthesizer.size)


def little(costs, stage):
    """Add nothing: at the paper's scale the stage draws, or shows some hundred pictures."""


STAGES = {
    "real_and_forged_faces": stages.real_and_forged_faces,
    "re_synthesizers": stages.re_synthesizers,
    "re_synthesis": re_synthesis_notebook,
    "more_fakes": little,
    "wiped_fakes": stages.wiped_fakes,
    "bts_detectors": stages.bts_detectors,
    "residual_detectors": residuals_notebook,
    "beyond_the_spectrum_results": results_notebook,
    "fine_grained_frequency": little,
    "pel_detectors": stages.pel_detectors,
    "progressive_enhancement": pel_notebook,
    "pel_results": little,
    "ablation_rows": stages.ablation_rows,
    "pel_ablations": little,
    "what_the_networks_see": heat_notebook,
    "cross_training": stages.cross,
    "both_papers": both_notebook,
    "start_here": start_notebook,
    "playground": little,
}
