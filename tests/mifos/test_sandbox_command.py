"""`make run`: the two people whom it announces can do what it says."""

from types import SimpleNamespace

import pytest

from mifos.demo import lender as demo
from mifos.demo import staff
from mifos.management.commands import sandbox
from partners.models import Partner
from paymentvault.models import User

pytestmark = pytest.mark.django_db

APPROVE, SETTLE = "disbursements.approve_disbursement", "disbursements.settle_disbursement"
SETTINGS = ["partners.change_partner", "partners.change_mifosconnection",
            "partners.change_mpesashortcode", "partners.change_loanproduct"]  # fmt: skip


@pytest.fixture
def run(lender, settings, monkeypatch, capsys):
    """`sandbox run`, with nothing around it; returns what it prints."""
    # The command sets it for good; so it is put back afterwards.
    settings.PUBLIC_URL = "http://localhost:1"
    stack = SimpleNamespace(
        urls=dict.fromkeys(["web", "mifos", "mifos2", "safaricom"], "http://localhost:1"),
        log_dir="/logs", wait_until_ready=lambda: None, failed=lambda: ["web"],
    )  # fmt: skip
    monkeypatch.setattr(demo, "set_up", lambda outside: lender)
    monkeypatch.setattr(demo, "tidy_up", lambda partner: None)
    monkeypatch.setattr(sandbox, "Run", lambda *given: SimpleNamespace(play=lambda: True))

    def run(*, stays=True):
        command = sandbox.Command()
        monkeypatch.setattr(command, "_stay", lambda stack: None)
        command._with(stack, stays=stays)
        return capsys.readouterr().out

    return run


def person(name):
    return User.objects.get(username=name)


def test_baraka_is_the_second_person_for_money_and_settings_at_the_lender(run, lender):
    run()

    baraka = person("baraka")
    assert all(baraka.has_perm(right, lender) for right in [APPROVE, SETTLE, *SETTINGS])
    assert not baraka.is_superuser


def test_at_another_lender_he_may_do_nothing(run):
    run()

    other = Partner.objects.create(name="Jamii", code="jamii")
    assert not any(person("baraka").has_perm(right, other) for right in [APPROVE, *SETTINGS])


def test_amina_may_do_everything_and_both_sign_in_with_what_is_printed(run):
    printed = run()

    words = printed.split()
    password = words[words.index("password") + 1]
    assert person("amina").is_superuser
    assert all(person(name).check_password(password) for name in ("amina", "baraka"))


def test_run_a_second_time_he_has_each_role_once_and_both_a_new_password(run):
    first = run()
    second = run()

    assert person("baraka").memberships.count() == len(staff.BARAKAS)
    assert first != second and not person("amina").check_password(first.split()[1])


def test_a_demo_that_nobody_watches_makes_nobody(run):
    run(stays=False)

    assert not User.objects.exists()
