"""Who needs a second factor, how it is set up and asked for, and what asks again."""

import hashlib
import hmac
import json
import struct
import time
from base64 import b32decode

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from disbursements.states import Status
from partners.models import MifosConnection, Partner
from paymentvault import sealing, second_factor
from paymentvault import settings as ours
from paymentvault.models import AuditEvent, User

PASSWORD = "a-long-one-2026"
NEW_SECRET = "typed-while-it-lapsed"


@pytest.fixture(autouse=True)
def switched_on(settings):
    settings.SECOND_FACTOR, settings.ASK_AGAIN_AFTER_S = True, 600
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 600


@pytest.fixture
def clock():
    with time_machine.travel(timezone.now(), tick=False) as clock:
        yield clock


@pytest.fixture
def officer(db):
    user = User.objects.create_user("achieng", password=PASSWORD)
    user.groups.set(Group.objects.filter(name__in=["Approvers", "Administrators"]))
    return user


def code(secret, at=None):
    counter = struct.pack(">Q", int(at or time.time()) // 30)
    digest = hmac.new(b32decode(secret), counter, hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def sign_in(client, name="achieng", **more):
    return client.post("/login/", {"username": name, "password": PASSWORD, **more})


def set_up(client):
    """An authenticator app; returns its secret."""
    page = client.get("/second-factor/totp/activate/")
    secret = page.context["form"].secret
    answer = client.post("/second-factor/totp/activate/", {"code": code(secret)})
    assert answer.status_code == 302, answer.text
    return secret


def acts(act):
    return AuditEvent.objects.filter(act=act)


@pytest.fixture
def enrolled(client, officer, clock):
    """Signed in with both; returns the secret."""
    sign_in(client)
    secret = set_up(client)
    client.post("/logout/")
    clock.shift(60)
    sign_in(client)
    client.post("/second-factor/authenticate/", {"code": code(secret)})
    clock.shift(60)
    return secret


def again(client, secret, to="/"):
    url = f"/second-factor/reauthenticate/?next={to}"
    return client.post(url, {"code": code(secret), "next": to})


# -- who needs one


@pytest.mark.parametrize("right", second_factor.NEED_IT)
def test_each_right_that_needs_it_leads_to_setting_it_up(client, officer, right):
    app, _, codename = right.partition(".")
    officer.groups.clear()
    given = Permission.objects.get(content_type__app_label=app, codename=codename)
    officer.user_permissions.add(given)
    sign_in(client)

    assert client.get("/")["Location"] == "/second-factor/"


@pytest.mark.parametrize(
    "group, needs",
    [("Viewers", False), ("Operators", True), ("Approvers", True), ("Administrators", True)],
)
def test_a_viewer_gets_on_without_the_others_don_t(client, officer, group, needs):
    officer.groups.set([Group.objects.get(name=group)])
    sign_in(client)

    assert client.get("/disbursements/").status_code == (302 if needs else 200)


@pytest.mark.parametrize("mark", ["is_superuser", "is_staff"])
def test_superusers_and_who_reaches_the_admin_need_one(client, officer, mark):
    officer.groups.clear()
    User.objects.update(**{mark: True})
    sign_in(client)

    assert client.get("/admin/")["Location"] == "/second-factor/"


def test_a_role_at_one_partner_needs_it_too(client, officer, lender):
    officer.groups.clear()
    officer.memberships.create(partner=lender, role="approver")
    sign_in(client)

    assert client.get("/")["Location"] == "/second-factor/"


def test_until_then_one_reaches_one_s_account_the_help_and_the_way_out(client, officer):
    sign_in(client)

    for path in ("/profile/", "/profile/password/", "/help/", "/second-factor/",
                 "/second-factor/totp/activate/"):  # fmt: skip
        assert client.get(path).status_code == 200, path
    assert client.post("/theme/", {"theme": "dark"})["Location"] == "/profile/"
    assert client.post("/logout/")["Location"] == "/login/"


@pytest.mark.parametrize("path", ["/", "/charts/", "/disbursements/", "/partners/", "/cases/",
                                  "/events/", "/callbacks/", "/admin/", "/jobs/" + "0" * 8 +
                                  "-0000-0000-0000-000000000000/"])  # fmt: skip
def test_and_nothing_else(client, officer, path):
    sign_in(client)

    assert client.get(path)["Location"] == "/second-factor/"
    assert client.post(path)["Location"] == "/second-factor/"


def test_a_part_of_a_page_leads_the_whole_page_there(client, officer):
    sign_in(client)

    answer = client.get("/", headers={"HX-Request": "true"})

    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/second-factor/")


# -- setting it up, and signing in with it


def test_whoever_set_it_up_goes_on_and_sees_recovery_codes(client, officer):
    sign_in(client)
    set_up(client)

    page = client.get("/second-factor/recovery-codes/")

    assert len(page.context["unused_codes"]) == 10
    assert page.context["unused_codes"][0] in page.text
    assert client.get("/").status_code == 200
    assert list(acts("second factor added").values_list("detail__which", flat=True)) == [
        "recovery code", "authenticator app",
    ]  # fmt: skip


def test_the_picture_stands_in_the_page_and_has_no_style(client, officer):
    sign_in(client)

    page = client.get("/second-factor/totp/activate/").text

    picture = page.partition('<div class="qr"')[2].partition("</svg>")[0]
    assert "<path" in picture and "style=" not in picture and "data:" not in page


def test_a_password_alone_signs_nobody_in_who_has_one(client, officer, enrolled):
    stranger = Client()

    answer = sign_in(stranger)

    assert answer["Location"] == "/second-factor/authenticate/"
    assert stranger.get("/")["Location"].startswith("/login/")


def test_the_code_signs_in_and_leads_to_where_one_wanted(officer, enrolled, clock):
    client = Client()
    sign_in(client, next="/disbursements/")

    answer = client.post("/second-factor/authenticate/", {"code": code(enrolled)})

    assert answer["Location"] == "/disbursements/"
    assert client.get("/disbursements/").status_code == 200
    assert acts("signed in").first().detail == {"shown": "password, authenticator app"}


def test_a_code_works_once(officer, enrolled):
    first, second = Client(), Client()
    for client in (first, second):
        sign_in(client)
        client.post("/second-factor/authenticate/", {"code": code(enrolled)})

    assert first.get("/").status_code == 200
    assert second.get("/").status_code == 302


def test_a_recovery_code_works_once(client, officer, enrolled):
    again(client, enrolled)
    one = client.get("/second-factor/recovery-codes/").context["unused_codes"][0]
    first, second = Client(), Client()
    for other in (first, second):
        sign_in(other)
        other.post("/second-factor/authenticate/", {"code": one})

    assert first.get("/").status_code == 200 and second.get("/").status_code == 302
    assert acts("signed in").first().detail == {"shown": "password, recovery code"}


def test_wrong_codes_are_told_and_limited(officer, enrolled):
    client = Client()
    sign_in(client)
    for _ in range(5):
        answer = client.post("/second-factor/authenticate/", {"code": "000000"})
        assert "This code isn&#x27;t right" in answer.text

    client.post("/second-factor/authenticate/", {"code": code(enrolled)})

    assert client.get("/").status_code == 302
    assert acts("refused").get().detail == {"what": "a wrong code of the second factor"}


def test_one_may_turn_back_between_password_and_code(officer, enrolled):
    client = Client()
    sign_in(client)

    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/login/").status_code == 200


def test_a_session_begun_without_it_gains_nothing_by_its_being_set_up_elsewhere(client, officer):
    stranger = Client()
    sign_in(stranger)
    sign_in(client)
    set_up(client)

    answer = stranger.get("/disbursements/")

    assert answer["Location"].startswith("/second-factor/reauthenticate/?next=")
    assert client.get("/disbursements/").status_code == 200


def test_its_keys_are_encrypted_and_still_read_after_a_new_key(client, officer, settings):
    sign_in(client)
    secret = set_up(client)
    kept = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
    settings.FERNET_KEYS = ["another-key-0123456789-abcdefghijklmnop", *settings.FERNET_KEYS]

    second_factor.encrypt_anew()

    anew = Authenticator.objects.get(type="totp").data["secret"]
    settings.FERNET_KEYS = settings.FERNET_KEYS[:1]
    assert anew != kept and sealing.unseal(anew) == secret


def test_the_only_one_can_t_be_removed_by_who_needs_it(client, officer, enrolled):
    again(client, enrolled)

    client.post("/second-factor/totp/deactivate/")

    assert Authenticator.objects.filter(type="totp").exists()


def test_a_viewer_may_remove_theirs(client, officer):
    officer.groups.clear()
    sign_in(client)
    set_up(client)

    client.post("/second-factor/totp/deactivate/")

    assert not Authenticator.objects.exists()
    assert acts("second factor removed").count() == 2


def test_setting_it_up_long_after_signing_in_asks_for_the_password(client, officer, clock):
    sign_in(client)
    clock.shift(700)

    answer = client.get("/second-factor/totp/activate/")

    assert (
        answer["Location"] == "/second-factor/password/?next=%2Fsecond-factor%2Ftotp%2Factivate%2F"
    )


# -- asked again


@pytest.fixture
def pages(connection, shortcode):
    code = connection.partner.code
    return {
        "connection": reverse("connection:edit", args=[code]),
        "webhook": reverse("connection:webhook-rotate", args=[code]),
        "products": reverse("connection:products", args=[code]),
        "on": reverse("connection:on", args=[code]),
        "automatic": reverse("automatic:switch", args=[code]),
        "shortcode": reverse("shortcodes:edit", args=[code, shortcode.pk]),
        "new shortcode": reverse("shortcodes:add", args=[code]),
        "limits": reverse("partners:edit", args=[code]),
        "new partner": reverse("partners:new"),
    }


ASKED = ["connection", "webhook", "products", "on", "automatic", "shortcode", "new shortcode",
         "limits", "new partner"]  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_the_page_itself_asks_again_and_leads_back(client, enrolled, pages, name):
    path = pages[name]

    asked = client.get(path)
    back = again(client, enrolled, to=path)

    assert asked["Location"].startswith("/second-factor/reauthenticate/?next=%2Fpartners%2F")
    assert back["Location"] == path
    assert client.get(path).get("Location", "").startswith("/second-factor/") is False
    assert acts("confirmed who they are").get().detail == {"shown": "authenticator app"}


@pytest.mark.parametrize("name", ASKED)
def test_posting_past_the_page_changes_nothing(client, enrolled, pages, name):
    before = MifosConnection.objects.values().get(), Partner.objects.values().get()

    answer = client.post(pages[name], {"name": "Other", "password": "x"})

    assert answer["Location"].startswith("/second-factor/reauthenticate/")
    assert (MifosConnection.objects.values().get(), Partner.objects.values().get()) == before


def test_giving_somebody_a_role_asks_again(client, enrolled, lender):
    path = reverse("partners:give-role", args=[lender.code])

    assert client.post(path)["Location"].startswith("/second-factor/reauthenticate/")


def test_making_a_webhook_s_secret_asks_again(client, enrolled, connection):
    path = reverse("connection:webhook-make", args=[connection.partner.code])

    assert client.post(path)["Location"].startswith("/second-factor/reauthenticate/")


def test_it_holds_for_ten_minutes(client, enrolled, pages, clock):
    again(client, enrolled)

    clock.shift(590)
    assert client.get(pages["limits"]).status_code == 200
    clock.shift(20)
    assert client.get(pages["limits"]).status_code == 302


def test_the_password_does_as_well(client, enrolled, pages):
    client.post("/second-factor/password/", {"password": PASSWORD, "next": "/"})

    assert client.get(pages["limits"]).status_code == 200
    assert acts("confirmed who they are").get().detail == {"shown": "password"}


def test_a_wrong_password_doesn_t_and_is_locked_like_any_other(client, enrolled, pages):
    for _ in range(5):
        answer = client.post("/second-factor/password/", {"password": "wrong", "next": "/"})

    assert answer.status_code == 429 and "too many wrong passwords" in answer.text
    assert client.get(pages["limits"]).status_code == 302
    assert acts("refused").get().actor == "achieng"


def test_what_was_typed_while_it_lapsed_goes_on_by_one_press(client, enrolled, pages, clock):
    path, partner = pages["limits"], Partner.objects.get()
    again(client, enrolled)
    form = client.get(path).context["form"]
    typed = {name: form[name].value() or "" for name in form.fields} | {"name": "Pesa Mpya"}
    typed["is_active"] = "on"
    clock.shift(700)

    client.post(path, typed)
    again(client, enrolled, to=path)
    page = client.get(path)
    partner.refresh_from_db()
    assert "Go on with what I typed" in page.text and partner.name != "Pesa Mpya"
    client.post(path, {"go_on": "1"})

    partner.refresh_from_db()
    assert partner.name == "Pesa Mpya"


def test_what_was_typed_is_never_shown_nor_kept_readable(client, enrolled, pages):
    client.post(pages["connection"], {"password": NEW_SECRET})
    again(client, enrolled, to=pages["connection"])

    page = client.get(pages["connection"]).text

    assert "Go on with what I typed" in page and NEW_SECRET not in page
    assert all(NEW_SECRET not in row.session_data for row in Session.objects.all())


def test_what_was_typed_goes_nowhere_else(client, enrolled, pages):
    client.post(pages["limits"], {"name": "Pesa Mpya"})
    again(client, enrolled)

    client.post(pages["new partner"], {"go_on": "1"})

    assert not Partner.objects.filter(name="Pesa Mpya").exists()


@pytest.mark.parametrize("amount, asks", [(100_000, False), (100_001, True)])
@pytest.mark.parametrize(
    "act, status",
    [("approve", Status.AWAITING_APPROVAL), ("release", Status.HELD), ("retry", Status.FAILED)],
)
def test_letting_a_large_sum_go_asks_again(client, enrolled, manual, baraka, act, status, amount,
                                           asks):  # fmt: skip
    one = manual(status, amount=amount, gross_amount=amount, requested_by=baraka)
    path = reverse(f"disbursements:{act}", args=[one.pk])

    for answer in (client.get(path), client.post(path, {})):
        led = answer.get("Location", "").startswith("/second-factor/reauthenticate/")
        assert led is asks


def test_many_small_ones_together_are_a_large_sum(client, enrolled, manual, baraka):
    few = manual(Status.AWAITING_APPROVAL, amount=60_000, gross_amount=60_000, requested_by=baraka)
    path = reverse("disbursements:bulk")
    assert client.get(f"{path}?pick={few.pk}").status_code == 200
    manual(Status.AWAITING_APPROVAL, amount=60_000, gross_amount=60_000, requested_by=baraka)

    assert client.get(f"{path}?all=1")["Location"].startswith("/second-factor/reauthenticate/")


def test_settling_asks_again(client, enrolled, sent):
    one = sent(Status.IN_DOUBT).disbursement
    path = reverse("disbursements:settle", args=[one.pk])

    assert client.get(path)["Location"].startswith("/second-factor/reauthenticate/")


def test_django_s_admin_asks_again_before_it_changes_anything(client, officer, clock):
    User.objects.update(is_superuser=True, is_staff=True)
    sign_in(client)
    set_up(client)
    clock.shift(700)
    path = reverse("admin:paymentvault_user_change", args=[officer.pk])
    assert client.get(path).status_code == 200

    answer = client.post(path, {"username": "other"})

    assert answer["Location"].startswith("/second-factor/reauthenticate/?next=%2Fadmin%2F")
    assert User.objects.filter(username="achieng").exists()


def test_a_lost_one_is_taken_away_and_its_owner_is_signed_out(client, officer, enrolled):
    boss, her = User.objects.create_superuser("boss", password=PASSWORD), Client()
    sign_in(her, "boss")
    set_up(her)
    row = Authenticator.objects.get(user=officer, type="totp")
    path = reverse("admin:mfa_authenticator_delete", args=[row.pk])

    her.post(path, {"post": "yes"})

    assert not Authenticator.objects.filter(user=officer).exists()
    assert client.get("/profile/").status_code == 302
    told = acts("second factor removed").filter(subject="achieng")
    assert set(told.values_list("actor", flat=True)) == {boss.username}


def test_the_admin_never_shows_what_it_keeps(client, officer):
    User.objects.update(is_superuser=True, is_staff=True)
    sign_in(client)
    set_up(client)
    row = Authenticator.objects.get(type="totp")

    page = client.get(reverse("admin:mfa_authenticator_change", args=[row.pk])).text

    assert row.data["secret"] not in page


def test_what_holds_where_nothing_else_is_set():
    assert ours.SESSION_IDLE_S == 30 * 60
    assert ours.SESSION_AT_MOST_S == 12 * 3600
    assert ours.ASK_AGAIN_ABOVE == 100_000
