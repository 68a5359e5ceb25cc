# The explorer: one page that shows every neuron of the study token_length, and the data files that it reads.

from functools import partial

from layerscope.explorer.columns import columns_of
from layerscope.explorer.inputs import NUMBERS, STATISTICS, TABLES
from layerscope.studies.token_length.study import VOCABULARY


def tables_of(kind, wildcards):
    """The tables of a kind of all layers of a model."""
    return LENGTH.paths(f"token_length/{{model}}/{kind}_{{layer}}.parquet", model=wildcards.model)


def explorer_files():
    """All data files that the page may ask for."""
    files = [f"<results>/explorer/data/vocabulary/{tokenizer}.js" for tokenizer in LENGTH.tokenizers]
    # Of a folder, Snakemake compares the date alone. What the page says of them is in other files, whose content counts.
    files += [ancient(f"<results>/explorer/data/tokens/{tokenizer}") for tokenizer in LENGTH.tokenizers]
    for model in LENGTH.models:
        files += map(ancient, LENGTH.paths("explorer/data/{model}/layer_{layer}", model=model))
        names = columns_of(LENGTH.matched(model) is not None)
        files += [f"<results>/explorer/data/{model}/columns/{name}.js" for name in names]
    return files


for jobs in layer_jobs(LENGTH, lambda size: NUMBERS * size.mlp):

    rule:
        name:
            jobs.rule("write_explorer_neurons")
        input:
            # Of all layers, so that the inputs are the same however many of them share the job.
            **{kind: partial(tables_of, kind) for kind in TABLES},
            matches=lambda w: LENGTH.match_tables(w.model),
        output:
            # Folders: how many files a layer takes follows from its width, which is not known of a model of the hub.
            [directory(folder) for folder in jobs.files("<results>/explorer/data/{model}/layer_{layer}")],
        log:
            jobs.file("<logs>/write_explorer_neurons/{model}/layer_{layer}.log"),
        benchmark:
            jobs.file("<logs>/write_explorer_neurons/{model}/layer_{layer}.benchmark.tsv")
        wildcard_constraints:
            model=jobs.constraint,
        resources:
            **NEEDS.ask(lambda w, input, threads: NEEDS.explorer_layer(file_size(input.contexts[0])), jobs.layers_each),
        params:
            spec=lambda w: SPECS.explorer_model("write_explorer_neurons", w.model),
        message:
            f"Explorer: write {jobs.label} of {{wildcards.model}}"
        script:
            "../scripts/write_explorer_neurons.py"


for matched in (True, False):
    models = [re.escape(model) for model in LENGTH.models if (LENGTH.matched(model) is not None) == matched]
    if not models:
        continue

    rule:
        name:
            "write_explorer_columns_of_pairs" if matched else "write_explorer_columns"
        input:
            **{kind: partial(tables_of, kind) for kind in STATISTICS},
            matches=lambda w: LENGTH.match_tables(w.model),
        output:
            [f"<results>/explorer/data/{{model}}/columns/{name}.js" for name in columns_of(matched)],
        log:
            "<logs>/write_explorer_columns/{model}.log",
        wildcard_constraints:
            model="|".join(models),
        localrule: True
        params:
            spec=lambda w: SPECS.explorer_model("write_explorer_columns", w.model),
        message:
            "Explorer: write the columns of {wildcards.model}"
        script:
            "../scripts/write_explorer_columns.py"


rule write_explorer_tokens:
    input:
        tokens=lambda w: LENGTH.paths("tokens/{tokenizer}/{corpus}/shard_{shard}.h5", tokenizer=w.tokenizer),
        vocabulary=f"<results>/tokens/{{tokenizer}}/{LENGTH.corpus}/vocabulary.parquet",
        tokenizer=lambda w: SPECS.record("tokenizers", w.tokenizer),
    output:
        vocabulary="<results>/explorer/data/vocabulary/{tokenizer}.js",
        # A folder: Snakemake reads all inputs once for each output, and there may be a thousand chunks.
        chunks=directory("<results>/explorer/data/tokens/{tokenizer}"),
    log:
        "<logs>/write_explorer_tokens/{tokenizer}.log",
    localrule: True
    params:
        spec=SPECS.script("write_explorer_tokens"),
    message:
        "Explorer: write the tokens of {wildcards.tokenizer}"
    script:
        "../scripts/write_explorer_tokens.py"


rule write_explorer:
    input:
        **of_models(LENGTH, of="token_length/{model}/layer_{layer}.parquet"),
        **{f"types_{name}": LENGTH.paths(VOCABULARY, tokenizer=name) for name in LENGTH.tokenizers},
        # The page names them and reads none.
        data=explorer_files(),
    output:
        EXPLORER,
    log:
        "<logs>/write_explorer.log",
    localrule: True
    params:
        spec=SPECS.explorer(),
    message:
        "Explorer: write the page"
    script:
        "../scripts/write_explorer.py"
