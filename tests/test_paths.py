import os
import stat

import pytest
import torch
from torch import nn

from lib import paths
from lib.data.image import write_png
from lib.training import checkpoints


@pytest.fixture(params=[(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)], ids=["022", "002", "077"])
def allowed(request):
    umask, mode = request.param
    before = os.umask(umask)
    yield mode
    os.umask(before)


WRITERS = {
    "text": lambda file: paths.replace(file, lambda temporary: temporary.write_text("a")),
    "weights": lambda file: checkpoints.save(nn.Linear(1, 1), file, {}),
    "image": lambda file: write_png(file, torch.zeros(2, 2, dtype=torch.uint8).numpy()),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_colleagues_may_read_what_the_umask_lets_them_read(kind, allowed, tmp_path):
    for _ in range(2):  # a file that is there already is replaced by one of the same mode
        WRITERS[kind](tmp_path / "file")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == allowed
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "file").write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        paths.replace(tmp_path / "file", fail)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]
