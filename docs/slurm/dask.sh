#!/bin/bash
# The CPU's part on four nodes, by a dask cluster that lives as long as the job:
#   sbatch docs/slurm/dask.sh lib.data.faces
#   sbatch docs/slurm/dask.sh lib.detect FOLDER --csv scores.csv
# Started again, it does only what is not finished yet.
#SBATCH --job-name=dask
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --mem=64G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?start me by sbatch, from the repository}"
source .venv/bin/activate

address=${DEEPFAKE_OUTPUTS:-$PWD}/.dask-$SLURM_JOB_ID.json # on the shared disk: the scheduler writes it, the workers read it
rm -f "$address"
trap 'kill $(jobs -p) 2>/dev/null; rm -f "$address"' EXIT
dask scheduler --port 0 --no-dashboard --scheduler-file "$address" &
until [ -s "$address" ]; do
    kill -0 $! # ends the job where the scheduler has ended
    sleep 1
done
srun dask worker --scheduler-file "$address" --nworkers "$SLURM_CPUS_PER_TASK" --nthreads 1 --no-dashboard &

python -m "$@" --scheduler "$(sed -n 's/.*"address": "\([^"]*\)".*/\1/p' "$address")"
