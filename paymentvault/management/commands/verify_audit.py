"""Check the whole audit chain; name the first line that doesn't fit."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from paymentvault import chain


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--known",
            default="",
            metavar="NUMBER:HASH",
            help="a newest link kept elsewhere: finds a chain that was cut short as well",
        )

    def handle(self, *args: Any, known: str, **options: Any) -> None:
        try:
            found = chain.check(known, by=f"{getpass.getuser()} at a terminal")
        except ValueError as error:
            raise CommandError(str(error)) from error
        if found.wrong:
            raise CommandError(f"{found.wrong} The {found.checked:,} links before it are whole.")
        self.stdout.write(f"{found.checked:,} links are whole. Keep the newest elsewhere:")
        self.stdout.write(found.newest)
        self.stdout.write(f"{found.waiting:,} lines wait for their link.")
        if found.late:
            self.stdout.write(f"{found.late:,} lines waited long for theirs.")
