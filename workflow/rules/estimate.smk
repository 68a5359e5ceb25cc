# What a run costs, before it: snakemake estimate.

RUN = dict.fromkeys(model for demand in CONFIG.demands() for model in demand.models)


rule estimate:
    log:
        "<logs>/estimate.log",
    localrule: True
    params:
        # Snakemake fills in the folder of results in paths of inputs, not of params.
        records={model: SPECS.record("models", model).replace("<results>", CONFIG.results) for model in RUN},
        # `workflow.is_local` would call all rules local where no cluster is used.
        local_rules=sorted(workflow._localrules),
        snakefile=workflow.main_snakefile,
    message:
        "Estimate what the run costs"
    script:
        "../scripts/estimate.py"
