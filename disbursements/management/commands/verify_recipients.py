"""Compare each recipient that the audit tells of with the one that its disbursement has now.

The audit keeps a number's last digits and a mark of it; a number that was changed in the
database afterwards, past this system, has another mark.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from disbursements import audited


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for words in audited.other_numbers():
            found += 1
            self.stderr.write(words)
        if found:
            raise CommandError(f"{found:,} lines of the audit tell of another recipient.")
        self.stdout.write("Every recipient is the one that the audit tells of.")
