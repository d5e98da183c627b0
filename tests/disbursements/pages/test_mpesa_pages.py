"""A partner's shortcodes in the browser: set up, look at, pause, resume."""

import uuid
from datetime import date, timedelta

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import timezone

from disbursements import initiator_password, shortcodes
from disbursements.states import Status
from partners.models import MpesaShortcode, Partner
from paymentvault.models import AuditEvent, Job, User
from tests.disbursements.pages.people import may, signed_in

pytestmark = pytest.mark.django_db
RIGHTS = ("partners.view_mpesashortcode", "partners.change_mpesashortcode")
CANARIES = {
    "consumer_key": "CANARY-key", "consumer_secret": "CANARY-secret",
    "initiator_password": "CANARY-password",
}  # fmt: skip


@pytest.fixture
def client(amina):
    return signed_in(may(amina, *RIGHTS))


@pytest.fixture
def viewer(baraka):
    return signed_in(may(baraka, "partners.view_mpesashortcode"))


@pytest.fixture
def typed(safaricom_server):
    """What an administrator types, with whatever a test changes."""

    def make(**changes):
        plain = {
            "shortcode": "600998", "environment": "sandbox", "initiator_name": "testapi",
            "certificate": safaricom_server.world.certificate_pem, "is_active": "on", **CANARIES,
        }  # fmt: skip
        return {name: value for name, value in (plain | changes).items() if value is not None}

    return make


def url(shortcode, act=""):
    return f"/partners/pamoja/mpesa/{shortcode.pk}/{act}"


ADD = "/partners/pamoja/mpesa/add/"


def edited(client, shortcode, **changes):
    """What the form holds when it is opened, with whatever a test changes."""
    form = client.get(url(shortcode, "edit/")).context["form"]
    plain = {
        "shortcode": shortcode.shortcode, "environment": shortcode.environment,
        "base_url_override": shortcode.base_url_override, "is_active": "on",
        "initiator_name": shortcode.initiator_name, "certificate": shortcode.certificate,
        "seen": form["seen"].value(),
    }  # fmt: skip
    return plain | changes


def test_the_first_shortcode_of_a_partner_is_its_default(client, lender, typed):
    answer = client.post(ADD, typed())

    made = MpesaShortcode.objects.get()
    assert (made.partner, made.is_default, made.is_active) == (lender, True, True)
    assert (made.consumer_secret, made.initiator_password) == ("CANARY-secret", "CANARY-password")
    assert answer.url == url(made)


def test_nobody_gets_an_environment_without_choosing_it(client, lender, typed):
    assert b"checked" not in client.get(ADD).content.split(b'name="is_active"')[0]

    answer = client.post(ADD, typed(environment=None))

    assert "environment" in answer.context["form"].errors
    assert not MpesaShortcode.objects.exists()


def test_a_second_one_is_default_only_if_that_is_chosen(client, shortcode, typed):
    client.post(ADD, typed())
    second = MpesaShortcode.objects.get(shortcode="600998")
    assert not second.is_default

    client.post(url(second, "edit/"), edited(client, second, is_default="on"))

    defaults = MpesaShortcode.objects.filter(is_default=True)
    assert [s.shortcode for s in defaults] == ["600998"]
    told = AuditEvent.objects.get(subject="600997 (Sandbox)")
    assert told.detail == {"is_default": {"from": True, "to": False}}


def test_a_default_can_only_be_replaced_so_a_partner_is_not_left_without(client, shortcode):
    data = edited(client, shortcode)
    data.pop("is_default", None)

    client.post(url(shortcode, "edit/"), data)

    assert MpesaShortcode.objects.get().is_default


def test_what_was_saved_is_audited_without_secrets(client, shortcode):
    client.post(
        url(shortcode, "edit/"),
        edited(client, shortcode, initiator_name="another", consumer_secret="CANARY-new"),
        REMOTE_ADDR="10.0.0.9",
    )

    told = AuditEvent.objects.get()
    assert (told.act, told.actor, told.partner_code) == ("M-Pesa shortcode changed", "amina",
                                                         "pamoja")  # fmt: skip
    assert told.source_address == "10.0.0.9"
    assert told.detail == {
        "initiator_name": {"from": "testapi", "to": "another"}, "consumer_secret": "changed",
        "credential": "to be proved by M-Pesa anew",
    }  # fmt: skip


def test_a_saved_secret_is_kept_when_it_is_left_empty(client, shortcode):
    client.post(url(shortcode, "edit/"), edited(client, shortcode))

    kept = MpesaShortcode.objects.get()
    assert (kept.consumer_secret, kept.initiator_password) == ("secret", "Safaricom999!")
    assert kept.credential_set_at == shortcode.credential_set_at


def test_saved_secrets_are_told_with_their_date_and_can_be_replaced(client, shortcode):
    at = timezone.now() - timedelta(days=30)
    MpesaShortcode.objects.update(credential_set_at=at)

    page = client.get(url(shortcode, "edit/")).content.decode()

    assert page.count(f"saved {timezone.localtime(at):%-d %B %Y}") == 3
    assert page.count("Replace</span>") == 3


def test_no_secret_is_ever_on_a_page(client, lender, typed):
    client.post(ADD, typed())
    made = MpesaShortcode.objects.get()

    pages = [
        client.get(url(made)), client.get(url(made, "edit/")), client.get(url(made, "pause/")),
        client.post(url(made, "edit/"), edited(client, made, certificate="x", **CANARIES)),
        client.post(ADD, typed(shortcode="")),
    ]  # fmt: skip

    assert [p.status_code for p in pages] == [200, 200, 200, 422, 422]
    assert not [p for p in pages if b"CANARY" in p.content]


def test_errors_stand_beside_their_fields_and_what_was_typed_stays(client, lender, typed):
    answer = client.post(ADD, typed(shortcode="60O984", certificate="nonsense"))

    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'value="60O984"' in page and 'value="testapi"' in page
    assert page.count("Give five to seven digits.") == 2
    assert 'href="#id_shortcode"' in page and 'href="#id_certificate"' in page
    assert "Error: " in page and "Type it again" in page


def test_a_shortcode_that_is_set_up_already_is_told_beside_its_field(client, shortcode, typed):
    answer = client.post(ADD, typed(shortcode="600997"))

    assert "set up already" in answer.context["form"].errors["shortcode"][0]


def test_a_clash_of_two_edits_is_told_and_the_second_press_overwrites(client, shortcode):
    mine = edited(client, shortcode, initiator_name="mine")
    client.post(url(shortcode, "edit/"), edited(client, shortcode, initiator_name="theirs"))

    answer = client.post(url(shortcode, "edit/"), mine)

    assert "Somebody else saved this" in answer.content.decode()
    assert MpesaShortcode.objects.get().initiator_name == "theirs"

    mine["seen"] = answer.context["form"]["seen"].value()
    client.post(url(shortcode, "edit/"), mine)

    assert MpesaShortcode.objects.get().initiator_name == "mine"


@pytest.mark.parametrize("change", [{"environment": "production", "base_url_override": ""},
                                    {"base_url_override": "http://127.0.0.1:1"}])  # fmt: skip
def test_saved_secrets_do_not_follow_to_another_environment_or_server(client, shortcode, change):
    answer = client.post(url(shortcode, "edit/"), edited(client, shortcode, **change))

    wrong = {"consumer_key", "consumer_secret", "initiator_password"}
    assert wrong <= set(answer.context["form"].errors)
    assert MpesaShortcode.objects.get().environment == "sandbox"


def test_the_certificate_can_be_given_as_a_file_in_either_form(client, lender, typed):
    text = typed()["certificate"]
    binary = x509.load_pem_x509_certificate(text.encode()).public_bytes(Encoding.DER)
    for number, content in [("600001", text.encode()), ("600002", binary)]:
        file = SimpleUploadedFile("SandboxCertificate.cer", content)
        client.post(ADD, typed(shortcode=number, certificate="", certificate_file=file))

    kept = MpesaShortcode.objects.values_list("certificate", flat=True)
    assert [c.strip() for c in kept] == [text.strip()] * 2


def test_an_address_of_ones_own_is_offered_in_development_only(client, lender, settings):
    assert "base_url_override" in client.get(ADD).context["form"].fields

    settings.OUTBOUND_ALLOW_HTTP = False

    assert "base_url_override" not in client.get(ADD).context["form"].fields


@pytest.mark.django_db(transaction=True)
def test_save_and_test_begins_a_test_of_what_was_saved(
    client, lender, typed, safaricom, safaricom_server
):
    answer = client.post(ADD, typed(base_url_override=safaricom_server.url, test="yes"))

    job = Job.objects.get(kind="mpesa_test")
    assert answer.url == f"/jobs/{job.pk}/"
    assert MpesaShortcode.objects.get().last_test[0]["result"] == "failed"


# -- the age of the password -----------------------------------------------------------------


AGES = [
    (0, "90 days left", "ok"),
    (75, "15 days left", "ok"),
    (76, "14 days left", "warn"),
    (89, "1 day left", "warn"),
    (90, "ends today", "bad"),
    (91, "ended 1 day ago", "bad"),
    (120, "ended 30 days ago", "bad"),
]


@pytest.mark.parametrize("age, words, tone", AGES)
def test_the_password_counts_down_its_ninety_days(age, words, tone):
    saved = timezone.make_aware(timezone.datetime(2026, 3, 12, 23, 30))
    shortcode = MpesaShortcode(password_set_at=saved)

    told = initiator_password.age_of(shortcode, today=date(2026, 3, 12) + timedelta(days=age))

    assert (told.words, told.tone) == (words, tone)
    assert bool(told.advice) == (tone != "ok")


@pytest.mark.parametrize("ready_made", ["", "Q0FOQVJZ"])
def test_the_page_says_what_to_do_before_the_password_ends(shortcode, ready_made):
    MpesaShortcode.objects.update(security_credential=ready_made)
    with time_machine.travel(shortcode.password_set_at + timedelta(days=80), tick=False):
        page = render_to_string("shortcodes/_facts.html", {"shortcode": shortcode})

    assert "10 days left" in page
    assert "Change it there, then replace it here." in page


# -- pause and resume ------------------------------------------------------------------------


def press(client, page, **data):
    given = {"once": client.get(page).context["once"], "reason": "Fraud is looked into."}
    return client.post(page, given | data)


def test_a_person_pauses_with_a_reason_and_sees_what_will_wait(client, shortcode, manual):
    manual(), manual(amount=500, gross_amount=500), manual(Status.HELD)
    page = client.get(url(shortcode, "pause/")).content.decode()
    assert "2 disbursements, KES 10,500.00" in page

    press(client, url(shortcode, "pause/"))

    paused = MpesaShortcode.objects.get()
    assert (paused.pause, paused.pause_reason) == ("person", "Fraud is looked into.")
    told = AuditEvent.objects.get(act="shortcode paused")
    assert (told.actor, told.source_address) == ("amina", "127.0.0.1")


def test_no_pause_without_a_reason(client, shortcode):
    answer = press(client, url(shortcode, "pause/"), reason=" ")

    assert answer.status_code == 422
    assert MpesaShortcode.objects.get().pause == ""


def test_a_pause_happens_once_however_often_it_is_pressed(client, shortcode):
    once = str(uuid.uuid4())
    press(client, url(shortcode, "pause/"), once=once)
    shortcodes.resume(MpesaShortcode.objects.get(), by="baraka", reason="It was nothing.")

    press(client, url(shortcode, "pause/"), once=once)

    assert MpesaShortcode.objects.get().pause == ""


def test_a_person_can_pause_what_would_go_on_by_itself(client, shortcode):
    shortcodes.pause(shortcode, "funds", reason="No float.", by="M-Pesa")

    press(client, url(shortcode, "pause/"))

    assert MpesaShortcode.objects.get().pause == "person"


def test_what_is_paused_for_its_credential_keeps_that_reason(client, shortcode):
    shortcodes.pause(shortcode, "configuration", reason="Locked.", by="M-Pesa")

    answer = press(client, url(shortcode, "pause/"))

    assert answer.status_code == 409
    assert MpesaShortcode.objects.get().pause_reason == "Locked."


@pytest.fixture
def paused(shortcode):
    shortcodes.pause(shortcode, "person", reason="Audit.", by="baraka")
    return MpesaShortcode.objects.get()


def test_resuming_says_what_waits_and_that_one_goes_first(client, paused, manual):
    manual(), manual(Status.FAILED, failure_code="1")

    page = client.get(url(paused, "resume/")).content.decode()

    assert "Resume shortcode 600997 of Pesa Pamoja? 1 disbursement, KES 10,000.00 approved" in page
    assert "One goes first, as a canary" in page
    assert "tried again by themselves" in page and "Audit." in page


def test_resuming_takes_a_reason_and_makes_the_credential_prove_itself_anew(client, paused):
    assert paused.credential_proved_at

    press(client, url(paused, "resume/"), reason="The audit is over.")

    now = MpesaShortcode.objects.get()
    assert (now.pause, now.credential_proved_at) == ("", None)
    told = AuditEvent.objects.get(act="shortcode resumed")
    assert (told.actor, told.detail["reason"]) == ("amina", "The audit is over.")


def test_resuming_warns_of_a_credential_that_was_refused_and_not_changed(
    client, shortcode, asked_for_balance
):
    type(asked_for_balance).objects.update(sent_at=timezone.now(), result_code="2001")
    shortcodes.pause(shortcode, "configuration", reason="Wrong.", by="M-Pesa")

    page = client.get(url(shortcode, "resume/")).content.decode()

    assert "one more of the three wrong tries" in page


def test_what_is_not_paused_cannot_be_resumed(client, shortcode):
    assert press(client, url(shortcode, "resume/")).status_code == 409


# -- who may, and what pages cost ------------------------------------------------------------


@pytest.mark.parametrize("act", ["edit/", "pause/", "resume/", "test/"])
def test_who_may_only_look_changes_nothing(viewer, shortcode, act):
    assert viewer.get(url(shortcode)).status_code == 200
    assert viewer.get(url(shortcode, act)).status_code == 403
    assert viewer.post(url(shortcode, act), {"reason": "x"}).status_code == 403
    assert viewer.post(ADD).status_code == 403
    assert not Job.objects.exists()
    assert MpesaShortcode.objects.get().pause == ""


def test_who_may_only_look_sees_no_buttons(viewer, shortcode):
    page = viewer.get(url(shortcode)).content.decode()

    assert "/edit/" not in page and "<form" not in page


def test_who_has_no_right_sees_nothing(baraka, shortcode):
    assert signed_in(baraka).get(url(shortcode)).status_code == 403


def test_a_shortcode_is_not_found_below_another_partner(client, shortcode):
    Partner.objects.create(name="Other", code="other")

    for act in ("", "edit/", "pause/", "resume/", "test/"):
        assert client.get(f"/partners/other/mpesa/{shortcode.pk}/{act}").status_code == 404


@pytest.mark.parametrize("act", ["", "edit/", "pause/", "resume/"])
def test_pages_take_few_queries(client, paused, manual, act, django_assert_max_num_queries):
    for _ in range(5):
        manual()

    with django_assert_max_num_queries(12):
        client.get(url(paused, act))


def asked_by(user):
    request = RequestFactory().get("/")
    request.user = user
    return request


def test_the_partners_part_shows_each_shortcode_without_asking_the_database(
    shortcode, lender, django_assert_num_queries
):
    production = MpesaShortcode(
        pk=99, partner=lender, shortcode="600999", environment="production", pause="person",
        paused_at=timezone.now(), pause_reason="Audit.", utility_balance=1234,
        balance_at=timezone.now(), last_tested_by="amina", last_tested_at=timezone.now(),
        last_test=[{"name": "a", "result": "ok", "words": "", "took_ms": 1}],
    )  # fmt: skip
    shown = {"partner": lender, "shortcodes": [shortcode, production]}
    request = asked_by(User(is_superuser=True))

    with django_assert_num_queries(0):
        page = render_to_string("partners/_mpesa.html", shown, request)

    assert "Production · real money" in page and "Sandbox · no real money" in page
    assert "KES 1,234.00" in page and "Audit." in page and "Passed" in page
    assert page.count("Pause…") == 1 and page.count("Resume…") == 1


def test_the_part_of_a_partner_without_shortcodes_says_what_to_do(lender):
    shown = {"partner": lender, "shortcodes": []}

    found = render_to_string("partners/_mpesa.html", shown, asked_by(User(is_superuser=True)))

    assert ADD in found
