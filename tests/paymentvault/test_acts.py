"""A dangerous act: asked about on a page of its own, done once, refused in words."""

import threading
import uuid

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test import Client
from django.urls import include, path

from paymentvault import acts, audit
from paymentvault.models import AuditEvent, DoneOnce, User

PATH = "/stop"
ACT = acts.Act(
    title="Stop <everything>?",
    verb="Stop it",
    back="/profile/",
    consequence="No money moves.",
    facts=[("Sum", "KES 10"), ("Nothing", "")],
    is_dangerous=True,
)


class Surprise(Exception):
    pass


def stop(request):
    def do(form):
        reason = form.cleaned_data["reason"]
        audit.record("stopped", by=str(request.user), reason=reason)
        if reason == "refuse":
            raise acts.Refusal("It is paid already.")
        if reason == "surprise":
            raise Surprise("Someone else must do it.")
        if reason == "break":
            raise ZeroDivisionError
        return "Stopped <it>."

    then = (lambda: "/help/") if "then" in request.GET else ""
    return acts.confirmed(request, ACT, do=do, then=then, refusals=(Surprise,))


urlpatterns = [path("stop", stop), path("", include("paymentvault.urls"))]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def signed_in(client, amina):
    client.force_login(amina)
    return client


def press(client, reason="Fire", once=None, path=PATH, **more):
    given = {"once": once or uuid.uuid4(), "reason": reason} | more
    return client.post(path, {name: value for name, value in given.items() if value != ""})


def done():
    return AuditEvent.objects.filter(act="stopped").count()


def token_in(answer):
    return answer.context["once"]


def test_the_page_names_the_thing_and_what_follows_and_does_nothing(signed_in):
    page = signed_in.get(PATH)

    assert "Stop &lt;everything&gt;?" in page.text
    assert "No money moves." in page.text and "KES 10" in page.text
    assert done() == 0


def test_each_page_has_a_token_of_its_own(signed_in):
    assert token_in(signed_in.get(PATH)) != token_in(signed_in.get(PATH))


def test_a_press_does_it_says_so_and_goes_on(signed_in):
    answer = press(signed_in)

    assert answer.status_code == 302 and answer["Location"] == "/profile/"
    assert done() == 1
    assert "Stopped &lt;it&gt;." in signed_in.get("/profile/").text


def test_the_same_press_twice_does_it_once_and_says_so(signed_in):
    once = uuid.uuid4()
    press(signed_in, once=once)

    again = press(signed_in, once=once)

    assert again.status_code == 302
    assert done() == 1
    assert "It was not done again." in signed_in.get("/profile/").text


def test_a_second_press_is_known_even_where_it_would_no_longer_be_valid(signed_in):
    once = uuid.uuid4()
    press(signed_in, once=once)

    assert press(signed_in, once=once, reason="").status_code == 302
    assert done() == 1


def test_where_the_first_press_led_may_be_known_to_it_only(signed_in):
    once, path_ = uuid.uuid4(), f"{PATH}?then"

    first, second = (press(signed_in, once=once, path=path_) for _ in range(2))

    assert (first["Location"], second["Location"]) == ("/help/", "/profile/")


@pytest.mark.parametrize("once", ["", "not-a-uuid", "1"])
def test_without_its_token_nothing_is_done_and_the_page_says_so(signed_in, once):
    answer = signed_in.post(PATH, {"once": once, "reason": "Fire"})

    assert answer.status_code == 422
    assert "Nothing was done: press once more." in answer.text
    assert done() == 0


def test_without_a_reason_nothing_is_done_and_the_token_stays_good(signed_in):
    once = uuid.uuid4()

    answer = press(signed_in, once=once, reason="")

    assert answer.status_code == 422 and token_in(answer) == once
    assert done() == 0 and not DoneOnce.objects.exists()
    assert press(signed_in, once=once).status_code == 302


@pytest.mark.parametrize(
    "reason, words",
    [("refuse", "It is paid already."), ("surprise", "Someone else must do it.")],
)
def test_a_refusal_is_told_and_undoes_all_of_it(signed_in, reason, words):
    once = uuid.uuid4()

    answer = press(signed_in, once=once, reason=reason)

    assert answer.status_code == 409
    assert f"{words} Nothing was changed." in answer.text
    assert reason in answer.text, "what was typed is kept"
    assert done() == 0 and not DoneOnce.objects.exists()


def test_a_fault_of_ours_is_no_refusal_and_spends_nothing(signed_in):
    with pytest.raises(ZeroDivisionError):
        press(signed_in, reason="break")

    assert done() == 0 and not DoneOnce.objects.exists()


def test_a_form_from_elsewhere_is_refused(amina):
    client = Client(enforce_csrf_checks=True)
    client.force_login(amina)

    answer = press(client)

    assert answer.status_code == 403
    assert done() == 0


def test_a_stranger_is_sent_to_sign_in(client, db):
    assert press(client)["Location"].startswith("/login/")
    assert done() == 0


@pytest.mark.django_db(transaction=True)
def test_of_two_presses_at_the_same_moment_one_does_it(client):
    amina = User.objects.create_user("amina")
    clients = [Client(), Client()]
    for one in clients:
        one.force_login(amina)
    once, barrier, answers = uuid.uuid4(), threading.Barrier(2), []

    def go(one):
        barrier.wait()
        answers.append(press(one, once=once).status_code)
        connection.close()

    threads = [threading.Thread(target=go, args=[one]) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [302, 302]
    assert done() == 1


def test_nobody_signed_in_is_nobody(rf):
    request = rf.get("/")
    request.user = AnonymousUser()

    with pytest.raises(TypeError):
        acts.user_of(request)
