"""Where Celery looks for this app's tasks."""

from datetime import timedelta

from celery import shared_task
from django.urls import reverse
from django.utils import timezone

from paymentvault import chain, jobs, sweeping
from paymentvault.jobs import run_job, sweep_jobs

__all__ = ["run_job", "check_audit", "sweep_audit", "sweep_jobs"]

CHECKED_EACH = timedelta(hours=23)
MEDDLED = (
    "Somebody changed the audit, or what guards it, past this system. Switch payouts off, touch "
    "nothing in the database, and call whoever runs it and your auditor."
)


@jobs.kind("verify_audit")
def verify_audit(running: jobs.Running) -> str:
    """Check the whole chain, from a button."""
    try:
        found = chain.check(running.given.get("known", ""), by=running.by.get_username())
    except ValueError as error:
        raise jobs.Broken(str(error)) from error
    if found.wrong:
        running.tell(_line_of(found))
        return f"The chain does not fit. {MEDDLED}"
    late = f" {found.late:,} lines waited long for theirs." if found.late else ""
    return (
        f"{found.checked:,} links are whole. {found.waiting:,} lines wait for their link.{late} "
        f"Keep the newest elsewhere: {found.newest}"
    )


def _line_of(found: chain.Finding) -> dict[str, str]:
    """What doesn't fit, with the way to its page."""
    page = "admin:paymentvault_auditevent_change"
    return {
        "name": f"Line {found.event_id}" if found.event_id else "The chain",
        "link": reverse(page, args=[found.event_id]) if found.event_id else "",
        "words": f"{found.wrong} The {found.checked:,} links before it are whole.",
        "result": "failed",
    }


@shared_task
@sweeping.sweeper
def sweep_audit() -> int:
    """Link the audit's new lines into its chain."""
    return chain.link_what_waits()


@shared_task
@sweeping.sweeper
def check_audit() -> int:
    """Verify the whole chain once a day; home tells whoever reviews the audit what was found."""
    last = chain.last_check()
    if last is not None and last.at > timezone.now() - CHECKED_EACH:
        # What a person's own check found counts too.
        return int(last.act == chain.BROKEN)
    return int(bool(chain.check(by="system").wrong))
