"""The test of a shortcode, against the pretend Safaricom, from the button to the answer."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from django.utils import timezone

from disbursements import shortcode_test, shortcodes
from disbursements.models import Inquiry
from partners.models import MpesaShortcode
from paymentvault.models import AuditEvent, Job
from paymentvault.sandbox.keys import make_keys
from tests.disbursements.pages.people import may, signed_in

pytestmark = pytest.mark.django_db(transaction=True)
RIGHTS = ("partners.view_mpesashortcode", "partners.change_mpesashortcode")
QUESTIONS = "/mpesa/accountbalance/v1/query"


@pytest.fixture
def client(amina):
    return signed_in(may(amina, *RIGHTS))


@pytest.fixture
def online(live_server, settings, safaricom, shortcode, monkeypatch):
    """The vault can be called back; nothing is known of the credential yet."""
    settings.PUBLIC_URL = live_server.url
    monkeypatch.setattr(shortcode_test, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(shortcode_test, "WAIT_S", 5.0)
    return changed(shortcode, credential_proved_at=None)


def changed(shortcode, **values):
    values.setdefault("credential_set_at", timezone.now())
    MpesaShortcode.objects.filter(pk=shortcode.pk).update(**values)
    for name, value in values.items():
        setattr(shortcode, name, value)
    shortcode.save(update_fields=list(values))
    return MpesaShortcode.objects.get(pk=shortcode.pk)


def press_test(client, shortcode):
    answer = client.post(f"/partners/pamoja/mpesa/{shortcode.pk}/test/")
    assert answer.status_code == 302
    return MpesaShortcode.objects.get(pk=shortcode.pk)


def results(shortcode):
    return [step["result"] for step in shortcode.last_test]


def words(shortcode, number):
    return shortcode.last_test[number]["words"]


def asked(safaricom):
    return len([r for r in safaricom.requests if r.path == QUESTIONS])


def test_a_right_shortcode_passes_every_step_and_tells_its_float(client, online, safaricom):
    tested = press_test(client, online)

    assert results(tested) == ["ok"] * 5
    assert "M-Pesa knows the initiator" in words(tested, 4)
    assert "KES 1,000,000.00" in words(tested, 4)
    assert tested.utility_balance == 1_000_000
    assert (tested.last_tested_by, tested.last_tested_at is None) == ("amina", False)
    assert AuditEvent.objects.filter(act="shortcode test started", actor="amina").exists()


def test_steps_show_in_the_job_with_their_times(client, online):
    press_test(client, online)

    job = Job.objects.get(kind="mpesa_test")
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert job.state == "done"
    assert [line["name"] for line in job.lines] == [
        "Consumer key and secret", "Security credential", "Callback address",
        "Question to M-Pesa", "Initiator and float",
    ]  # fmt: skip
    assert "All is well" in page


def test_a_wrong_consumer_secret_is_told_and_nothing_is_asked(client, online, safaricom):
    tested = press_test(client, changed(online, consumer_secret="wrong"))

    assert results(tested) == ["failed", "ok", "ok", "skipped", "skipped"]
    assert "refused the consumer key or secret" in words(tested, 0)
    assert asked(safaricom) == 0
    assert tested.pause == ""


@pytest.mark.parametrize(
    "wrong",
    [{"initiator_name": "nobody"}, {"initiator_password": "Wrong999!"},
     {"certificate": make_keys().certificate_pem}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_a_wrong_initiator_is_told_pauses_and_is_not_tried_again(client, online, safaricom, wrong):
    tested = press_test(client, changed(online, **wrong))

    assert results(tested) == ["ok", "ok", "ok", "ok", "failed"]
    assert "2001" in words(tested, 4)
    assert "Nothing is sent from it until it is resumed." in words(tested, 4)
    assert tested.pause == "configuration"

    again = press_test(client, online)

    assert asked(safaricom) == 1
    assert results(again) == ["ok", "ok", "ok", "failed", "skipped"]
    assert "three wrong tries lock the initiator" in words(again, 3)


def test_a_refused_credential_is_tried_again_once_it_is_changed_and_stays_paused(
    client, online, safaricom
):
    press_test(client, changed(online, initiator_password="Wrong999!"))

    tested = press_test(client, changed(online, initiator_password="Safaricom999!"))

    assert results(tested) == ["ok"] * 5
    assert (tested.pause, asked(safaricom)) == ("configuration", 2)


def test_even_resumed_a_refused_credential_is_not_tested_again(client, online, safaricom):
    press_test(client, changed(online, initiator_password="Wrong999!"))
    shortcodes.resume(MpesaShortcode.objects.get(), by="amina", reason="I hope.")

    press_test(client, online)

    assert asked(safaricom) == 1


def test_a_locked_initiator_is_told_with_who_unlocks_it(client, online, safaricom):
    safaricom.lock_initiator("600997")

    tested = press_test(client, online)

    assert results(tested)[-1] == "failed"
    assert "Business Administrator unlocks it" in words(tested, 4)


def test_a_lost_callback_is_told_with_the_address_that_must_be_reachable(
    client, online, safaricom, settings, monkeypatch
):
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    monkeypatch.setattr(shortcode_test, "WAIT_S", 0.3)

    tested = press_test(client, online)

    assert results(tested) == ["ok", "ok", "ok", "ok", "failed"]
    assert "its answer didn't come" in words(tested, 4)
    assert "http://127.0.0.1:9" in words(tested, 4)


def test_while_one_question_is_out_a_second_test_waits_for_it(
    client, online, safaricom, settings, monkeypatch
):
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    monkeypatch.setattr(shortcode_test, "WAIT_S", 0.1)
    press_test(client, online)

    tested = press_test(client, online)

    assert asked(safaricom) == 1
    assert "asked for at" in words(tested, 3)


def test_while_a_payout_proves_the_credential_nothing_is_asked(client, online, safaricom, sent):
    attempt = sent()
    attempt.sent_at = timezone.now()
    attempt.save()

    tested = press_test(client, online)

    assert (asked(safaricom), results(tested)[3]) == (0, "failed")


def test_what_the_app_may_not_do_is_told(client, online, safaricom):
    safaricom.add_app(
        consumer_key="key", consumer_secret="secret", shortcode="600997", initiator="testapi",
        password="Safaricom999!", products=["b2c"],
    )  # fmt: skip

    tested = press_test(client, online)

    assert results(tested)[3] == "failed"
    assert "Add B2C, Account Balance" in words(tested, 3)


def test_a_pause_by_a_person_stays_after_a_passed_test(client, online):
    shortcodes.pause(online, "person", reason="Audit.", by="baraka")

    tested = press_test(client, online)

    assert (results(tested), tested.pause) == (["ok"] * 5, "person")


def test_while_a_test_runs_no_second_one_begins(client, amina, online):
    running = Job.objects.create(
        kind="mpesa_test", started_by=amina, about=f"shortcode:{online.pk}", state="running"
    )

    answer = client.post(f"/partners/pamoja/mpesa/{online.pk}/test/")

    assert Job.objects.count() == 1
    assert answer.url == f"/jobs/{running.pk}/"


def test_a_result_of_what_was_replaced_meanwhile_is_not_kept(client, online, monkeypatch):
    look = shortcode_test.ShortcodeTest._token

    def somebody_saves(self):
        MpesaShortcode.objects.update(credential_set_at=timezone.now())
        return look(self)

    monkeypatch.setattr(shortcode_test.ShortcodeTest, "_token", somebody_saves)

    tested = press_test(client, online)

    assert tested.last_test == []
    assert "changed meanwhile" in Job.objects.get().outcome


def test_no_secret_stands_in_the_job_the_result_or_the_audit(client, online, safaricom):
    safaricom.add_app(
        consumer_key="CANARY-key", consumer_secret="CANARY-secret", shortcode="600997",
        initiator="testapi", password="Safaricom999!",
    )  # fmt: skip
    changed(online, consumer_key="CANARY-key", consumer_secret="CANARY-secret")

    tested = press_test(client, online)

    job = Job.objects.get()
    told = json.dumps([tested.last_test, job.lines, job.outcome, job.title, job.given])
    told += json.dumps(list(AuditEvent.objects.values_list("detail", flat=True)))
    secrets = ["CANARY", "Safaricom999!", Inquiry.objects.get().callback_token]
    assert results(tested) == ["ok"] * 5
    assert not [secret for secret in secrets if secret in told]


@pytest.mark.parametrize(
    "url, why",
    [
        ("https://vault.lender.co.ke", ""),
        ("http://vault.lender.co.ke", "only https"),
        ("https://localhost", "not an address on the internet"),
        ("https://10.1.2.3", "not an address on the internet"),
        ("https://vault", "not an address on the internet"),
        ("https://mpesa.lender.co.ke", "“mpesa”"),
    ],
)
def test_an_address_that_safaricom_will_not_call_is_told(url, why):
    told = shortcode_test.why_unreachable(url)

    assert why in told
    assert bool(told) == bool(why)


def test_the_other_environments_certificate_is_found_before_m_pesa_counts_a_wrong_try(
    client, online, safaricom, monkeypatch
):
    found = x509.load_pem_x509_certificate(online.certificate.encode())
    fingerprint = found.fingerprint(SHA256()).hex().upper()
    monkeypatch.setitem(
        shortcode_test.KNOWN_CERTIFICATES, fingerprint, MpesaShortcode.Environment.PRODUCTION
    )

    tested = press_test(client, online)

    assert results(tested) == ["ok", "failed", "ok", "skipped", "skipped"]
    assert (asked(safaricom), "certificate for production" in words(tested, 1)) == (0, True)
