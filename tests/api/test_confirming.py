"""Above a set sum the API lets nobody let money go who didn't confirm just now who they are."""

from datetime import timedelta

import pytest
import time_machine
from allauth.account.internal.flows.login import record_authentication
from django.conf import settings as django_settings
from django.test import Client, RequestFactory
from django.utils import timezone

from disbursements.models import Disbursement
from disbursements.states import Status
from partners.models import Role
from tests.api.conftest import Api, code

pytestmark = pytest.mark.django_db

LARGE = 150_000


@pytest.fixture(autouse=True)
def as_in_production(settings, safaricom, shortcode):
    settings.ASK_AGAIN_AFTER_S = 600


@pytest.fixture
def approver(person):
    return person(Role.APPROVER)


def confirm(api):
    request = RequestFactory().get("/")
    request.session = api.client.session
    record_authentication(request, api.user, "mfa", reauthenticated=True)
    request.session.save()


def program_of(api):
    pair = api.post("tokens").json()
    return Api(Client(), Authorization=f"Bearer {pair['access']}"), pair["refresh"]


@pytest.fixture
def large(manual):
    def make(act):
        status = Status.FAILED if act == "retry" else Status.AWAITING_APPROVAL
        return manual(status, amount=LARGE, gross_amount=LARGE)

    return make


@pytest.mark.parametrize("act", ["approve", "retry"])
@pytest.mark.parametrize("how", ["session", "token"])
def test_a_stolen_session_or_token_lets_no_large_sum_go(approver, large, act, how):
    one = large(act)
    api = approver if how == "session" else program_of(approver)[0]

    answer = api.post(f"disbursements/{one.pk}/{act}", {"reason": "x"})

    assert (answer.status_code, code(answer)) == (403, "confirmation_required")
    where = f"https://vault.test/disbursements/{one.pk}/{act}/"
    assert where in answer.json()["error"]["message"]
    one.refresh_from_db()
    assert one.status in (Status.AWAITING_APPROVAL, Status.FAILED)


@pytest.mark.parametrize("act", ["approve", "retry"])
@pytest.mark.parametrize("how", ["session", "token"])
def test_who_confirmed_just_now_may(approver, large, act, how):
    one = large(act)
    confirm(approver)
    api = approver if how == "session" else program_of(approver)[0]

    assert api.post(f"disbursements/{one.pk}/{act}", {"reason": "x"}).status_code == 200


def test_confirming_does_not_reach_tokens_that_were_given_before(approver, large):
    api, _ = program_of(approver)
    confirm(approver)

    answer = api.post(f"disbursements/{large('approve').pk}/approve")
    assert code(answer) == "confirmation_required"


def test_renewing_a_token_renews_no_confirmation(approver, large):
    one = large("approve")
    confirm(approver)
    _, refresh = program_of(approver)

    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        pair = Api(Client()).post("tokens/refresh", {"refresh": refresh}).json()
        api = Api(Client(), Authorization=f"Bearer {pair['access']}")
        assert code(api.post(f"disbursements/{one.pk}/approve")) == "confirmation_required"
    assert Disbursement.objects.get(pk=one.pk).status == Status.AWAITING_APPROVAL


def test_up_to_the_sum_nobody_is_asked(approver, manual):
    at_most = manual(Status.AWAITING_APPROVAL, amount=django_settings.ASK_AGAIN_ABOVE,
                     gross_amount=django_settings.ASK_AGAIN_ABOVE)  # fmt: skip

    assert approver.post(f"disbursements/{at_most.pk}/approve").status_code == 200


def test_rejecting_lets_nothing_go_and_asks_nobody(approver, large):
    answer = approver.post(f"disbursements/{large('approve').pk}/reject", {"reason": "No."})

    assert answer.status_code == 200
