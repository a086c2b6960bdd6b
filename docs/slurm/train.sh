#!/bin/bash
# One training on all GPUs of two nodes: sbatch docs/slurm/train.sh lib.pel.score PEL
# Started again, by hand or by SLURM, it goes on after its last whole epoch, on any number of nodes.
#SBATCH --job-name=train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1 # torchrun starts one process for each GPU
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=36 # 8 that read images for each GPU, and the trainings themselves
#SBATCH --mem=256G
#SBATCH --time=24:00:00
#SBATCH --requeue # a job that others push out waits and starts again
#SBATCH --signal=B:USR1@300 # told 5 minutes before its time is over, it does the same
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?start me by sbatch, from the repository}"
source .venv/bin/activate

read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST") # the first node, where the processes meet
port=$((20000 + SLURM_JOB_ID % 20000))
export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / SLURM_GPUS_ON_NODE))

trap 'scontrol requeue "$SLURM_JOB_ID"' USR1
srun --kill-on-bad-exit=1 torchrun \
    --nnodes "$SLURM_JOB_NUM_NODES" --nproc_per_node "$SLURM_GPUS_ON_NODE" \
    --rdzv_backend c10d --rdzv_endpoint "$first:$port" --rdzv_id "$SLURM_JOB_ID" \
    -m "$@" &
wait $! # in the background: bash hears a signal only while it waits
