"""The whole system with its pretend outside world: `demo` plays a dozen loans, `run` stays up."""

import logging
import os
import signal
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from mifos.demo import lender, staff
from mifos.demo.run import Run
from mifos.demo.world import Outside, Sandbox
from paymentvault.stack import DEMO_LENDER, SECOND_LENDER, Broken, Stack

# Quicker than in production, so that a person needn't wait for what is lost to be found.
IMPATIENT = {"SWEEP_EVERY_S": "2", "POLL_EVERY_S": "5", "BALANCE_EVERY_S": "60"}


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["demo", "run"])
        parser.add_argument("--port", type=int, default=0, help="of the web server; 0: any free")

    def handle(self, *args: Any, what: str, port: int, **options: Any) -> None:
        # The table is for a person; what the processes log stands in their files.
        logging.getLogger().setLevel(logging.WARNING)
        call_command("migrate", verbosity=0)
        lender.refuse_production()
        with tempfile.TemporaryDirectory(prefix="vault-") as folder:
            env = {**os.environ, **IMPATIENT}
            ports = {"web": port} if port else {}
            try:
                stays = what == "run"
                # A lender of its own for whoever sets a second one up.
                with Stack(env, log_dir=Path(folder), ports=ports, second_mifos=stays) as stack:
                    self._with(stack, stays=stays)
            except Broken as broken:
                raise CommandError(str(broken)) from broken
            except KeyboardInterrupt as interrupt:
                self.stdout.write("\nStopped; nothing is left running.")
                number = getattr(interrupt, "number", signal.SIGINT)
                raise SystemExit(0 if what == "run" else 128 + number) from None

    def _with(self, stack: Stack, *, stays: bool) -> None:
        settings.PUBLIC_URL = stack.urls["web"]
        self.stdout.write("Starting web, workers, beat, Safaricom and Mifos X …")
        stack.wait_until_ready()
        outside = Outside(Sandbox(stack.urls["mifos"]), Sandbox(stack.urls["safaricom"]))
        if stays:
            self._announce(stack)
        partner = lender.set_up(outside)
        if stays:
            staff.give_roles(partner)
        self.stdout.write(f"{partner.name} is set up, tested and switched on.\n\n")
        try:
            went_well = Run(partner, outside, self.stdout.write).play()
            if stays:
                self._stay(stack)
            elif not went_well:
                self._show_logs(stack)
                raise CommandError("Not every loan ended as it should.")
        finally:
            lender.tidy_up(partner)
        self.stdout.write("Every loan ended as it should.")

    def _announce(self, stack: Stack) -> None:
        password = staff.sign_ins()
        urls = stack.urls
        self.stdout.write(
            f"""
Payment Vault     {urls["web"]}/
  sign in as      amina, who may do everything, or baraka, who approves what she asks for and
                  confirms her changes of settings
  password        {password}
Pretend Mifos X   {urls["mifos"]}/  of {DEMO_LENDER}, which is set up below: approve
                  loans, choose what goes wrong
Pretend Mifos X   {urls["mifos2"]}/  of {SECOND_LENDER}, which you may set up
Pretend M-Pesa    {urls["safaricom"]}/  create an app and a shortcode, see what was paid
Logs              {stack.log_dir}

To set a second lender up, take the values from these pages and follow Partners → Add partner.
Before it is switched on, give baraka a role at it under People: he is the second person.

"""
        )

    def _stay(self, stack: Stack) -> None:
        self.stdout.write("\nIt stays up: approve more loans. Ctrl-C stops everything.")
        while not (ended := stack.failed()):
            time.sleep(0.5)
        raise CommandError(f"{', '.join(ended)} ended by itself.")

    def _show_logs(self, stack: Stack) -> None:
        for path in sorted(stack.log_dir.glob("*.log")):
            self.stderr.write(f"--- {path.name}\n{path.read_text()[-4000:]}")
