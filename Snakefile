import os
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import _IOFile
from snakemake.jobs import Job
from snakemake.script import PythonScript
from snakemake.utils import min_version

from layerscope.workflow.announce import announce_pages, announce_plan, telling
from layerscope.workflow.checksums import take_checksums_once
from layerscope.preflight.load import load_config
from layerscope.config.files import check_config_files
from layerscope.workflow.failed_jobs import keep_failed_jobs_due
from layerscope.workflow.forked_jobs import fork_local_jobs
from layerscope.workflow.misplaced import check_no_folders
from layerscope.workflow.planning import Planning
from layerscope.workflow.resources import Needs
from layerscope.workflow.results_lock import ResultsLock
from layerscope.workflow.specs import Specs

min_version("9.27")

# Only the user and the group may write files created here, whatever the umask.
os.umask(os.umask(0o002) | 0o002)

with Planning(WorkflowError):
    check_config_files(workflow.overwrite_configfiles)


configfile: "config/config.yaml"


with Planning(WorkflowError):
    CONFIG = load_config(config, workflow.configfiles)
    SPECS = Specs(
        CONFIG,
        scripts=Path(workflow.basedir) / "workflow/scripts",
        cache=".snakemake/layerscope-digests.json",
    )
    NEEDS = Needs(CONFIG)

# Settings that are in no spec, for scripts: these see `config` as it was given.
config["extraction"] = CONFIG.extraction.model_dump()
config["sampling"] = CONFIG.sampling.model_dump()


pathvars:
    results=CONFIG.results,
    logs=f"{CONFIG.results}/logs",


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/tokenize.smk"
include: "workflow/rules/extract.smk"
include: "workflow/rules/summarize.smk"
include: "workflow/rules/activations.smk"


for study in CONFIG.chosen():

    include: f"workflow/rules/{study}.smk"


if "token_length" in STUDIES:

    include: "workflow/rules/explorer.smk"


include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/estimate.smk"


rule all:
    default_target: True
    input:
        ["<results>/report.html"] if STUDIES else [],
        [EXPLORER] if "token_length" in STUDIES else [],
        [ACTIVATIONS, *KEPT.values()] if CONFIG.activations else [],


# Not in the processes of jobs, for which Snakemake reads this file too.
if workflow.is_main_process:
    keep_failed_jobs_due(Job)
    SERVERS = fork_local_jobs(PythonScript)
    take_checksums_once(_IOFile)
    LOCK = ResultsLock(CONFIG.results)
    with Planning(WorkflowError), telling("reading the sources, to detect changes later"):
        SPECS.read_sources()
        check_no_folders(workflow.rules, CONFIG.results)
    announce_plan(CONFIG, LAYER_JOBS)


onstart:
    if any(job.output for job in workflow.dag.needrun_jobs()):
        with Planning(WorkflowError):
            LOCK.take()
        SERVERS.start(job.rule.script for job in workflow.dag.local_needrun_jobs if job.rule.script)
    else:
        # An estimate, which may be asked while a run goes on. Snakemake would remove that run's lock with its own.
        workflow.persistence.unlock = workflow.persistence.noop


onsuccess:
    announce_pages(path for job in workflow.dag.finished_jobs for path in job.output)
