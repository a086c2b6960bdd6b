"""What changes when the re-synthesizer is trained together with the detectors: BTS section 4.2, over several seeds.

`python -m lib.bts.joint_training --seeds 0 1 2` writes results/tables/bts_end_to_end.csv, which notebook 03 draws.
"""

import argparse
import time

import pandas as pd
import torch
from torch.utils.data import DataLoader

from lib import paths
from lib.bts import sets as bts_sets
from lib.bts import train
from lib.bts.degradations import TASKS
from lib.bts.detector import detector_loss
from lib.bts.joint_model import EndToEnd, joint_loss
from lib.bts.perceptual import re_synthesis_loss
from lib.bts.predict import stage_scores
from lib.bts.re_synthesizer import box_mean
from lib.bts.residuals import Residuals
from lib.data import perturb
from lib.data.items import Balanced, FaceImages
from lib.evaluation.metrics import metrics
from lib.params import ParamsError, load
from lib.training.device import device
from lib.training.fit import fit

VARIANTS = ("start", "frozen", "released", "joint")
RELEASED = {"learning_rate": 1e-6, "detector_weight": 1e-3}  # the released script's: together a step of 1e-9
KEYS = ["scale", "data", "task", "source", "seed", "variant"]  # what names a row of the table


def start(params, table, re_synthesizer):
    """Train the detectors on the residuals of a re-synthesizer that stays as it is: (EndToEnd, its history).

    The budget of `residual_detectors`; the last epoch is kept, so that no test or validation image has a say.
    """
    own = params.residual_detectors
    model = train.beyond_the_spectrum(params, re_synthesizer, own.stages, own.stage_weights, EndToEnd)
    items = train.items_of(params, table, model, flip=True)
    history = _fit(params, model, detector_loss, Balanced(table, items, params.seed), own, "start", (0.5,))
    return model, history, items


def go_on(params, table, model, items, variant):
    """Go on training a copy of `start`'s model: (EndToEnd, its history).

    variant: "joint": re-synthesizer and detectors learn, each with its own learning rate. "frozen": the detectors
    alone, the same steps. "released": what the released code does, whose re-synthesizer asks for no gradient and whose
    classifiers get RELEASED; weight decay and the statistics of batch norm work on.
    """
    settings, shared = params.joint_training, params.re_synthesizer
    again = EndToEnd(**model.config, pretrained=False)
    again.load_state_dict(model.state_dict())
    again.re_synthesizer.requires_grad_(variant == "joint")
    again.re_synthesizer.checkpoint = settings.checkpoint
    groups = [{"params": list(again.detectors.parameters()), "lr": settings.detector_learning_rate}]
    weight, optimizer = 1.0, settings.optimizer
    if variant == "joint":
        groups.append({"params": list(again.re_synthesizer.parameters()), "lr": settings.learning_rate})
        items = FaceImages(table, shared.size, flip=True, seed=params.seed)
    elif variant == "released":
        groups[0]["lr"], weight, optimizer = RELEASED["learning_rate"], RELEASED["detector_weight"], "sgd"
    loss = joint_loss(again, TASKS[settings.task], shared.stage_weights, shared.loss, weight)
    train_set = Balanced(table, items, params.seed)
    return again, _fit(params, again, loss, train_set, settings, variant, parameters=groups, optimizer=optimizer)


@torch.inference_mode()
def reconstruction(params, re_synthesizer, perceptual, photographs, degrade, prefix=""):
    """Return {"psnr", "loss"}: how far the re-synthesized photographs are from themselves, in dB and by Eq. 3.

    photographs: items; degrade: Omega, with the same draws at each call; prefix: of the names in the result.
    """
    settings, generator, found = params.re_synthesizer, torch.Generator().manual_seed(params.seed), []
    for batch in DataLoader(photographs, 1):
        rgb = batch["rgb"].to(device())
        output = re_synthesizer(degrade(box_mean(rgb, re_synthesizer.scale), generator))
        distance = re_synthesis_loss(perceptual, rgb, output, settings.stage_weights, settings.loss)["loss"]
        psnr = -10 * (rgb - output.clamp(0, 1)).square().mean().log10()
        found.append({"psnr": psnr.item(), "loss": distance.item()})
    return pd.DataFrame(found).mean().add_prefix(prefix).to_dict()


def run(params, table, re_synthesizer, source, seed):
    """Train all VARIANTS with one seed and measure each: a DataFrame, one row a variant.

    Columns: KEYS; psnr, loss, degraded_psnr, degraded_loss: `reconstruction` on the photographs of the validation
    people, clean and after Omega (no step learned from them; the re-synthesizer that all start from was the best of
    its epochs on them, which favours the start); raw_, other_ and P_accuracy and _auc: Eq. 4 on the test photographs
    with the fakes of `source`, with those of all other generators, and with those of `source` after +P;
    re_synthesizer_change, detector_change: the largest change of a weight since the start; minutes: of the training.
    """
    params = params.replace(seed=seed)
    table = table.reset_index(drop=True)
    learn = bts_sets.rows(table.iloc[bts_sets.of_source(table, source)], "train")
    first, history, items = start(params, learn, re_synthesizer)
    test_sets = _test_sets(params, table, source)
    kept = {name: (rows, _kept(params, first, images)) for name, (rows, images) in test_sets.items()}
    photographs = FaceImages(bts_sets.rows(table, "val", 0), params.re_synthesizer.size)
    rows = []
    for variant in VARIANTS:
        model = first
        if variant != "start":
            model, history = go_on(params, learn, first, items, variant)
        row = {"scale": params.scale, "data": params.data.generated.root, "task": params.joint_training.task}
        row |= {"source": source, "seed": seed, "variant": variant}
        for prefix, degrade in (("", TASKS[""]), ("degraded_", TASKS[params.joint_training.task])):
            row |= reconstruction(params, model.re_synthesizer, model.perceptual, photographs, degrade, prefix)
        for name, (images, ready) in (test_sets if variant == "joint" else kept).items():
            scores = stage_scores(model, ready)["Avg"]
            numbers = metrics(images, scores, level="frame", n_bootstrap=1)
            row |= {f"{name}_{metric}": numbers[f"frame_{metric}"] for metric in ("accuracy", "auc")}
        row["re_synthesizer_change"] = _largest_change(first.re_synthesizer, model.re_synthesizer)
        row["detector_change"] = _largest_change(first.detectors, model.detectors)
        rows.append(row | {"minutes": history["seconds"].sum() / 60})
    return pd.DataFrame(rows)


def write(rows):
    """Put rows into results/tables/bts_end_to_end.csv, in the place of those with the same KEYS."""
    file = paths.TABLES / "bts_end_to_end.csv"
    before = [pd.read_csv(file, keep_default_na=False)] if file.is_file() else []
    whole = pd.concat([*before, rows]).drop_duplicates(KEYS, keep="last")
    paths.replace(file, lambda temporary: whole.to_csv(temporary, index=False, float_format="%.6g"))


def _fit(params, model, loss, train_set, settings, variant, decay_at=(), parameters=None, optimizer="sgd"):
    began = time.perf_counter()

    def validate(model):
        nonlocal began
        seconds, began = time.perf_counter() - began, time.perf_counter()
        return {"seconds": seconds}

    name = f"end_to_end_{variant}_{params.seed}"
    return fit(model, loss, train_set, settings, name, seed=params.seed, validate=validate, monitor="epoch",
                     config=model.config, parameters=parameters, optimizer=optimizer, decay_at=decay_at)  # fmt: skip


def _test_sets(params, table, source):
    """Return {"raw", "other", "P": (rows, items)} of the test images; "other" only where there is another generator."""
    test, size = bts_sets.rows(table, "test"), params.re_synthesizer.size
    known = test.iloc[bts_sets.of_source(test, source)].reset_index(drop=True)
    others = test[(test["label"] == 0) | ~test["method"].isin(known["method"])].reset_index(drop=True)
    sets = {"raw": (known, FaceImages(known, size))}
    if others["label"].any():
        sets["other"] = others, FaceImages(others, size)
    return sets | {"P": (known, perturb.Changed(sets["raw"][1], known, perturb.chain, params.seed))}


def _kept(params, model, images):
    """Return items with the residuals that all variants but "joint" share, where memory keeps them."""
    if not params.residual_detectors.in_memory:
        return images
    return Residuals(images, lambda rgb: model.residuals(rgb.to(device())))


@torch.no_grad()
def _largest_change(before, after):
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    return max((a.cpu() - b.cpu()).abs().max().item() for a, b in pairs)


def main(arguments=None):
    """Run the command line; ends with a line instead of a trace where params.yaml is wrong."""
    parser = argparse.ArgumentParser(prog="python -m lib.bts.joint_training", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    seeds = parser.parse_args(arguments).seeds
    try:
        params = load()
    except ParamsError as error:
        raise SystemExit(f"params.yaml: {error}") from None
    table = bts_sets.image_table(params)
    source = bts_sets.sources(table)[0]
    # One re-synthesizer for all seeds, that of notebook 02: they vary the detectors, the order and Omega.
    re_synthesizer, _ = train.train_re_synthesizer(params, table, params.joint_training.task)
    for seed in seeds:
        rows = run(params, table, re_synthesizer, source, seed)
        write(rows)
        for row in rows.to_dict("records"):
            print(f"seed {seed}, {row['variant']}: PSNR {row['psnr']:.3f} dB, loss {row['loss']:.5f}, "
                  f"accuracy {row['raw_accuracy']:.3f}, {row['minutes']:.1f} minutes")  # fmt: skip


if __name__ == "__main__":
    main()
