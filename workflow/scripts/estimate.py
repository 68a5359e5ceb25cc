from pathlib import Path

import yaml

from layerscope.preflight.load import load_config
from layerscope.workflow.costs import model_costs
from layerscope.workflow.estimate import estimate, planned_jobs, slurm_jobs
from layerscope.workflow.gpus import has_gpu
from layerscope.workflow.job import job
from layerscope.workflow.model_size import known_size
from layerscope.workflow.resources import Needs

with job(snakemake) as task:
    config = load_config(task.config)
    sizes = {name: known_size(config.models[name].source, record) for name, record in task.params.records.items()}
    device = config.extraction.device
    needs = Needs(config, gpu=device == "cuda" or (device == "auto" and has_gpu()))
    known = [model_costs(config, needs, name, size) for name, size in sizes.items() if size]
    unknown = [name for name, size in sizes.items() if not size]
    jobs = planned_jobs(task.config, task.params.snakefile)
    profile = yaml.safe_load(Path(task.scriptdir, "../../profiles/slurm/config.yaml").read_text())
    print(estimate(config, needs.gpu, known, unknown, jobs, slurm_jobs(jobs, task.params.local_rules, profile)))
