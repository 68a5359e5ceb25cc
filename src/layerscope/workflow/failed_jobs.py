"""A job that failed is due in the next run."""

from typing import Any


def keep_failed_jobs_due(job_class: Any) -> None:
    """Let Snakemake write down of a job that failed that its settings are unknown.

    It (9.27) writes down the same as of a job that is done. So where the results that follow exist, the next run would
    find that nothing has changed, and keep them although they are of other settings.

    Args:
        job_class: Snakemake's class of jobs.
    """
    postprocess = job_class.postprocess

    async def and_forget(job: Any, *arguments: Any, error: bool = False, **options: Any) -> None:
        await postprocess(job, *arguments, error=error, **options)
        if error:
            persistence = job.dag.workflow.persistence
            for output in job.output:
                if record := persistence.metadata(output):
                    record.params = ["of a job that failed"]
                    persistence._write_record(persistence._get_key(output), record)

    job_class.postprocess = and_forget
