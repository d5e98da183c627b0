"""Long work about a partner's Mifos X connection, which everybody who may see it may watch."""

from typing import Any

from django.db import transaction

from partners.models import Partner
from paymentvault import jobs
from paymentvault.models import Job, User

TEST, REGISTER, TRIAL = "connection_test", "hook_registration", "webhook_trial"
PRODUCTS, POLL, OUTLOOK = "loan_products", "poll_now", "automatic_outlook"
# What tells our own test of a webhook from Mifos X's calls.
TRIAL_HEADERS = {"X-Fineract-Entity": "PAYMENTVAULT", "X-Fineract-Action": "TEST"}
UNDER_WAY = (Job.State.WAITING, Job.State.RUNNING)
LATEST = 30


def about(partner: Partner) -> str:
    """What the jobs of a partner's connection belong to; there may be no connection yet."""
    return f"mifos:{partner.pk}"


def partner_of(job: Job) -> Partner | None:
    return Partner.objects.filter(pk=job.about.removeprefix("mifos:")).first()


def latest(partner: Partner) -> dict[str, Job]:
    """The newest job of each kind."""
    newest = (
        Job.objects.filter(about=about(partner))
        .select_related("started_by")
        .defer("given")
        .order_by("-created_at")[:LATEST]
    )
    found: dict[str, Job] = {}
    for job in newest:
        found.setdefault(job.kind, job)
    return found


@transaction.atomic
def start_once(
    kind: str, partner: Partner, *, title: str, by: User, given: dict[str, Any], came_from: str
) -> tuple[Job, bool]:
    """Start a job, unless one of its kind is under way for this partner: then that one."""
    # Of two who press at once, the second waits here and finds the first one's job.
    Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)
    running = Job.objects.filter(kind=kind, about=about(partner), state__in=UNDER_WAY).first()
    if running:
        return running, False
    job = jobs.start(kind, title=title, by=by, given=given | {"partner": str(partner.pk)},
                     about=about(partner), came_from=came_from)  # fmt: skip
    return job, True
