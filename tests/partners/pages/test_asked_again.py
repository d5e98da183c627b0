"""Who lets programs in, hands a secret out, or gives and takes roles shows again who they are."""

from datetime import timedelta

import pytest
from allauth.account.internal.flows.login import record_authentication
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from partners import keys
from partners.models import Membership, MpesaShortcode, Role, Scope, WebhookEndpoint
from paymentvault import networks

pytestmark = pytest.mark.django_db


@pytest.fixture
def about(lender, shortcode, amina, baraka):
    """What each page is about."""
    key, _ = keys.make(lender, name="Loan system", scopes=[Scope.PARTNERS_READ], by=baraka,
                       allowed_networks=[], expires_at=timezone.now() + timedelta(9))  # fmt: skip
    endpoint = WebhookEndpoint.objects.create(
        partner=lender, url="https://core.test/hooks", made_by=baraka
    )
    network = networks.propose(networks.readable("10.20.0.0/28"), ports=[443], reason="x",
                               by=baraka)  # fmt: skip
    role = Membership.objects.create(user=baraka, partner=lender, role=Role.VIEWER)
    MpesaShortcode.objects.update(
        pause=MpesaShortcode.Pause.PERSON, pause_reason="x", paused_at=timezone.now()
    )
    return {
        "shortcode": shortcode.pk,
        "key": key.pk,
        "endpoint": endpoint.pk,
        "network": network.pk,
        "role": role.pk,
    }


@pytest.fixture
def administrator(amina, settings):
    Membership.objects.create(user=amina, role=Role.ADMINISTRATOR)
    client = Client()
    client.force_login(amina)
    settings.ASK_AGAIN_AFTER_S = 600
    return client


def confirm(client, user):
    request = RequestFactory().get("/")
    request.session = client.session
    record_authentication(request, user, "password", reauthenticated=True)
    request.session.save()


PAGES = {
    "keys:new": (), "keys:rotate": ("key",),
    "deliveries:endpoint-new": (), "deliveries:endpoint-edit": ("endpoint",),
    "deliveries:endpoint-rotate": ("endpoint",), "deliveries:endpoint-secret": ("endpoint",),
    "partners:give-role": (), "partners:take-role": ("role",),
    "networks:propose": None, "networks:confirm": None,
    "shortcodes:resume": ("shortcode",),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_it_asks_again_before_it_is_even_shown_and_then_opens(administrator, amina, about, name):
    needs = PAGES[name]
    args = ["pamoja", *(about[one] for one in needs)] if needs is not None else []
    args = [about["network"]] if name == "networks:confirm" else args
    url, is_button = reverse(name, args=args), name.endswith("secret")
    ask = administrator.post if is_button else administrator.get

    asked = ask(url)
    assert asked.status_code == 302 and "second-factor/" in asked["Location"]
    assert WebhookEndpoint.objects.get().secret_shown_at is None

    confirm(administrator, amina)
    assert ask(url).status_code == 200


@pytest.mark.parametrize("name", ["disbursements:settle", "disbursements:settle-confirm"])
def test_settling_asks_both_people_again_whatever_it_is_about(administrator, name):
    args = [1] if name.endswith("settle") else [1, 1]

    asked = administrator.get(reverse(name, args=args))

    assert asked.status_code == 302 and "second-factor/" in asked["Location"]


def test_deleting_many_in_djangos_admin_asks_again(administrator, amina, about):
    amina.is_superuser = amina.is_staff = True
    amina.save()
    given = {"action": "delete_selected", "_selected_action": [about["role"]], "post": "yes"}

    asked = administrator.post("/admin/partners/membership/", given)

    assert asked.status_code == 302 and "second-factor/" in asked["Location"]
    assert Membership.objects.filter(pk=about["role"]).exists()
