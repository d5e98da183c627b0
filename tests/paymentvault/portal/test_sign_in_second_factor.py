"""Who needs a second factor, how it is set up and asked for, and what asks again."""

import hashlib
import hmac
import json
import struct
import time
from base64 import b32decode
from datetime import timedelta

import pytest
import time_machine
from allauth.account.internal.flows.login import record_authentication
from allauth.core import context
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from disbursements.states import Status
from partners.models import PLATFORM_ROLES, MifosConnection, Partner, Role
from partners.roles import RIGHTS, TENDING, VIEWING
from paymentvault import recent, sealing, second_factor, signing_in
from paymentvault import settings as ours
from paymentvault.models import AuditEvent, TokenGrant, User
from paymentvault.session_store import SessionStore

PASSWORD = "a-long-one-2026"
NEW_SECRET = "typed-while-it-lapsed"
ONLY_LOOKED_AT = {
    "paymentvault.view_killswitch", "paymentvault.view_heartbeat",
    "paymentvault.view_allowednetwork", "partners.view_apikey", "partners.view_membership",
}  # fmt: skip


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
    held = RIGHTS[Role.APPROVER] | RIGHTS[Role.ADMINISTRATOR]
    named = [right.partition(".")[2] for right in held]
    user.user_permissions.set(Permission.objects.filter(codename__in=named))
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
    officer.user_permissions.clear()
    given = Permission.objects.get(content_type__app_label=app, codename=codename)
    officer.user_permissions.add(given)
    sign_in(client)

    assert client.get("/")["Location"] == "/second-factor/"


@pytest.mark.parametrize("role", Role)
def test_a_viewer_gets_on_without_the_others_don_t(client, officer, lender, role):
    officer.user_permissions.clear()
    officer.memberships.create(role=role, partner=None if role in PLATFORM_ROLES else lender)
    sign_in(client)

    is_led_there = client.get("/disbursements/").status_code == 302
    assert is_led_there == (role != Role.VIEWER)


def test_only_looking_and_tending_need_none():
    needing = set().union(*RIGHTS.values()) - VIEWING - TENDING - ONLY_LOOKED_AT

    assert needing == set(second_factor.NEED_IT)


@pytest.mark.parametrize("mark", ["is_superuser", "is_staff"])
def test_superusers_and_who_reaches_the_admin_need_one(client, officer, mark):
    officer.user_permissions.clear()
    User.objects.update(**{mark: True})
    sign_in(client)

    assert client.get("/admin/")["Location"] == "/second-factor/"


def test_a_role_at_one_partner_needs_it_too(client, officer, lender):
    officer.user_permissions.clear()
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


def wrong_codes(address, times=5):
    client = Client(REMOTE_ADDR=address)
    sign_in(client)
    for _ in range(times):
        answer = client.post("/second-factor/authenticate/", {"code": "000000"})
    return client, answer


def is_let_in(client, code_):
    client.post("/second-factor/authenticate/", {"code": code_})
    return client.get("/").status_code == 200


def test_whoever_knows_the_password_locks_nobody_s_second_factor(officer, enrolled):
    stranger, answer = wrong_codes("203.0.113.9", 20)
    owner = Client(REMOTE_ADDR="198.51.100.7")
    sign_in(owner)

    assert "too many wrong codes for your name from here" in answer.text
    assert not is_let_in(stranger, code(enrolled))
    assert is_let_in(owner, code(enrolled))
    assert acts("locked out").get().subject == "achieng"


def test_many_places_together_are_limited_too(officer, enrolled, monkeypatch):
    monkeypatch.setattr(signing_in, "WRONG_CODES_AN_HOUR", 8)
    wrong_codes("203.0.113.9")

    third, answer = wrong_codes("192.0.2.77", 4)

    assert "from many places" in answer.text and not is_let_in(third, code(enrolled))


def test_right_codes_are_not_counted(officer, enrolled, clock, monkeypatch):
    monkeypatch.setattr(signing_in, "WRONG_CODES_AN_HOUR", 3)
    for _ in range(6):
        clock.shift(30)
        client = Client()
        sign_in(client)
        assert is_let_in(client, code(enrolled))


def test_one_may_turn_back_between_password_and_code(officer, enrolled):
    client = Client()
    sign_in(client)

    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/login/").status_code == 200


def test_the_first_one_ends_what_began_with_the_password_alone(client, officer):
    stranger = Client()
    sign_in(stranger)
    stranger.post("/api/v1/tokens")
    grant = TokenGrant.objects.create(
        user=officer, session_sha256="0" * 64, ends_at=timezone.now() + timedelta(hours=1)
    )
    sign_in(client)
    set_up(client)

    assert stranger.get("/disbursements/")["Location"].startswith("/login/")
    assert client.get("/disbursements/").status_code == 200
    grant.refresh_from_db()
    assert grant.revoked_at and acts("api tokens revoked").exists()
    assert acts("sessions ended").get().detail["count"] == 1


def test_a_second_one_ends_no_other_session(client, officer, enrolled):
    there = Client()
    sign_in(there)
    there.post("/second-factor/authenticate/", {"code": code(enrolled)})

    Authenticator.objects.create(user=officer, type="webauthn", data={})

    assert there.get("/disbursements/").status_code == 200


@pytest.fixture
def half(officer, enrolled):
    """A session of somebody who has one, that never showed it."""
    half = Client()
    half.force_login(officer)
    return half


@pytest.mark.parametrize("path", [
    "/", "/disbursements/", "/profile/", "/profile/password/", "/profile/programs/", "/help/",
    "/second-factor/", "/second-factor/password/", "/second-factor/recovery-codes/",
    "/second-factor/recovery-codes/download/", "/second-factor/recovery-codes/generate/",
    "/second-factor/totp/activate/", "/second-factor/totp/deactivate/",
    "/second-factor/totp/replace/", "/second-factor/webauthn/", "/second-factor/webauthn/add/",
])  # fmt: skip
def test_without_having_shown_it_nothing_opens_but_the_question(half, path):
    for ask in (half.get, half.post):
        assert ask(path, {"password": PASSWORD})["Location"].startswith(
            "/second-factor/reauthenticate/?next="
        )
    assert half.get("/second-factor/reauthenticate/").status_code == 200
    assert not acts("confirmed who they are").exists()
    assert half.post("/logout/")["Location"] == "/login/"


def test_also_for_a_viewer_who_has_one_without_need(half, officer):
    officer.user_permissions.clear()

    assert half.get("/profile/")["Location"].startswith("/second-factor/reauthenticate/")
    assert half.get("/api/v1/partners").status_code == 401


def test_having_shown_it_opens_the_rest(half, enrolled):
    again(half, enrolled)

    assert half.get("/disbursements/").status_code == 200


def of_session(client, officer):
    request = RequestFactory().post("/")
    request.user, request.session = officer, client.session
    return request


def test_adding_another_shows_nothing_for_who_never_showed_the_first(half, officer):
    request = of_session(half, officer)
    record_authentication(request, officer, "password", reauthenticated=True)

    with context.request_context(request):
        Authenticator.objects.create(user=officer, type="webauthn", data={})

    assert not second_factor.was_used(request)


def test_the_first_shows_nothing_for_who_signed_in_long_ago(client, officer, clock):
    sign_in(client)
    clock.shift(700)
    request = of_session(client, officer)

    with context.request_context(request):
        Authenticator.objects.create(user=officer, type="webauthn", data={})

    assert not second_factor.was_used(request)


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
    officer.user_permissions.clear()
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


# -- a lost phone


@pytest.fixture
def codes(client, enrolled):
    again(client, enrolled)
    return client.get("/second-factor/recovery-codes/").context["unused_codes"]


@pytest.fixture
def back(officer, codes):
    """Signed in by a recovery code."""
    back = Client()
    sign_in(back)
    assert is_let_in(back, codes[0])
    return back


REPLACE = "/second-factor/totp/replace/"


def test_a_recovery_code_lets_one_set_up_a_new_app(client, officer, back, enrolled, clock):
    assert REPLACE in back.get("/second-factor/").text
    secret = back.get(REPLACE).context["form"].secret
    assert Authenticator.objects.filter(type="totp").exists()

    answer = back.post(REPLACE, {"code": code(secret)})

    assert answer["Location"] == "/second-factor/"
    assert client.get("/").status_code == 302, "who is signed in on the lost phone"
    told = list(acts("second factor removed").values_list("detail__which", "actor"))
    assert told == [("authenticator app", "achieng")]
    clock.shift(60)
    finder, owner = Client(), Client()
    for one in (finder, owner):
        sign_in(one)
    assert not is_let_in(finder, code(enrolled)) and is_let_in(owner, code(secret))


def test_a_wrong_first_code_leaves_the_old_app(back, enrolled, clock):
    back.get(REPLACE)
    before = Authenticator.objects.get(type="totp").data

    back.post(REPLACE, {"code": "000000"})

    assert Authenticator.objects.get(type="totp").data == before


def test_long_after_the_recovery_code_it_is_asked_for_again(back, codes, clock):
    clock.shift(700)
    assert back.get(REPLACE)["Location"].startswith("/second-factor/reauthenticate/")

    back.post("/second-factor/reauthenticate/", {"code": codes[1]})

    assert back.get(REPLACE).status_code == 200


def test_signing_in_by_the_app_is_not_enough_to_replace_it(client, enrolled):
    assert client.get(REPLACE)["Location"].startswith("/second-factor/reauthenticate/")
    again(client, enrolled)
    assert client.get(REPLACE).status_code == 200


def test_one_recovery_code_shows_no_others_until_there_is_a_new_app(back, codes):
    back.post("/second-factor/reauthenticate/", {"code": codes[1]})
    pages = [f"/second-factor/recovery-codes/{one}" for one in ("", "download/", "generate/")]

    for page in pages:
        assert back.get(page)["Location"] == "/second-factor/"
    secret = back.get(REPLACE).context["form"].secret
    back.post(REPLACE, {"code": code(secret)})

    assert [back.get(page).status_code for page in pages] == [200] * 3


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


def test_the_password_does_not_for_who_has_one(client, enrolled, pages):
    asked = client.get("/second-factor/reauthenticate/").text
    client.post("/second-factor/password/", {"password": PASSWORD, "next": "/"})

    assert "your password" not in asked and "holds for 10 minutes" in asked
    assert client.get(pages["limits"]).status_code == 302
    assert not acts("confirmed who they are").exists()


def test_a_password_that_was_shown_before_counts_no_more_once_there_is_one(officer):
    request = RequestFactory().get("/")
    request.user, request.session = officer, SessionStore()
    record_authentication(request, officer, "password", reauthenticated=True)
    assert recent.is_recent(request)

    Authenticator.objects.create(user=officer, type="totp", data={})

    assert not recent.is_recent(request)


def test_a_new_password_asks_for_it(client, enrolled):
    assert client.get("/profile/password/")["Location"].startswith("/second-factor/reauthenticate")
    assert client.post("/profile/password/")["Location"].startswith("/second-factor/reauthenticate")
    again(client, enrolled)
    assert client.get("/profile/password/").status_code == 200


def test_who_has_none_shows_the_password(client, officer, clock):
    officer.user_permissions.clear()
    sign_in(client)
    clock.shift(700)

    client.post("/second-factor/password/", {"password": PASSWORD, "next": "/"})

    assert acts("confirmed who they are").get().detail == {"shown": "password"}
    assert client.get("/second-factor/totp/activate/").status_code == 200


def test_a_wrong_password_doesn_t_and_is_locked_like_any_other(client, officer):
    sign_in(client)
    for _ in range(5):
        answer = client.post("/second-factor/password/", {"password": "wrong", "next": "/"})

    assert answer.status_code == 429 and "too many wrong passwords" in answer.text
    assert {(one.actor, one.subject) for one in acts("refused")} == {("achieng", "achieng")}
    assert acts("refused").count() >= 4 and acts("locked out").exists()


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
