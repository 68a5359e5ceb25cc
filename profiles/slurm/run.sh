#!/usr/bin/env bash
# Run the study on the cluster, or take it up again, whatever ended the last run. Arguments go to Snakemake.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/../.."

# One run at a time in this folder. The kernel lets go of this lock when Snakemake ends, even by SIGKILL.
mkdir -p .snakemake
exec 9>.snakemake/cluster.lock
flock --nonblock 9 || { echo "run.sh: a run is going on in $PWD already" >&2; exit 1; }

# So whatever jobs this folder still has, a killed Snakemake left behind. Nothing would come of them, because nobody
# waits for them, and one that fails later would remove what its successor wrote: end them first.
left_behind() {
  squeue --me --noheader --format='%A|%j|%Z' | awk -F '|' -v here="$PWD" '$2 ~ /^layerscope_/ && $3 == here { print $1 }'
}
while true; do
  jobs=$(left_behind | tr '\n' ' ')
  [ -n "$jobs" ] || break
  echo "run.sh: cancelling jobs that a killed run left behind: $jobs"
  scancel $jobs
  sleep 5
done

# Likewise its lock, which Snakemake would refuse to pass.
if compgen -G '.snakemake/locks/*' >/dev/null; then
  snakemake --profile profiles/slurm "$@" --unlock
fi
exec snakemake --profile profiles/slurm "$@"
