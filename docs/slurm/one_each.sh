#!/bin/bash
# Many trainings, each on a GPU of its own, wherever one is free; task 0 takes the first name, task 1 the second:
#   sbatch --array=0-3 docs/slurm/one_each.sh lib.bts.score SR SR+C SR+D GramNet
#SBATCH --job-name=one_each
#SBATCH --gpus=1
#SBATCH --cpus-per-task=10
#SBATCH --mem=96G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
#SBATCH --open-mode=append
#SBATCH --output=%x-%A-%a.log
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?start me by sbatch, from the repository}"
source .venv/bin/activate

module=$1
names=("${@:2}")
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK

trap 'scontrol requeue "$SLURM_JOB_ID"' USR1
python -m "$module" "${names[$SLURM_ARRAY_TASK_ID]}" &
wait $!
