"""Long work about a partner's Mifos X connection, which everybody who may see it may watch."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from partners.models import Partner
from paymentvault import jobs
from paymentvault.models import Job, User

TEST, REGISTER, TRIAL = "connection_test", "hook_registration", "webhook_trial"
MPESA_TEST = "mpesa_test"
PRODUCTS, POLL, OUTLOOK = "loan_products", "poll_now", "automatic_outlook"
# What tells our own test of a webhook from Mifos X's calls.
TRIAL_HEADERS = {"X-Fineract-Entity": "PAYMENTVAULT", "X-Fineract-Action": "TEST"}
A_MINUTE = timedelta(minutes=1)
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


def wait_to_test(user: User) -> str:
    """Why somebody can't test a connection this moment; "" if they can.

    Each test makes us call a server that they name, so they may do it so often a minute. It is
    counted by their jobs, and so without Redis too.
    """
    most = settings.API_CONNECTION_TESTS_PER_MINUTE
    tests = Job.objects.filter(started_by=user, created_at__gt=timezone.now() - A_MINUTE)
    if tests.filter(kind__in=(TEST, MPESA_TEST)).count() < most:
        return ""
    return f"You tested {most} times within a minute. Nothing was sent; wait a minute, then test."


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
