"""Where Celery looks for this app's tasks."""

from celery import shared_task

from paymentvault import chain, jobs, sweeping
from paymentvault.jobs import run_job, sweep_jobs

__all__ = ["run_job", "sweep_audit", "sweep_jobs"]


@jobs.kind("verify_audit")
def verify_audit(running: jobs.Running) -> str:
    """Check the whole chain, from a button."""
    chain.link_what_waits()
    found = chain.verify()
    if found.wrong:
        raise jobs.Broken(f"{found.wrong} The {found.checked:,} links before it are whole.")
    return f"{found.checked:,} links are whole. Keep the newest elsewhere: {found.newest}"


@shared_task
@sweeping.sweeper
def sweep_audit() -> int:
    """Link the audit's new lines into its chain."""
    return chain.link_what_waits()
