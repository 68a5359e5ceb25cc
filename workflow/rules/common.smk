# Names and numbers that the rules share.

import re
from functools import cache

from layerscope.sources import is_local


wildcard_constraints:
    # By name: cosines_centred_a is a figure of model a, and not cosines of a model centred_a.
    model="|".join(map(re.escape, CONFIG.models)),
    other="|".join(map(re.escape, CONFIG.models)),
    corpus=r"[a-z0-9][a-z0-9._-]*",
    tokenizer=r"[a-z0-9][a-z0-9._-]*",
    shard=r"\d{4}",
    part=r"shards_\d+|frequency",
    layer=r"\d{2,3}",
    content=r"[0-9a-f]{12}",


# Inputs that have the name of a model are called of_NAME: Snakemake has uses of its own for some names.
STUDIES = CONFIG.studies.run()
# Filled by the rules of the studies, for the report.
FIGURES = {}  # study → names of its figures, in order
RUNS = []  # a file with attributes for each model of each study
CLAIMS = []  # tables of claims
TABLES = {}  # study → name → further tables that its part of the report reads
SHARDS = [f"{shard:04d}" for shard in range(CONFIG.sampling.shards)]


def tokenizer_of(model):
    return CONFIG.models[model].tokenizer


def layers_of(model):
    return [f"{layer:02d}" for layer in range(CONFIG.models[model].layers)]


@cache  # every layer asks for them
def shards_of(model, corpus, ending):
    """Activation shards of a sample, or their manifests."""
    return expand(
        "results/activations/{model}/{corpus}/shard_{shard}.{ending}",
        model=model,
        corpus=corpus,
        shard=SHARDS,
        ending=ending,
    )


def vocabulary_of(model, corpus):
    return f"results/tokens/{tokenizer_of(model)}/{corpus}/vocabulary.parquet"


def frequency_of(model, corpus):
    return f"results/tokens/{tokenizer_of(model)}/{corpus}/frequency.parquet"


def drawing(study, figure, category, subcategory, label):
    """The files of a figure: a PNG, which goes into the report, and a PDF."""
    path = f"results/{study}/figures/{figure}"
    caption = f"../report/{figure.removesuffix('_{model}')}.rst"
    if not (Path(workflow.basedir) / "workflow/rules" / caption).is_file():
        raise WorkflowError(f"figure {figure}: no caption; write workflow/report/{Path(caption).name}")
    # `report` must not begin a line: Snakemake would take it for its directive.
    shown = report(
        f"{path}.png",
        caption=caption,
        category=category,
        subcategory=subcategory,
        labels={"figure": label},
    )
    return [shown, f"{path}.pdf"]
