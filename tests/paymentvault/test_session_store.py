"""A session's key is in its owner's cookie, and nowhere else."""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client

from paymentvault.session_store import SessionStore, kept_as

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(client, amina):
    """Of somebody who signed in with their password."""
    amina.set_password("a-long-one-2026")
    amina.save()
    client.post("/login/", {"username": "amina", "password": "a-long-one-2026"})
    return client.cookies["sessionid"].value


def test_the_database_has_only_a_hash_of_it(client, key):
    assert client.get("/profile/").status_code == 200
    for rows in (Session, UserSession):
        assert list(rows.objects.values_list("session_key", flat=True)) == [kept_as(key)]


def test_who_reads_the_database_can_t_go_on_in_somebody_s_place(key):
    thief = Client()
    thief.cookies["sessionid"] = Session.objects.get().session_key

    assert thief.get("/profile/").status_code == 302


def test_a_session_that_ends_is_gone(client, key):
    client.post("/logout/")

    client.cookies["sessionid"] = key
    assert client.get("/profile/").status_code == 302
    assert not Session.objects.filter(session_key=kept_as(key)).exists()


def test_a_key_that_nobody_was_given_is_not_taken_over(db):
    store = SessionStore("a" * 32)
    store["x"] = 1
    store.save()

    assert store.session_key != "a" * 32


def test_it_is_found_by_its_key_alone(key):
    assert SessionStore().exists(key)
    assert not SessionStore().exists(kept_as(key))
