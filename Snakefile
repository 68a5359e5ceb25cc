from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from layerscope.config import load_config
from layerscope.errors import UserError
from layerscope.specs import Specs

min_version("9.27")


configfile: "config/config.yaml"


try:
    CONFIG = load_config(config)
except UserError as error:
    raise WorkflowError(str(error))

SPECS = Specs(
    CONFIG,
    scripts=Path(workflow.basedir) / "workflow/scripts",
    cache=".snakemake/layerscope-digests.json",
)


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/tokenize.smk"
include: "workflow/rules/extract.smk"
include: "workflow/rules/token_length.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report.html",
