from pathlib import Path
from pkgutil import resolve_name

from layerscope.read.tables import table_of
from layerscope.report.claims import claims_of
from layerscope.report.page import write_report
from layerscope.report.section import Files
from layerscope.report.tables import download, kept_table
from layerscope.workflow.job import job

with job(snakemake) as task:
    root, spec = Path(task.output[0]).parent, task.params.spec
    sections = []
    for study, function in spec["sections"].items():
        of = {key.removeprefix(f"{study}_"): paths for key, paths in task.input.items() if key.startswith(f"{study}_")}
        figures, runs, _ = (of.pop(name) for name in ("figures", "runs", "vectors"))
        series = spec.get("series", {}).get(study, [])
        files = Files(root, figures, runs, of, spec["tokenizers"][study], spec["figures"][study], series)
        sections.append(resolve_name(function)(files))
    tables = [download(path, "claims.csv", "one row per claim and model") for path in task.input.claims]
    all_claims = tables[0] if tables else None
    explorer = next((str(Path(path).relative_to(root)) for path in task.input.explorer), None)
    claims, folder = claims_of(task.input.claims), Path(task.scriptdir)
    kept = next((kept_table(table_of(path)) for path in task.input.kept), None)
    revisions = spec.get("revisions", [])
    write_report(task.output[0], claims, all_claims, sections, spec["settings"], folder, explorer, kept, revisions)
