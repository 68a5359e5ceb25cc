# What a run costs, before it: snakemake estimate.

STUDIED = dict.fromkeys(model for study in STUDIES.values() for model in study.models)


rule estimate:
    log:
        "<logs>/estimate.log",
    localrule: True
    params:
        # Snakemake fills in the folder of results in paths of inputs, not of params.
        records={model: SPECS.record("models", model).replace("<results>", CONFIG.results) for model in STUDIED},
        # `workflow.is_local` would call all rules local where no cluster is used.
        local_rules=sorted(workflow._localrules),
        snakefile=workflow.main_snakefile,
    message:
        "Estimate what the run costs"
    script:
        "../scripts/estimate.py"
