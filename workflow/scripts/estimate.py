from pathlib import Path

import yaml

from layerscope.preflight.load import load_config
from layerscope.workflow.costs import model_costs
from layerscope.workflow.estimate import estimate, planned_jobs, slurm_jobs
from layerscope.workflow.gpu_needs import gpu_memory
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
    on_gpu = {of.model: gpu_memory(config, needs, sizes[of.model], of.jobs) for of in known}
    unknown = [name for name, size in sizes.items() if not size]
    jobs = planned_jobs(task.config, task.params.snakefile)
    profile = yaml.safe_load(Path(task.scriptdir, "../../profiles/slurm/config.yaml").read_text())
    submitted = slurm_jobs(jobs, task.params.local_rules, profile)
    print(estimate(config, needs.gpu, known, on_gpu, unknown, jobs, submitted))
