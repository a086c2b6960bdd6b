"""What changes when the re-synthesizer is trained together with the detectors: BTS section 4.2, over several seeds.

`python -m lib.bts.joint_training --seeds 0 1 2` writes results/tables/bts_end_to_end.csv, which notebook 03 draws.
"""

import argparse
import dataclasses
import time
from dataclasses import dataclass

import pandas as pd
import torch

from lib import detectors, paths, preflight
from lib.bts import residuals, sets
from lib.bts.degradations import TASKS
from lib.bts.detector import detector_loss
from lib.bts.joint_model import EndToEnd, joint_loss
from lib.bts.perceptual import reconstruction
from lib.bts.train import network
from lib.data import layouts, perturb
from lib.data.items import Balanced, FaceImages
from lib.evaluation.metrics import metrics
from lib.evaluation.predict import predict
from lib.params import ParamsError, load
from lib.sections import Section
from lib.training import staleness
from lib.training.fit import fit

VARIANTS = ("start", "frozen", "released", "joint")
RELEASED = {"learning_rate": 1e-6, "detector_weight": 1e-3}  # as in the released script; together a step size of 1e-9
KEYS = ["scale", "data", "task", "source", "seed", "variant"]  # columns that identify a row of the table


@dataclass
class Comparison:
    """All VARIANTS, trained with one seed against one source; the first three fields are sections of params.yaml."""

    re_synthesizer: Section
    residual_detectors: Section
    joint_training: Section
    table: pd.DataFrame
    source: str
    seed: int

    def __post_init__(self):
        self.task, self.size = self.joint_training.task, self.re_synthesizer.size
        self.learn = sets.rows(self.table.iloc[sets.of_source(self.table, self.source)], "train")
        self.images = FaceImages(self.learn, self.size, flip=True, seed=self.seed)

    def start(self):
        """Train the detectors on the residuals of a re-synthesizer that stays as it is: (EndToEnd, its history).

        The budget is that of `residual_detectors`. The last epoch is kept: no validation or test image chooses it.
        """
        entry = dataclasses.replace(detectors.entry(f"SR+{self.task}" if self.task else "SR"), network=EndToEnd)
        sections = {"re_synthesizer": self.re_synthesizer, "residual_detectors": self.residual_detectors}
        model, self.options = network(entry, self.size, self.seed, **sections)
        return model, self._fit(model, detector_loss, self.residual_detectors, "start", decay_at=(0.5,))

    def go_on(self, model, variant):
        """Train a copy of the model of `start` further: (EndToEnd, its history).

        variant "joint": re-synthesizer and detectors learn, each with its own learning rate. "frozen": only the
        detectors learn, for as many steps. "released": as in the released code, the re-synthesizer requires no gradient
        and the detectors learn with RELEASED; weight decay and the statistics of batch norm still change the detectors.
        """
        settings, shared = self.joint_training, self.re_synthesizer
        again = EndToEnd(**self.options, pretrained=False)
        again.load_state_dict(model.state_dict())
        again.re_synthesizer.requires_grad_(variant == "joint")
        again.re_synthesizer.checkpoint = settings.checkpoint
        groups = [{"params": list(again.detectors.parameters()), "lr": settings.detector_learning_rate}]
        weight, optimizer = 1.0, settings.optimizer
        if variant == "joint":
            groups.append({"params": list(again.re_synthesizer.parameters()), "lr": settings.learning_rate})
        elif variant == "released":
            groups[0]["lr"], weight, optimizer = RELEASED["learning_rate"], RELEASED["detector_weight"], "sgd"
        loss = joint_loss(again, TASKS[settings.task], shared.stage_weights, shared.loss, weight)
        return again, self._fit(again, loss, settings, variant, parameters=groups, optimizer=optimizer)

    def run(self):
        """Train all VARIANTS and measure each: a DataFrame, one row a variant.

        Columns: task, source, seed, variant.
        psnr, loss, degraded_psnr, degraded_loss: `reconstruction` of the photographs of the validation people, without
        and with Omega. No variant is trained on these photographs; but they chose the best epoch of the re-synthesizer
        that all variants start from, which favours "start".
        raw_accuracy, raw_auc: of Eq. 4 on the test photographs and the fakes of the source; other_...: with the fakes
        of all other generators instead; P_...: with the fakes of the source after +P.
        re_synthesizer_change, detector_change: the largest change of a weight since "start"; minutes: of the training.
        """
        first, history = self.start()
        tests = self.tests()
        photographs = FaceImages(sets.rows(self.table, "val", 0), self.size)
        rows = []
        for variant in VARIANTS:
            model = first
            if variant != "start":
                model, history = self.go_on(first, variant)
            row = {"task": self.task, "source": self.source, "seed": self.seed, "variant": variant}
            for prefix, degrade in (("", TASKS[""]), ("degraded_", TASKS[self.task])):
                found = reconstruction(model.re_synthesizer, model.perceptual, photographs, self.re_synthesizer,
                                       degrade, self.seed)  # fmt: skip
                row |= {f"{prefix}{name}": found[name] for name in ("psnr", "loss")}
            for name, (images, items) in tests.items():
                numbers = metrics(images, predict(model, items), level="frame", n_bootstrap=1)
                row |= {f"{name}_{metric}": numbers[f"frame_{metric}"] for metric in ("accuracy", "auc")}
            row["re_synthesizer_change"] = _largest_change(first.re_synthesizer, model.re_synthesizer)
            row["detector_change"] = _largest_change(first.detectors, model.detectors)
            rows.append(row | {"minutes": history["seconds"].sum() / 60})
        return pd.DataFrame(rows)

    def tests(self):
        """Return the tests {"raw", "other", "P": (rows, items)}; "other" only where there is another generator."""
        test = sets.rows(self.table, "test")
        known = test.iloc[sets.of_source(test, self.source)].reset_index(drop=True)
        others = test[(test["label"] == 0) | ~test["method"].isin(known["method"])].reset_index(drop=True)
        found = {"raw": (known, FaceImages(known, self.size))}
        if others["label"].any():
            found["other"] = others, FaceImages(others, self.size)
        return found | {"P": (known, perturb.Changed(found["raw"][1], known, perturb.chain, self.seed))}

    def _fit(self, model, loss, settings, variant, parameters=None, optimizer="sgd", decay_at=()):
        began = time.perf_counter()

        def validate(model):
            nonlocal began
            seconds, began = time.perf_counter() - began, time.perf_counter()
            return {"seconds": seconds}

        depends_on = {"images": staleness.images(self.learn), "size": self.size, "variant": [variant, RELEASED],
                      "loss": self.re_synthesizer.model_dump(),
                      "code": ("lib.bts.joint_model", "lib.data.items")}  # fmt: skip
        return fit(model, loss, Balanced(self.learn, self.images, self.seed), settings,
                   f"joint_training/{variant}_{self.seed}", seed=self.seed, depends_on=depends_on, validate=validate,
                   monitor="epoch", config={"detector": "SR", "options": self.options, "size": self.size},
                   parameters=parameters, optimizer=optimizer, decay_at=decay_at)  # fmt: skip


def write(rows):
    """Write rows into results/tables/bts_end_to_end.csv, where they replace rows with the same KEYS."""
    file = paths.TABLES / "bts_end_to_end.csv"
    before = [pd.read_csv(file, keep_default_na=False)] if file.is_file() else []
    whole = pd.concat([*before, rows]).drop_duplicates(KEYS, keep="last")
    paths.replace(file, lambda temporary: whole.to_csv(temporary, index=False, float_format="%.6g"))


@torch.no_grad()
def _largest_change(before, after):
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    return max((a.cpu() - b.cpu()).abs().max().item() for a, b in pairs)


def main(arguments=None):
    """Run the command line; a mistake in params.yaml or a missing file ends it with one line, not a traceback."""
    parser = argparse.ArgumentParser(prog="python -m lib.bts.joint_training", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    seeds = parser.parse_args(arguments).seeds
    try:
        params = load()
        preflight.stop(params)
        data_set, sections = params.data.generated, (params.re_synthesizer, params.residual_detectors)
        table = layouts.images(data_set, params.seed, params.re_synthesizer.limit)
        with residuals.keep(params.residual_detectors.in_memory):
            for seed in seeds:  # all start from one re-synthesizer; a seed sets the detectors, the order and Omega
                rows = Comparison(*sections, params.joint_training, table, sets.sources(table)[0], seed).run()
                rows = rows.assign(scale=params.scale, data=data_set.root)
                write(rows[[*KEYS, *(column for column in rows if column not in KEYS)]])
                for row in rows.to_dict("records"):
                    print(f"seed {seed}, {row['variant']}: PSNR {row['psnr']:.3f} dB, loss {row['loss']:.5f}, "
                          f"accuracy {row['raw_accuracy']:.3f}, {row['minutes']:.1f} minutes")  # fmt: skip
    except (ParamsError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
