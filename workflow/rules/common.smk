# Names and numbers that the rules share.

import re
from functools import cache

from layerscope.fetch.places import is_local
from layerscope.model.architecture import SITES
from layerscope.summarize.summary_shards import BY_DEFAULT, folder_of, place_of
from layerscope.workflow.layer_jobs import jobs_of_models, layer_jobs, matching, whole_models
from layerscope.workflow.model_size import file_size, model_size, stored_width


wildcard_constraints:
    model="|".join(map(re.escape, CONFIG.models)),
    other="|".join(map(re.escape, CONFIG.models)),
    corpus=r"[a-z0-9][a-z0-9._-]*",
    tokenizer=r"[a-z0-9][a-z0-9._-]*",
    place=rf"[a-z0-9][a-z0-9._-]*(?:/(?:{'|'.join(SITES)}))?",  # of summaries: a corpus, and a site but for mlp_pre
    shard=r"\d{4}",
    part=r"\d{4}",
    layer=r"\d{2,3}",
    content=r"[0-9a-f]{12}",


STUDIES = CONFIG.chosen()
EXPLORER = "<results>/explorer/index.html"  # of token_length
ACTIVATIONS = "<results>/activations.csv"  # what the key `activations` keeps
LAYER_JOBS = {}  # study → model → how many jobs measure its layers
SHARDS = [f"{shard:04d}" for shard in range(CONFIG.sampling.shards)]
STORED_SHARDS = [f"{shard:04d}" for shard in range(CONFIG.sampling.stored_shards)]


def corpora_that_are(local):
    """A pattern for the names of the corpora on this machine, or of those on the hub."""
    names = [re.escape(name) for name, corpus in CONFIG.corpora.items() if is_local(corpus.source) == local]
    return "|".join(names) or "(?!)"


def part_before(wildcards):
    """The part of the encoded documents where a part begins."""
    part = int(wildcards.part)
    return f"<results>/documents/{{tokenizer}}/{{corpus}}/part_{part - 1:04d}.h5" if part else []


def tokenizer_of(model):
    return CONFIG.models[model].tokenizer


@cache  # the jobs of every layer ask for them
def shards_of(model, corpus, ending):
    """The activation shards of the stored sample, or their manifests."""
    return expand(
        "<results>/activations/{model}/{corpus}/shard_{shard}.{ending}",
        model=model,
        corpus=corpus,
        shard=STORED_SHARDS,
        ending=ending,
    )


def stored_token_shards(tokenizer, corpus):
    """The token shards of the stored sample."""
    last = CONFIG.sampling.token_shard(CONFIG.sampling.stored_shards - 1)
    return expand(
        "<results>/tokens/{tokenizer}/{corpus}/shard_{shard}.h5",
        tokenizer=tokenizer,
        corpus=corpus,
        shard=SHARDS[: last + 1],
    )


def vocabulary_of(model, corpus):
    return f"<results>/tokens/{tokenizer_of(model)}/{corpus}/vocabulary.parquet"


def frequency_of(model, corpus):
    return f"<results>/tokens/{tokenizer_of(model)}/{corpus}/frequency.parquet"


def of_models(study, **patterns):
    """Inputs of a rule that reads files of all models of a study: NAME_MODEL → the files of the pattern.

    The name of the model alone will not do: Snakemake reserves some names.
    """
    return {
        f"{name}_{model}": study.paths(pattern, model=model)
        for name, pattern in patterns.items()
        for model in study.models
    }
