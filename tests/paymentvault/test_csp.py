"""Which scripts a browser runs: the page's own, known by a nonce of this one answer."""

import re

import pytest
from django.test import Client

from partners.models import Membership, Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(amina):
    amina.is_staff = True
    amina.save()
    Membership.objects.create(user=amina, role=Role.ADMINISTRATOR)
    client = Client()
    client.force_login(amina)
    return client


def directives(answer):
    parts = answer["Content-Security-Policy"].split(";")
    return {name: rest.split() for name, *rest in (part.strip().split(" ", 1) for part in parts)
            for rest in [" ".join(rest)]}  # fmt: skip


def scripts(answer):
    return re.findall(r"<script\b([^>]*)>", answer.text)


def test_every_script_of_a_page_bears_its_answers_nonce_and_no_other_runs(staff):
    answers = [staff.get("/"), staff.get("/"), staff.get("/api/v1/docs"), Client().get("/login/")]

    nonces = []
    for answer in answers:
        [nonce] = directives(answer)["script-src"]
        assert re.fullmatch(r"'nonce-[A-Za-z0-9+/=]{20,}'", nonce)
        runs = [one for one in scripts(answer) if "application/json" not in one]
        assert runs
        assert all(f'nonce="{nonce[7:-1]}"' in one and "src=" in one for one in runs)
        nonces.append(nonce)
    assert len(set(nonces)) == len(answers)


@pytest.mark.parametrize("path", ["/", "/login/", "/admin/", "/api/v1/partners", "/nowhere/"])
def test_nothing_written_inside_a_page_runs_or_paints_and_nobody_frames_it(staff, path):
    told = directives(staff.get(path))

    assert told["default-src"] == ["'none'"]
    assert told["frame-ancestors"] == told["base-uri"] == ["'none'"]
    assert told["form-action"] == told["style-src"] == ["'self'"]
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "data:"} & set(sum(told.values(), []))


def test_an_answer_without_scripts_lets_none_in(staff):
    assert directives(staff.get("/api/v1/partners"))["script-src"] == []


def test_djangos_admin_runs_its_own_files_only(staff):
    assert directives(staff.get("/admin/"))["script-src"] == ["'self'"]


@pytest.mark.parametrize("path, headers", [("/", {"host": "evil.example"}), ("/partners/", {})])
def test_what_is_answered_before_a_view_has_its_headers_too(settings, path, headers):
    settings.ALLOWED_HOSTS = ["testserver"]

    answer = Client().get(path, headers=headers)

    assert answer.status_code in (302, 400)
    assert directives(answer)["default-src"] == ["'none'"]
    assert answer["X-Frame-Options"] == "DENY"
