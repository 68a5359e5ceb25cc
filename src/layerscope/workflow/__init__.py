"""What stands between Snakemake and the package: specs of jobs, the fingerprint of their code, the frame of scripts."""
