import os
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from layerscope.config import load_config
from layerscope.errors import UserError
from layerscope.specs import Specs

min_version("9.27")

# Others than user and group write none of the files made here, whatever the umask.
os.umask(os.umask(0o002) | 0o002)


configfile: "config/config.yaml"


try:
    CONFIG = load_config(config, workflow.configfiles)
except UserError as error:
    raise WorkflowError(str(error))

# For scripts, which see `config` as it was given: settings that are in no spec.
config["extraction"] = CONFIG.extraction.model_dump()
config["sampling"] = CONFIG.sampling.model_dump()

SPECS = Specs(
    CONFIG,
    scripts=Path(workflow.basedir) / "workflow/scripts",
    cache=".snakemake/layerscope-digests.json",
)


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/tokenize.smk"
include: "workflow/rules/extract.smk"


for study in CONFIG.studies.run():

    include: f"workflow/rules/{study}.smk"


include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report.html",
