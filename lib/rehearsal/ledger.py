"""What trainings, scorings and parts on the CPU take, a row each: hours, FLOPs, memory, disk.

The hours are those of the code as it is. Several GPUs share a training, each with CORES and `workers` processes that
read images. Validation and scoring read in one process on one GPU, so that more GPUs do not help them.
"""

from lib.data.items import MEMORY_LIMIT
from lib.rehearsal import cpu

LIMITS = {"GPU GiB": 80e9 / 2**30, "RAM GiB": 128, "disk GB": 1000}  # a stage that needs more fails
CORES = 16  # beside each GPU
BASE, WORKER = 4.0, 0.6  # GiB of a program with a CUDA context, and of a process that reads images: assumptions
SUMS = ["trainings", "images", "steps", "scored", "PFLOP", "GPU busy h", "hours, 1 GPU", "hours, 8 GPUs", "core-hours",
        "disk GB"]  # fmt: skip


class Costs:
    """The rows of the table, in the order in which they are added: trainings, scorings, parts on the CPU.

    params: at the scale to count; gpu: a Gpu; works: from `networks.counted`; seconds: from `cpu.table`.
    """

    def __init__(self, params, gpu, works, seconds):
        self.params, self.gpu, self.works, self.seconds, self.rows = params, gpu, works, seconds, []

    def add(self, stage, what, **numbers):
        nothing = dict.fromkeys([*SUMS, "GPU GiB", "RAM GiB"], 0)
        self.rows.append({"stage": stage, "what": what, **nothing, **numbers})

    def reading(self, size, images=None, native=None):
        """Return (core-seconds to read an image, whether so many images are kept in memory, as FaceImages decides)."""
        once = self.seconds["read"] * ((native or size) / cpu.LARGE) ** 2
        return once, images is not None and 3 * images * size**2 <= MEMORY_LIMIT

    def cpu(self, stage, what, seconds, cores=CORES, disk=0, ram=0, trainings=0):
        """Add a part on the CPU; seconds: core-seconds; cores: that share it; disk: GB; ram: GiB, BASE by default."""
        hours, wall = seconds / 3600, seconds / 3600 / cores
        self.add(stage, what, trainings=trainings, **{"core-hours": hours, "hours, 1 GPU": wall, "hours, 8 GPUs": wall,
                                                      "disk GB": disk, "RAM GiB": ram or BASE})  # fmt: skip

    def train(self, stage, what, key, budget, table, epoch, check, size, pixels=1.0, native=None, extra=0.0,
              epochs=None, shown=None, ram=0.0):  # fmt: skip
        """Add a training: table: images of its FaceImages; epoch: those of an epoch; check: those it is validated on.

        pixels: of an image to learn from, relative to the images that were counted; shown: the same of an image to
        validate on; size: side of the images that are read, native: on disk; extra: core-seconds an image besides
        reading; ram: GiB besides those of any training.
        """
        work, epochs, batch = self.works[key], epochs or budget.epochs, min(budget.batch_size, epoch)
        steps, (read, kept) = epochs * (epoch // batch), self.reading(size, table, native)
        fed = max(1, budget.workers)
        load = steps * batch * extra + read * (table if kept else steps * batch)
        busy, eight = (steps * work.seconds(self.gpu, batch / gpus, pixels) for gpus in (1, 8))
        ram += BASE + budget.workers * (WORKER + 2 * batch * 12 * size**2 / 2**30) + kept * 3 * table * size**2 / 2**30
        needed = work.fixed + batch * pixels * work.image
        self.add(stage, what, trainings=1, images=steps * batch, steps=steps, **{
            "PFLOP": steps * batch * pixels * work.flops.sum() / 1e15, "GPU busy h": busy / 3600,
            "hours, 1 GPU": max(busy, load / fed) / 3600, "hours, 8 GPUs": max(eight, load / fed / 8) / 3600,
            "core-hours": load / 3600, "GPU GiB": needed / 2**30, "RAM GiB": ram, "batch": batch,
            "fit": (LIMITS["GPU GiB"] * 2**30 - work.fixed) / (pixels * work.image),
            "disk GB": 2 * work.fixed / 1e9})  # fmt: skip
        self.score(stage, f"{what}, validation", key, check, size, shown or pixels, native, extra, times=epochs)

    def score(self, stage, what, key, images, size, pixels=1.0, native=None, extra=0.0, times=1, at_once=None):
        """Add the scoring of images, `times` over; at_once: in place of the detector's. The rest is as in `train`."""
        work, (read, kept) = self.works[key], self.reading(size, images, native)
        at_once, seen = at_once or work.at_once, images * times
        busy = seen / at_once * work.seconds(self.gpu, at_once, pixels, training=False)
        load = seen * extra + read * (images if kept else seen)
        self.add(stage, what, scored=seen, **{
            "PFLOP": seen * pixels * work.total_flops(training=False) / 1e15, "GPU busy h": busy / 3600,
            "hours, 1 GPU": (busy + load) / 3600, "hours, 8 GPUs": (busy + load) / 3600, "core-hours": load / 3600,
            "GPU GiB": (work.weights + at_once * pixels * work.scored) / 2**30, "batch": at_once,
            "RAM GiB": BASE + kept * 3 * images * size**2 / 2**30,
            "fit": (LIMITS["GPU GiB"] * 2**30 - work.weights) / (pixels * work.scored)})  # fmt: skip
