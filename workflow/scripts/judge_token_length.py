import pandas as pd

from layerscope.files import whole_file
from layerscope.job import job
from layerscope.tables import read_table
from layerscope.token_length.claims import Evidence, claims_table

with job(snakemake) as task:
    spec, modality = task.params.spec, pd.read_csv(task.input.modality)
    evidence = {}
    for model, tokenizer in spec["tokenizers"].items():
        draws = [read_table(path) for path in task.input[f"draws_{model}"]]
        lengths = read_table(task.input[f"lengths_{tokenizer}"])
        evidence[model] = Evidence.of(draws, modality[modality["model"] == model], lengths)
    with whole_file(task.output[0]) as temporary:
        claims_table(evidence, spec["pairs"], spec["controls"]).to_csv(temporary, index=False)
