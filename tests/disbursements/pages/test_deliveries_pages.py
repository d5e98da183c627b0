"""The pages about what a partner's own system is told: who may, and what they show."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from disbursements import deliveries
from disbursements.models import Delivery
from partners.models import Membership, Partner, Role, WebhookEndpoint
from paymentvault.models import AuditEvent

pytestmark = pytest.mark.django_db

URL = "https://core.pamoja.test/webhooks"
TYPED = {"url": URL, "events": ["disbursement.paid", "disbursement.failed"]}


def signed_in(user, role, partner):
    Membership.objects.create(user=user, role=role, partner=partner)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def administrator(amina, lender):
    return signed_in(amina, Role.PARTNER_ADMINISTRATOR, lender)


@pytest.fixture
def viewer(baraka, lender):
    return signed_in(baraka, Role.VIEWER, lender)


@pytest.fixture
def jamii(db):
    return Partner.objects.create(name="Jamii", code="jamii")


@pytest.fixture
def endpoint(lender, amina):
    return WebhookEndpoint.objects.create(partner=lender, url=URL, made_by=amina)


@pytest.fixture
def delivery(endpoint, amina):
    return deliveries.send_test(endpoint, by=amina)


def page(name, *args, code="pamoja"):
    return reverse(f"deliveries:{name}", args=[code, *args])


def press(client, url, **typed):
    """Open the page of an act, and press its button."""
    once = re.search(r'name="once" value="([^"]+)"', client.get(url).content.decode())
    return client.post(url, {"once": once[1], "reason": "For a test.", **typed})


def text_of(response):
    return response.content.decode()


def test_an_endpoint_is_added_and_its_secret_shown_once(administrator):
    added = administrator.post(page("endpoint-new"), TYPED)

    endpoint = WebhookEndpoint.objects.get()
    assert added.headers["Location"] == page("endpoint", endpoint.pk)
    assert (endpoint.made_by.username, endpoint.events) == ("amina", TYPED["events"])
    assert endpoint.secret not in text_of(administrator.get(page("endpoint", endpoint.pk)))

    shown = administrator.post(page("endpoint-secret", endpoint.pk))
    assert endpoint.secret in text_of(shown)
    assert "no-store" in shown.headers["Cache-Control"]
    assert administrator.post(page("endpoint-secret", endpoint.pk)).status_code == 302
    assert endpoint.secret not in text_of(administrator.get(page("endpoint", endpoint.pk)))


def test_what_was_done_is_in_the_audit(administrator):
    administrator.post(page("endpoint-new"), TYPED)
    pk = WebhookEndpoint.objects.get().pk
    administrator.post(page("endpoint-secret", pk))
    press(administrator, page("endpoint-rotate", pk), keep_old="on")
    administrator.post(page("endpoint-edit", pk), TYPED | {"events": ["disbursement.held"]})
    press(administrator, page("endpoint-switch", pk))

    told = AuditEvent.objects.filter(partner_code="pamoja", actor="amina").order_by("pk")
    assert list(told.values_list("act", flat=True)) == [
        f"webhook endpoint {what}"
        for what in ("added", "secret shown", "secret rotated", "changed", "switched off")
    ]


@pytest.mark.parametrize(
    "typed, words",
    [
        ({"url": "ftp://core.test"}, "https://"),
        ({"url": "https://u:p@core.test"}, "no user name"),
        ({"url": "https://core.test/?key=1"}, "Give only the address"),
        ({"url": "https://127.0.0.1"}, "private network"),
        ({"url": "https://core.test:6379"}, "port 6379"),
        ({"events": []}, "Choose at least one"),
        ({"events": ["disbursement.unknown"]}, "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(administrator, settings, typed, words):
    settings.OUTBOUND_ALLOW_PRIVATE = settings.OUTBOUND_ALLOW_HTTP = False

    answer = administrator.post(page("endpoint-new"), TYPED | typed)

    assert answer.status_code == 422
    assert words in text_of(answer)
    assert not WebhookEndpoint.objects.exists()


def test_an_address_is_added_once_and_a_partner_has_few(administrator, endpoint, amina):
    assert "already" in text_of(administrator.post(page("endpoint-new"), TYPED))

    for number in range(4):
        WebhookEndpoint.objects.create(
            partner=endpoint.partner, url=f"{URL}/{number}", made_by=amina
        )
    assert "at most 5" in text_of(
        administrator.post(page("endpoint-new"), TYPED | {"url": f"{URL}/9"})
    )


def test_a_test_is_sent_once_however_often_it_is_pressed(administrator, endpoint):
    url = page("endpoint-test", endpoint.pk)
    once = re.search(r'name="once" value="([^"]+)"', text_of(administrator.get(url)))[1]

    administrator.post(url, {"once": once})
    administrator.post(url, {"once": once})

    assert list(Delivery.objects.values_list("type", flat=True)) == ["webhook.test"]


def test_nothing_is_sent_to_one_that_is_off(administrator, endpoint):
    press(administrator, page("endpoint-switch", endpoint.pk))

    answer = press(administrator, page("endpoint-test", endpoint.pk))

    assert answer.status_code == 409
    assert not Delivery.objects.exists()


def test_send_again_makes_it_wait_anew(administrator, delivery):
    Delivery.objects.update(state="given_up", tries=10)

    press(administrator, page("again", delivery.pk))

    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("waiting", 0)
    assert AuditEvent.objects.filter(act="webhook sent again", actor="amina").exists()


def test_rotating_may_keep_or_end_the_old_secret(administrator, endpoint):
    for typed, count in (({"keep_old": "on"}, 2), ({}, 1)):
        press(administrator, page("endpoint-rotate", endpoint.pk), **typed)
        endpoint.refresh_from_db()
        assert len(endpoint.signing_secrets) == count


def test_the_list_is_filtered_by_its_url(administrator, endpoint, delivery, amina):
    other = deliveries.send_test(endpoint, by=amina)
    Delivery.objects.filter(pk=other.pk).update(state="given_up")

    found = administrator.get(page("list"), {"state": "given_up"})

    assert other.webhook_id in text_of(found)
    assert delivery.webhook_id not in text_of(found)


@pytest.mark.parametrize(
    "query", ["q=x", "q=-1", f"q={10**30}", "state=nothing", "endpoint=0", "type=x", "after=x"]
)
def test_a_filter_that_is_not_understood_filters_nothing(administrator, delivery, query):
    found = administrator.get(f"{page('list')}?{query}")

    assert found.status_code == 200
    assert delivery.webhook_id in text_of(found)


def test_the_list_needs_no_more_queries_for_more_rows(
    administrator, endpoint, amina, django_assert_max_num_queries
):
    for _ in range(60):
        deliveries.send_test(endpoint, by=amina)

    with django_assert_max_num_queries(10):
        found = administrator.get(page("list"))

    assert "Next →" in text_of(found)


CHANGE = ["endpoint-new", "endpoint-edit", "endpoint-rotate", "endpoint-switch", "endpoint-test",
          "again"]  # fmt: skip


def address(name, endpoint, delivery, code="pamoja"):
    keys = {"list": [], "endpoint-new": [], "detail": [delivery.pk], "again": [delivery.pk]}
    return page(name, *keys.get(name, [endpoint.pk]), code=code)


@pytest.mark.parametrize("name", ["list", "detail", "endpoint"])
def test_a_viewer_sees_and_is_offered_nothing_to_change(viewer, endpoint, delivery, name):
    shown = viewer.get(address(name, endpoint, delivery))

    assert shown.status_code == 200
    for change in CHANGE:
        assert address(change, endpoint, delivery) not in text_of(shown)


@pytest.mark.parametrize("name", [*CHANGE, "endpoint-secret"])
def test_a_viewer_changes_nothing(viewer, endpoint, delivery, name):
    url = address(name, endpoint, delivery)

    assert viewer.get(url).status_code == 403
    assert viewer.post(url, TYPED).status_code == 403


@pytest.mark.parametrize("name", ["list", "detail", "endpoint", *CHANGE, "endpoint-secret"])
def test_for_another_partners_people_it_is_not_there(jamii, baraka, endpoint, delivery, name):
    client = signed_in(baraka, Role.PARTNER_ADMINISTRATOR, jamii)
    url = address(name, endpoint, delivery)

    assert client.post(url, TYPED).status_code == 404
    # Nor by way of their own partner's address.
    if name not in ("list", "endpoint-new"):
        theirs = address(name, endpoint, delivery, code="jamii")
        assert client.post(theirs, TYPED).status_code == 404


def test_a_secret_is_never_shown_by_a_get(administrator, endpoint):
    assert administrator.get(page("endpoint-secret", endpoint.pk)).status_code == 405


def test_strangers_are_led_to_the_log_in(endpoint):
    assert "/login/" in Client().get(page("list")).headers["Location"]
