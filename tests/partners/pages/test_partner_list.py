"""The list of partners tells the state of each connection in words, however many there are."""

from datetime import timedelta

import pytest
from django.utils import timezone

from partners.models import MifosConnection, MpesaShortcode, Partner
from partners.pages import states
from tests.partners.pages.people import SEES, words

URL = "/partners/"


def ago(**past):
    """A time that is told when the test runs, not when it is collected."""
    return lambda: timezone.now() - timedelta(**past)


def told_now(values):
    return {name: value() if callable(value) else value for name, value in values.items()}


FAILED = [{"name": "Credentials and tenant", "result": "failed", "words": "Wrong."}]
STATES = {
    "nothing entered": (None, "Not set up", None),
    "entered": ({}, "Not tested", "entered"),
    "test failed": ({"last_test": FAILED, "last_tested_at": ago(days=3)}, "Test failed", "3 d ago"),
    "tested": (
        {"configured_at": ago(days=3), "last_tested_at": ago(days=3)}, "Switched off", "3 d ago"),
    "on, never polled": ({"is_on": True, "switched_on_at": ago(minutes=1)}, "Switched on",
                         "not polled yet"),
    "on": ({"is_on": True, "polled_at": ago(minutes=2)}, "Switched on", "2 min ago"),
    "late": ({"is_on": True, "polled_at": ago(minutes=16)}, "Late", "16 min ago"),
    "never polled for long": ({"is_on": True, "switched_on_at": ago(hours=2)}, "Late",
                              "not polled yet"),
    "failing": (
        {"is_on": True, "polled_at": ago(minutes=2), "failing_since": ago(minutes=31)},
        "Failing", "31 min ago"),
}  # fmt: skip


@pytest.mark.parametrize("changes, label, told", STATES.values(), ids=list(STATES))
def test_the_state_of_a_connection_is_told_in_words(signed_in, lender, changes, label, told):
    if changes is not None:
        given = {"configured_at": timezone.now()} if changes.get("is_on") else {}
        MifosConnection.objects.create(partner=lender, host_url="https://x.test",
                                       **given | told_now(changes))  # fmt: skip

    page = words(signed_in(*SEES).get(URL))

    assert f">{label}</span>" in page
    assert told is None or told in page


def test_every_state_has_a_tone_of_its_own_kind():
    assert states.of_connection(None) == states.State("wait", "Not set up")


def test_without_partners_it_says_what_one_is_and_leads_on(admin):
    page = words(admin.get(URL))

    assert "No partners yet. A partner is an institution whose loans you pay out." in page
    assert 'href="/partners/new/"' in page


def test_the_float_and_a_pause_of_a_shortcode_are_shown(signed_in, shortcode):
    MpesaShortcode.objects.update(utility_balance=71_234, balance_at=ago(minutes=4)(),
                                  pause="person", paused_at=timezone.now(),
                                  pause_reason="For a test.")  # fmt: skip

    page = words(signed_in(*SEES).get(URL))

    assert "600997: 71,234.00" in page and "4 min ago" in page and ">Paused</span>" in page


def test_it_asks_the_database_no_more_for_thirty_partners_than_for_three(
    signed_in, django_assert_max_num_queries
):
    client, counts = signed_in(*SEES), []

    for number in range(30):
        partner = Partner.objects.create(name=f"Lender {number}", code=f"lender-{number}")
        MifosConnection.objects.create(partner=partner, host_url=f"https://{number}.test")
        MpesaShortcode.objects.create(partner=partner, shortcode=f"6000{number:02}")
        if number in (2, 29):
            with django_assert_max_num_queries(12) as told:
                assert client.get(URL).status_code == 200
            counts.append(len(told))

    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "query, found",
    [
        ("?q=umo", ["Umoja"]), ("?q=600997", ["Pesa Pamoja"]), ("?state=on", ["Pesa Pamoja"]),
        ("?state=off", ["Umoja"]), ("?state=automatic", ["Pesa Pamoja"]), ("?state=failing", []),
        ("?state=inactive", []), ("?q=%00umo", ["Umoja"]), ("?q=nobody", []),
        ("?state=nonsense", ["Pesa Pamoja", "Umoja"]),
    ],
)  # fmt: skip
def test_it_is_filtered_by_its_address(signed_in, connection, shortcode, query, found):
    Partner.objects.create(name="Umoja", code="umoja")

    answer = signed_in(*SEES).get(URL + query)

    assert [row["partner"].name for row in answer.context["shown"]] == found
    if not found:
        assert "No partners match." in words(answer)


def test_more_than_a_page_of_partners_are_paged(signed_in):
    Partner.objects.bulk_create(
        Partner(name=f"Lender {n:02}", code=f"lender-{n}") for n in range(60)
    )
    client = signed_in(*SEES)

    first = client.get(URL).context
    second = client.get(URL + first["page"].following).context

    names = [row["partner"].name for page in (first, second) for row in page["shown"]]
    assert names == [f"Lender {n:02}" for n in range(60)]


def test_only_who_may_see_partners_sees_the_list(signed_in):
    assert signed_in().get(URL).status_code == 403
    assert "Add partner" not in words(signed_in(*SEES).get(URL))


def test_a_stranger_is_sent_to_the_log_in(client, db):
    assert client.get(URL).status_code == 302
