"""Signing in and out, the password, and one's own account."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from paymentvault.models import AuditEvent, Job, User

PASSWORD = "a-long-one-2026"
NEW = "quite-another-2026"


@pytest.fixture
def amina(db):
    return User.objects.create_user("amina", password=PASSWORD, first_name="Amina")


@pytest.fixture
def signed_in(client, amina):
    client.force_login(amina)
    return client


def sign_in(client, password=PASSWORD, name="amina", path="/login/", **more):
    return client.post(path, {"username": name, "password": password, **more})


def acts():
    return list(AuditEvent.objects.order_by("pk").values_list("act", "actor"))


def test_the_form_lets_password_managers_and_pasting_in(client, db):
    page = client.get("/login/").text

    assert 'autocomplete="username"' in page and 'autocomplete="current-password"' in page
    assert 'type="password"' in page and "onpaste" not in page and 'autocomplete="off"' not in page


def test_signing_in_leads_home_and_stands_in_the_audit(client, amina):
    answer = sign_in(client)

    assert answer["Location"] == "/"
    assert acts() == [("signed in", "amina")]


def test_one_goes_on_to_where_one_wanted(client, amina):
    wanted = client.get("/profile/?a=b")["Location"]

    page = client.get(wanted)
    answer = sign_in(client, next=page.context["next"])

    assert wanted == "/login/?next=/profile/%3Fa%3Db"
    assert answer["Location"] == "/profile/?a=b"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"],
)
def test_never_on_to_another_site(client, amina, elsewhere):
    page = client.get("/login/", {"next": elsewhere})
    answer = sign_in(client, next=elsewhere)

    assert "evil" not in page.text and "alert" not in page.text
    assert answer["Location"] == "/"


@pytest.mark.parametrize("name, password", [("amina", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_sign_in_says_the_same_whatever_was_wrong(client, amina, name, password):
    answer = sign_in(client, password, name)

    assert "don&#x27;t belong together" in answer.text
    assert "Error: Sign in" in answer.text and f'value="{name}"' in answer.text
    assert password not in answer.text
    assert acts() == [("refused", "stranger")]


def test_a_closed_account_can_t_be_told_from_a_wrong_password(client, amina):
    User.objects.update(is_active=False)

    assert "don&#x27;t belong together" in sign_in(client).text


def test_wrong_sign_ins_don_t_flood_the_audit(client, amina):
    for _ in range(5):
        sign_in(client, "wrong")

    assert acts() == [("refused", "stranger"), ("locked out", "stranger")]


def test_whoever_is_signed_in_goes_on(signed_in):
    assert signed_in.get("/login/")["Location"] == "/"


def test_signing_out_takes_a_button_never_a_link(signed_in):
    assert signed_in.get("/logout/").status_code == 405
    assert signed_in.get("/profile/").status_code == 200

    answer = signed_in.post("/logout/")

    assert answer["Location"] == "/login/"
    assert signed_in.get("/profile/").status_code == 302
    assert acts() == [("signed out", "amina")]


def test_signing_out_twice_is_told_once(signed_in):
    signed_in.post("/logout/")

    assert signed_in.post("/logout/").status_code == 302
    assert len(acts()) == 1


# -- the password


def change(client, old=PASSWORD, new=NEW, again=None):
    given = {"old_password": old, "new_password1": new, "new_password2": again or new}
    return client.post("/profile/password/", given)


def test_the_page_says_what_a_password_must_be(signed_in):
    page = signed_in.get("/profile/password/").text

    assert "at least 8 characters" in page
    assert page.count('autocomplete="new-password"') == 2
    assert 'autocomplete="username"' in page


def test_a_changed_password_keeps_one_signed_in_and_ends_the_others(signed_in, amina):
    elsewhere = Client()
    elsewhere.force_login(amina)

    answer = change(signed_in)

    assert answer["Location"] == "/profile/"
    assert "Your password is changed." in signed_in.get("/profile/").text
    assert elsewhere.get("/profile/").status_code == 302
    amina.refresh_from_db()
    assert amina.check_password(NEW)
    assert acts() == [("password changed", "amina")]


@pytest.mark.parametrize(
    "given, words",
    [
        ({"new": "short1"}, "too short"),
        ({"new": "12345678901"}, "entirely numeric"),
        ({"new": "password1234"}, "too common"),
        ({"new": "amina-amina"}, "too similar"),
        ({"again": "something-else-1"}, "match"),
    ],
)
def test_a_password_that_won_t_do_is_told_and_nothing_changes(signed_in, amina, given, words):
    if given.get("new") == "amina-amina":
        User.objects.update(first_name="amina-amina")

    answer = change(signed_in, **given)

    assert words in answer.text
    amina.refresh_from_db()
    assert amina.check_password(PASSWORD) and acts() == []


def test_a_wrong_old_password_is_told_and_stands_in_the_audit_each_time(signed_in, amina):
    for _ in range(3):
        answer = change(signed_in, old="wrong")

    assert "old password was entered incorrectly" in answer.text
    amina.refresh_from_db()
    assert amina.check_password(PASSWORD)
    assert acts() == [("refused", "amina")] * 3
    assert {one.subject for one in AuditEvent.objects.all()} == {"amina"}


def test_a_stolen_session_guesses_no_password(signed_in, amina):
    for _ in range(5):
        answer = change(signed_in, old="wrong")
    assert answer.status_code == 429 and "too many wrong passwords" in answer.text

    assert change(signed_in).status_code == 429

    amina.refresh_from_db()
    assert amina.check_password(PASSWORD) and ("locked out", "stranger") in acts()


def test_the_admin_has_no_other_page_for_it(signed_in, amina):
    User.objects.update(is_staff=True)

    for ask in (signed_in.get, signed_in.post):
        assert ask("/admin/password_change/")["Location"] == "/profile/password/"


def test_no_password_is_sent_back(signed_in):
    page = change(signed_in, new="short1").text

    assert "short1" not in page and PASSWORD not in page


# -- the profile


def test_the_e_mail_is_saved_and_told_without_being_repeated(signed_in, amina):
    answer = signed_in.post("/profile/", {"email": "amina@pamoja.example"})

    assert answer["Location"] == "/profile/"
    amina.refresh_from_db()
    assert amina.email == "amina@pamoja.example"
    assert AuditEvent.objects.get().detail == {"changed": ["email"]}


def test_a_wrong_e_mail_is_told_and_what_was_typed_stays(signed_in, amina):
    answer = signed_in.post("/profile/", {"email": "amina@"})

    assert answer.status_code == 422
    assert 'value="amina@"' in answer.text and 'href="#id_email"' in answer.text
    amina.refresh_from_db()
    assert amina.email == ""


@pytest.mark.parametrize("field", ["username", "is_superuser", "is_staff", "first_name"])
def test_nothing_else_of_one_s_account_can_be_changed(signed_in, amina, field):
    signed_in.post("/profile/", {"email": "a@b.example", field: "1"})

    after = User.objects.get(pk=amina.pk)
    assert getattr(after, field) == getattr(amina, field)


def test_roles_are_told_with_where_they_count(signed_in, amina, lender):
    amina.memberships.create(role="operator", partner=lender)

    page = " ".join(signed_in.get("/profile/").text.split())

    assert f"<strong>Operator (maker)</strong> at {lender}: enters payouts by hand" in page
    assert "Auditor" not in page


def test_rights_that_count_for_every_partner_are_told_in_words(signed_in, amina):
    group = Group.objects.create(name="Head office")
    group.permissions.add(Permission.objects.get(codename="export_disbursement"))
    amina.groups.add(group)

    page = signed_in.get("/profile/").text

    assert "You are in Head office." in page
    assert "Can export disbursements" in page
    assert "Can settle a disbursement in doubt" not in page


def test_without_any_right_one_is_told_whom_to_ask(signed_in):
    assert "You have no role yet. Ask an administrator for one." in signed_in.get("/profile/").text


def test_a_superuser_is_told_so(client, db):
    client.force_login(User.objects.create_superuser("boss"))

    assert "Everything: you are a superuser." in client.get("/profile/").text


def test_one_s_own_work_of_late_is_listed_and_nobody_else_s(signed_in, amina, baraka):
    for n in range(12):
        Job.objects.create(kind="x", title=f"Export {n:02}", started_by=amina, state="done")
    Job.objects.create(kind="x", title="Baraka's", started_by=baraka)

    page = signed_in.get("/profile/").text

    assert "Export 11" in page and "Export 02" in page and "Export 01" not in page
    assert "Baraka&#x27;s" not in page
    newest = Job.objects.filter(started_by=amina).first()
    assert f'href="/jobs/{newest.pk}/"' in page


def test_the_profile_asks_no_more_for_more_work(signed_in, amina, django_assert_max_num_queries):
    for _ in range(12):
        Job.objects.create(kind="x", title="x", started_by=amina)

    with django_assert_max_num_queries(11):
        signed_in.get("/profile/")


# -- light or dark


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_is_kept_in_the_browser_and_rendered_by_the_server(signed_in, theme):
    signed_in.post("/theme/", {"theme": theme})

    page = signed_in.get("/profile/").text

    assert f'data-theme="{theme}"' in page
    assert f'value="{theme}" aria-pressed="true"' in page
    cookie = signed_in.cookies["theme"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"


def test_as_the_system_forgets_the_choice(signed_in):
    signed_in.post("/theme/", {"theme": "dark"})

    signed_in.post("/theme/", {"theme": ""})

    page = signed_in.get("/profile/").text
    assert "data-theme" not in page and 'value="" aria-pressed="true"' in page


@pytest.mark.parametrize("theme", ["purple", '"><script>'])
def test_another_theme_is_none(signed_in, theme):
    signed_in.post("/theme/", {"theme": theme})
    signed_in.cookies["theme"] = theme

    assert "data-theme" not in signed_in.get("/profile/").text


@pytest.mark.parametrize("path", ["/profile/", "/profile/password/", "/theme/"])
def test_a_stranger_is_sent_to_sign_in(client, db, path):
    assert client.post(path)["Location"].startswith("/login/")


@pytest.mark.parametrize("path", ["/profile/", "/profile/password/", "/theme/", "/logout/"])
def test_forms_from_elsewhere_are_refused(amina, path):
    client = Client(enforce_csrf_checks=True)
    client.force_login(amina)

    assert client.post(path, {"theme": "dark", "email": "x@y.example"}).status_code == 403
    assert acts() == []
