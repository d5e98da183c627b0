"""Where Celery looks for this app's tasks."""

from paymentvault.jobs import run_job, sweep_jobs

__all__ = ["run_job", "sweep_jobs"]
