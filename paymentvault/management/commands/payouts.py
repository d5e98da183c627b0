"""Stop every payout at once, or let them go again: `payouts stop --reason …`, `payouts go`."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from paymentvault import stopping


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["stop", "go"])
        parser.add_argument("--reason", default="", help="Why; needed to stop.")
        parser.add_argument("--by", default="", help="Who; by default the account that runs this.")

    def handle(self, *args: Any, what: str, reason: str, by: str, **options: Any) -> None:
        by = by or f"{getpass.getuser()} at a terminal"
        if what == "go":
            self.stdout.write("Payouts go." if stopping.go(by=by) else "They weren't stopped.")
            return
        if not reason:
            raise CommandError("Say why, with --reason.")
        stopped = stopping.stop(by=by, reason=reason)
        self.stdout.write("Payouts are stopped." if stopped else "They are stopped already.")
