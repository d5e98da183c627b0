"""Guessing locks only the guesser out; sessions end by themselves, by their owner, and by a new
password."""

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.hashers import get_hashers_by_algorithm, identify_hasher
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from paymentvault import sealing, sessions
from paymentvault.checks import the_second_factor_is_asked_for
from paymentvault.models import AuditEvent, User
from paymentvault.settings import PASSWORD_HASHERS

PASSWORD = "a-long-one-2026"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"


@pytest.fixture
def amina(db):
    return User.objects.create_user("amina", password=PASSWORD)


def at(address, **more):
    return Client(REMOTE_ADDR=address, HTTP_USER_AGENT=CHROME, **more)


def try_(client, password, name="amina"):
    return client.post("/login/", {"username": name, "password": password})


def guess(client, times, name="amina"):
    for _ in range(times):
        answer = try_(client, "wrong", name)
    return answer


def is_signed_in(client):
    return client.get("/profile/").status_code == 200


def acts(act):
    return AuditEvent.objects.filter(act=act)


# -- guessing


def test_after_five_wrong_passwords_not_even_the_right_one_is_looked_at(amina):
    stranger = at("203.0.113.9")

    answer = guess(stranger, 5)

    assert answer.status_code == 429 and "not even the right one" in answer.text
    assert try_(stranger, PASSWORD).status_code == 429
    assert not is_signed_in(stranger)


def test_a_stranger_elsewhere_locks_no_officer_out(amina):
    guess(at("203.0.113.9"), 20)
    officer = at("198.51.100.7")

    assert try_(officer, PASSWORD)["Location"] == "/"
    assert is_signed_in(officer)


def test_who_is_locked_out_signs_others_in_from_there(amina):
    User.objects.create_user("baraka", password=PASSWORD)
    office = at("198.51.100.7")
    guess(office, 5)

    assert try_(office, PASSWORD, "baraka").status_code == 302


def test_nobody_gets_around_it_by_another_browser(amina):
    guess(at("203.0.113.9"), 3)
    again = Client(REMOTE_ADDR="203.0.113.9", HTTP_USER_AGENT="curl/8")

    assert guess(again, 2).status_code == 429


def test_nobody_gets_around_it_by_headers_that_they_write(amina):
    for n in range(5):
        at("203.0.113.9", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}").post(
            "/login/", {"username": "amina", "password": "wrong"}
        )

    assert try_(at("203.0.113.9"), PASSWORD).status_code == 429


def test_behind_a_proxy_of_ours_it_is_the_address_that_the_proxy_saw(amina, settings):
    settings.TRUSTED_PROXIES = 1
    guess(at("10.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.9"), 5)

    officer = at("10.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.9, 198.51.100.7")
    assert try_(officer, PASSWORD).status_code == 302


def test_it_ends_after_a_while_however_often_it_was_tried_meanwhile(amina):
    client = at("203.0.113.9")
    with time_machine.travel(timezone.now(), tick=True) as clock:
        guess(client, 5)
        clock.shift(timedelta(seconds=settings.LOCKED_OUT_FOR_S - 60))
        guess(client, 3)
        clock.shift(timedelta(seconds=120))

        assert try_(client, PASSWORD).status_code == 302


def test_a_right_password_begins_the_count_anew(amina):
    client = at("203.0.113.9")
    guess(client, 4)
    try_(client, PASSWORD)
    client.post("/logout/")

    assert guess(client, 4).status_code == 200


def test_a_wrong_sign_in_names_the_account(amina):
    guess(at("203.0.113.9"), 1)

    line = acts("refused").get()
    assert (line.actor, line.subject, line.about_id) == ("stranger", "amina", str(amina.pk))


def test_what_is_nobody_s_name_is_told_nowhere(amina):
    guess(at("203.0.113.9"), 6, name="my-secret-slip")

    told = AuditEvent.objects.values_list("act", "subject", "detail")
    assert {act for act, *_ in told} == {"refused", "locked out"}
    assert "my-secret-slip" not in str(list(told))


def test_a_whole_line_of_ipv6_is_one_place(amina):
    for n in range(1, 6):
        guess(at(f"2001:db8:0:1::{n}"), 1)

    assert try_(at("2001:db8:0:1:ffff::9"), PASSWORD).status_code == 429
    assert try_(at("2001:db8:0:2::1"), PASSWORD).status_code == 302
    assert acts("locked out").get().source_address == "2001:db8:0:1::5"


def test_being_locked_out_stands_in_the_audit_once(amina):
    guess(at("203.0.113.9"), 12)

    line = acts("locked out").get()
    assert (line.subject, line.source_address) == ("amina", "203.0.113.9")


def test_a_wrong_password_is_told_with_no_password_kept(amina):
    from axes.models import AccessAttempt

    try_(at("203.0.113.9"), "my-secret-slip")

    kept = AccessAttempt.objects.get()
    assert "my-secret-slip" not in kept.post_data + kept.get_data
    assert "my-secret-slip" not in str(acts("refused").get().detail)


def test_passwords_are_kept_by_argon2(settings):
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS
    get_hashers_by_algorithm.cache_clear()

    made = User(username="x")
    made.set_password("anything")

    assert identify_hasher(made.password).algorithm == "argon2"


# -- what a session holds


def test_a_session_is_unreadable_in_the_database(amina):
    client = at("198.51.100.7")
    try_(client, PASSWORD)
    session = client.session
    session["typed"] = "a-canary"
    session.save()

    row = Session.objects.get()

    assert "a-canary" not in row.session_data
    assert "a-canary" in sealing.unseal(row.session_data)
    assert client.session["typed"] == "a-canary"


def test_a_session_that_no_key_reads_is_nobody_s(amina):
    client = at("198.51.100.7")
    try_(client, PASSWORD)
    Session.objects.update(session_data="gAAAA-not-ours")

    assert not is_signed_in(client)


# -- time-outs


def test_after_half_an_hour_without_a_press_one_is_signed_out(amina):
    client = at("198.51.100.7")
    with time_machine.travel(timezone.now(), tick=True) as clock:
        try_(client, PASSWORD)
        clock.shift(timedelta(minutes=29))
        assert is_signed_in(client)
        clock.shift(timedelta(minutes=31))

        answer = client.get("/profile/?a=b", follow=True)

    assert answer.redirect_chain == [("/login/?next=/profile/%3Fa%3Db", 302)]
    assert "nothing was pressed for 30 minutes" in answer.text
    assert acts("session timed out").get().actor == "amina"


def test_a_page_that_refreshes_itself_keeps_nobody_signed_in(amina):
    client = at("198.51.100.7")
    live = {"HX-Request": "true", "HX-Current-URL": "http://testserver/"}
    with time_machine.travel(timezone.now(), tick=True) as clock:
        try_(client, PASSWORD)
        for _ in range(3):
            clock.shift(timedelta(minutes=11))
            answer = client.get("/profile/", headers=live)

    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/login/?next=http%3A//testserver/"


def test_after_twelve_hours_one_is_signed_out_whatever_one_pressed(amina):
    client = at("198.51.100.7")
    with time_machine.travel(timezone.now(), tick=True) as clock:
        try_(client, PASSWORD)
        for _ in range(35):
            clock.shift(timedelta(minutes=20))
            assert is_signed_in(client)
        clock.shift(timedelta(minutes=21))

        assert "signed in for 12 hours" in client.get("/profile/", follow=True).text


# -- one's own sessions


def test_the_profile_lists_where_one_is_signed_in_and_nobody_else_s(amina):
    here, there = at("198.51.100.7"), at("203.0.113.9")
    try_(here, PASSWORD)
    try_(there, PASSWORD)
    User.objects.create_user("baraka", password=PASSWORD)
    try_(at("192.0.2.77"), PASSWORD, "baraka")

    page = here.get("/profile/").text

    assert page.count("Chrome on Linux</strong>") == 2 and page.count("(here)") == 1
    assert "198.51.100.7" in page and "203.0.113.9" in page and "192.0.2.77" not in page


def test_one_can_be_ended_from_another(amina):
    here, there, third = (at(f"198.51.100.{n}") for n in (7, 8, 9))
    for client in (here, there, third):
        try_(client, PASSWORD)
    row = next(one for one in sessions.of(amina) if one.ip == "198.51.100.8")

    answer = here.post("/profile/session/end/", {"pk": row.pk}, follow=True)

    assert "Signed out at 1 other place." in answer.text
    assert not is_signed_in(there) and is_signed_in(third) and is_signed_in(here)
    assert acts("sessions ended").get().detail["count"] == 1


def test_all_others_end_together(amina):
    here, there, third = (at(f"198.51.100.{n}") for n in (7, 8, 9))
    for client in (here, there, third):
        try_(client, PASSWORD)

    here.post("/profile/session/end/")

    assert not is_signed_in(there) and not is_signed_in(third) and is_signed_in(here)


def test_nobody_ends_another_s(amina):
    User.objects.create_user("baraka", password=PASSWORD)
    mine, theirs = at("198.51.100.7"), at("203.0.113.9")
    try_(mine, PASSWORD)
    try_(theirs, PASSWORD, "baraka")
    row = sessions.of(User.objects.get(username="baraka"))[0]

    mine.post("/profile/session/end/", {"pk": row.pk})

    assert is_signed_in(theirs) and not acts("sessions ended").exists()


def test_a_new_password_ends_the_others_and_they_are_listed_no_more(amina):
    here, there = at("198.51.100.7"), at("203.0.113.9")
    try_(here, PASSWORD)
    try_(there, PASSWORD)
    new = "quite-another-2026"

    here.post("/profile/password/", {
        "old_password": PASSWORD, "new_password1": new, "new_password2": new,
    })  # fmt: skip

    assert is_signed_in(here) and not is_signed_in(there)
    assert [one.ip for one in sessions.of(amina)] == ["198.51.100.7"]
    assert acts("password changed").get().detail["sessions_ended"] == 1


def as_boss(amina):
    User.objects.update(is_superuser=True, is_staff=True)
    clients = at("198.51.100.7"), at("203.0.113.9")
    for client in clients:
        try_(client, PASSWORD)
    return clients


def test_one_s_own_new_password_in_the_admin_does_the_same(amina):
    here, there = as_boss(amina)
    new = "quite-another-2026"

    answer = here.post(reverse("admin:auth_user_password_change", args=[amina.pk]), {
        "password1": new, "password2": new, "usable_password": "true",
    })  # fmt: skip

    assert answer.status_code == 302
    assert [one.ip for one in sessions.of(amina)] == ["198.51.100.7"]
    assert is_signed_in(here) and not is_signed_in(there)
    here.post("/logout/")
    assert not Session.objects.exists()


def test_whoever_is_let_in_again_signs_in_again(amina):
    here, _ = as_boss(amina)
    baraka = User.objects.create_user("baraka", password=PASSWORD)
    his = at("192.0.2.77")
    try_(his, PASSWORD, "baraka")
    path = reverse("admin:paymentvault_user_change", args=[baraka.pk])
    given = {"username": "baraka", "date_joined_0": "2026-01-01", "date_joined_1": "08:00"}
    inlines = {
        f"{one.formset.prefix}-{name}": 0
        for one in here.get(path).context["inline_admin_formsets"]
        for name in ("TOTAL_FORMS", "INITIAL_FORMS")
    }

    assert here.post(path, given | inlines).status_code == 302
    assert not User.objects.get(username="baraka").is_active
    assert here.post(path, given | inlines | {"is_active": "on"}).status_code == 302

    assert User.objects.get(username="baraka").is_active
    assert not is_signed_in(his) and sessions.of(baraka) == []
    assert acts("sessions ended").get().subject == "baraka"


def test_signing_out_takes_it_off_the_list(amina):
    client = at("198.51.100.7")
    try_(client, PASSWORD)
    client.post("/logout/")

    assert sessions.of(amina) == []


@pytest.mark.parametrize("path", ["/signup/", "/login/code/", "/password/reset/", "/email/"])
def test_there_is_no_sign_up_and_no_e_mail_page(client, path):
    assert client.get(path).status_code in (302, 404)
    assert client.get(path).headers.get("Location", "/login/").startswith("/login/")


# -- unsafe settings


@pytest.mark.parametrize(
    "given, is_safe",
    [
        ({"SECOND_FACTOR": False, "ASK_AGAIN_AFTER_S": 600}, False),
        ({"SECOND_FACTOR": True, "ASK_AGAIN_AFTER_S": 0}, False),
        ({"SECOND_FACTOR": True, "ASK_AGAIN_AFTER_S": 86_400}, False),
        ({"SECOND_FACTOR": True, "ASK_AGAIN_AFTER_S": 600}, True),
        ({"SECOND_FACTOR": False, "DEBUG": True}, True),
    ],
)
def test_nothing_runs_without_a_second_factor_outside_development(settings, given, is_safe):
    settings.TESTING = False
    for name, value in given.items():
        setattr(settings, name, value)

    assert (the_second_factor_is_asked_for(None) == []) is is_safe
