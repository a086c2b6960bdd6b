"""docs/cluster.md and docs/slurm: what they tell a researcher to type works."""

import os
import re
import signal
import subprocess
import time

import pytest

from lib import detectors, params, paths, preflight

PAGE = (paths.ROOT / "docs/cluster.md").read_text()
SCRIPTS = sorted((paths.ROOT / "docs/slurm").glob("*.sh"))
TOLD = PAGE + "".join(script.read_text() for script in SCRIPTS)
ANY = re.compile(r"(?:python\s+-m|torchrun .*?-m|slurm/\w+\.sh)\s+(lib(?:\.\w+)+)([^`#\n]*)")


def commands():
    """Return (module, its arguments) of each command of the page and in the comments of the scripts."""
    return [(module, arguments.split()) for module, arguments in ANY.findall(TOLD)]


def test_every_command_exists_and_takes_the_options_that_are_shown():
    assert {"lib.data.faces", "lib.bts.wiped", "lib.detect", "lib.pel.score"} <= {module for module, _ in commands()}
    for module, arguments in commands():
        base = paths.ROOT / module.replace(".", "/")
        file = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__main__.py"
        source = file.read_text()
        assert '__name__ == "__main__"' in source, module
        for option in (argument for argument in arguments if argument.startswith("--")):
            assert f'"{option}"' in source, (module, option)
        if module in ("lib.pel.score", "lib.bts.score"):
            names = arguments[: next((i for i, each in enumerate(arguments) if each.startswith("--")), None)]
            assert set(names) <= set(detectors.names(module.split(".")[1])), (module, names)


def test_all_imagenet_weights_that_the_papers_scale_needs_are_fetched_before_a_job_waits():
    fetched = re.findall(r"'([\w.]+)'", "".join(re.findall(r'python -c "(.*)"', PAGE)))
    assert set(fetched) - {"IMAGENET1K_V1"} == set(preflight.networks(params.read("paper")).values())


def test_the_page_is_short_its_links_live_and_its_numbers_of_processes_are_those_of_params_yaml():
    assert len(PAGE.splitlines()) <= 165
    assert all((paths.ROOT / "docs" / link).is_file() for link in re.findall(r"\]\(([\w./-]+)\)", PAGE))
    assert all((paths.ROOT / script).is_file() for script in re.findall(r"docs/slurm/\w+\.sh", TOLD))
    paper = params.read("paper")
    used = [paper.pel.training, paper.re_synthesizer, paper.residual_detectors]
    rows = re.findall(r"^\| [^|]+ \| (\d+) \| ([\d, ]+) \|$", PAGE, re.M)
    assert [int(batch) for batch, _ in rows] == [budget.batch_size for budget in used]
    for batch, processes in rows:
        fits = [count for count in range(1, int(batch) + 1) if int(batch) % count == 0]
        assert processes == ", ".join(map(str, fits))
    header = dict(re.findall(r"^#SBATCH --([\w-]+)=(\d+)", (paths.ROOT / "docs/slurm/train.sh").read_text(), re.M))
    budgets = {"lib.pel.score": used[0], "lib.bts.re_synthesis": used[1]}
    shown = re.findall(r"sbatch (?:--nodes=(\d+) )?docs/slurm/train.sh ([\w.]+)", TOLD)
    assert len(shown) >= 3
    for nodes, module in shown:
        gpus = int(nodes or header["nodes"]) * int(header["gpus-per-node"])
        assert budgets[module].batch_size % gpus == 0, (module, gpus)
    assert paper.ablations.training.batch_size == used[0].batch_size


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_bash_and_slurm_can_read_a_script(script):
    subprocess.run(["bash", "-n", script], check=True)
    lines = script.read_text().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert all(line.startswith("#") for line in lines[:last]), "SLURM reads no option after the first command"


STAND_INS = {
    "srun": 'while [[ $1 == -* ]]; do shift; done; exec "$@"',
    "scontrol": '[ "$1" = show ] && printf "node1\\nnode2\\n" || echo "scontrol $*"',
    "torchrun": 'echo "torchrun $*"; [ -z "${LONG:-}" ] || exec sleep 20',
    "python": 'echo "python $*"; sleep 0.5',
    "dask": 'if [ "$1" = scheduler ]; then echo \'{"address": "tcp://node1:1234", "id": "x"}\' > "${@: -1}"; '
    'else echo "dask $*"; fi; exec sleep 20',
}  # fmt: skip


@pytest.fixture
def job(tmp_path):
    """Start a script of docs/slurm as SLURM would, with stand-ins for all that it calls."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text(f"PATH={tmp_path}/.venv/bin:$PATH\n")
    for name, body in STAND_INS.items():
        (tmp_path / ".venv/bin" / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    given = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node[1-2]",
             "SLURM_JOB_NUM_NODES": "2", "SLURM_GPUS_ON_NODE": "4", "SLURM_CPUS_PER_TASK": "32",
             "SLURM_ARRAY_TASK_ID": "1"}  # fmt: skip
    outside = {name: value for name, value in os.environ.items() if name != "DEEPFAKE_OUTPUTS"}

    def start(script, *arguments, **more):
        return subprocess.Popen(
            ["bash", paths.ROOT / "docs/slurm" / script, *arguments], env={**outside, **given, **more},
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    return start


def test_a_training_starts_a_process_for_each_gpu_of_both_nodes_which_meet_at_the_first(job):
    out, _ = (process := job("train.sh", "lib.pel.score", "PEL")).communicate(timeout=20)
    assert process.returncode == 0
    meeting = "--rdzv_backend c10d --rdzv_endpoint node1:20007 --rdzv_id 7"
    assert out == f"torchrun --nnodes 2 --nproc_per_node 4 {meeting} -m lib.pel.score PEL\n"


def test_a_training_whose_time_is_over_asks_to_be_started_again(job):
    process = job("train.sh", "lib.pel.score", "PEL", LONG="1")
    assert process.stdout.readline().startswith("torchrun")
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "scontrol requeue 7\n"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=20)


def test_each_task_of_an_array_trains_the_detector_of_its_number(job):
    out, _ = job("one_each.sh", "lib.bts.score", "SR", "SR+C", "SR+D").communicate(timeout=20)
    assert out == "python -m lib.bts.score SR+C\n"


def test_the_cluster_of_a_job_gets_the_command_and_ends_with_it(job, tmp_path):
    began = time.monotonic()
    out, _ = (process := job("dask.sh", "lib.detect", "FOLDER", "--csv", "scores.csv")).communicate(timeout=30)
    assert process.returncode == 0 and time.monotonic() - began < 15
    worker, command = sorted(out.splitlines())
    assert worker.startswith("dask worker --scheduler-file") and "--nworkers 32 --nthreads 1" in worker
    assert command == "python -m lib.detect FOLDER --csv scores.csv --scheduler tcp://node1:1234"
    assert not list(tmp_path.glob(".dask*"))
