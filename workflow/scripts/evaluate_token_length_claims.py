from layerscope.io.tables import read_csv, read_table, write_csv
from layerscope.studies.token_length.claims import Evidence, claims_table
from layerscope.studies.token_length.sample_claims import SampleLengths
from layerscope.workflow.job import job

with job(snakemake) as task:
    spec, multimodality = task.params.spec, read_csv(task.input.multimodality)
    evidence = {}
    for model in spec["models"]:
        resamples = [read_table(path) for path in task.input[f"resamples_{model}"]]
        evidence[model] = Evidence.of(resamples, multimodality[multimodality["model"] == model])
    lengths = {name: SampleLengths(read_table(task.input[f"lengths_{name}"])) for name in spec["tokenizers"]}
    write_csv(task.output[0], claims_table(evidence, spec["pairs"], spec["untrained"], lengths))
