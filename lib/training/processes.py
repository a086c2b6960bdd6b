"""What the processes of torchrun need that train one network together, on one machine or several."""

import datetime
import secrets
import time

import accelerate
import torch

from lib import paths

PATIENCE = datetime.timedelta(days=7)  # how long processes wait for the first, which alone cuts faces and validates
SEEN_WITHIN = 60  # seconds until all machines see a file that one of them has written


def accelerator(name, batch_size):
    """Return the accelerate.Accelerator of the training `name`, for all processes that have been started.

    Raises ValueError in one line if they cannot share a batch equally, RuntimeError if their outputs are not on one
    disk.
    """
    cpu, waiting = not torch.cuda.is_available(), accelerate.InitProcessGroupKwargs(timeout=PATIENCE)
    found = accelerate.Accelerator(
        cpu=cpu,
        mixed_precision="no",  # accelerate's autocast would stay in the network and change its scores
        dataloader_config=accelerate.DataLoaderConfiguration(split_batches=True, even_batches=False),
        kwargs_handlers=[waiting],
    )
    if batch_size % found.num_processes:
        fits = ", ".join(str(count) for count in range(1, batch_size + 1) if batch_size % count == 0)
        raise ValueError(f"{name}: batch_size {batch_size} is not shared equally by {found.num_processes} processes; "
                         f"start one of {fits}")  # fmt: skip
    if found.num_processes > 1:
        _share_a_disk(found)
    return found


def _share_a_disk(accelerator):
    """Raise RuntimeError if a process does not see what the first one writes: it could neither resume nor end."""
    file, word = paths.UNFINISHED / "seen_by_all", [secrets.token_hex(8)]
    accelerate.utils.broadcast_object_list(word)
    if accelerator.is_main_process:
        paths.replace(file, lambda temporary: temporary.write_text(word[0]))
    deadline = time.monotonic() + SEEN_WITHIN
    while not (seen := file.is_file() and file.read_text() == word[0]) and time.monotonic() < deadline:
        time.sleep(0.1)
    if not all(accelerate.utils.gather_object([seen])):
        remedy = "let DEEPFAKE_OUTPUTS name one on a disk that they share"
        raise RuntimeError(f"{paths.UNFINISHED}: not all machines see one and the same folder here; {remedy}")
