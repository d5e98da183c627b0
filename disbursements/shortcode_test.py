"""Test a shortcode, step by step, with one question to M-Pesa that moves no money.

Nothing is switched on or resumed by it. About three wrong tries lock an initiator, so a
credential that M-Pesa has refused is not tried again until it is changed.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from disbursements import doubt, mpesa, results, shortcodes
from disbursements.models import Inquiry
from disbursements.results import Meaning
from partners import pem, work
from partners.models import MpesaShortcode
from paymentvault import audit, jobs
from paymentvault.http import NotSent, OutcomeUnknown, Refused, RemoteError
from paymentvault.models import Job, User

KIND = work.MPESA_TEST
# M-Pesa's answers usually come within seconds.
WAIT_S = 60.0
LOOK_EVERY_S = 0.5

Environment = MpesaShortcode.Environment
# Safaricom's two, both expired long ago and still in use (Daraja contract of November 2026).
KNOWN_CERTIFICATES = {
    "A542C3C67B598A337A1CC741E5434C70DE565081E5C853E05A51C843764766F0": Environment.SANDBOX,
    "9417915212AC708D3AC82B710E71D976FA0EB783F467B159C15AD7216EF2C16B": Environment.PRODUCTION,
}
# Safaricom refuses callback addresses with these in them.
REFUSED_IN_ADDRESSES = ("mpesa", "m-pesa", "safaricom", "exe", "cmd", "sql", "query")

WHAT_TO_DO = {
    **dict.fromkeys(
        ("18", "20", "2001"),
        "Check the initiator's name, its password and that the certificate is Safaricom's for "
        "this environment. Then replace the password here: until then it isn't tried again, "
        "since three wrong tries lock the initiator.",
    ),
    "8006": "Your organisation's Business Administrator unlocks it on the M-Pesa organisation "
    "portal and sets a password. Then save that password here and test again.",
    **dict.fromkeys(
        ("21", "TP40153"),
        "Give it these roles on the M-Pesa organisation portal: ORG B2C API initiator, Balance "
        "Query ORG API, Transaction Status query ORG API.",
    ),
    "22": "Your organisation's Business Administrator activates it on the M-Pesa portal.",
}


@dataclass(frozen=True)
class Step:
    """One thing that was looked at. `result` is ok, warning, failed or skipped."""

    name: str
    result: str
    words: str
    took_ms: int


class Failed(Exception):
    """Why a step didn't pass, and what to do."""


class Doubtful(Exception):
    """What is odd, though it may work."""


@dataclass
class ShortcodeTest:
    """Looks at one thing after the other, and tells each as soon as it is known."""

    shortcode: MpesaShortcode
    tell: Callable[[Step], object]
    steps: list[Step] = field(default_factory=list)
    inquiry: Inquiry | None = None

    def run(self) -> list[Step]:
        looks: list[tuple[str, Callable[[], str], bool]] = [
            ("Consumer key and secret", self._token, False),
            ("Security credential", self._credential, False),
            ("Callback address", self._address, False),
            ("Question to M-Pesa", self._question, True),
            ("Initiator and float", self._answer, True),
        ]
        for name, look, needs_all_before in looks:
            if needs_all_before and any(step.result == "failed" for step in self.steps):
                self._add(Step(name, "skipped", "Not tried, since something before it failed.", 0))
            else:
                self._add(_step(name, look))
        return self.steps

    def _add(self, step: Step) -> None:
        self.steps.append(step)
        self.tell(step)

    def _token(self) -> str:
        try:
            shortcodes.client_of(self.shortcode).tokens.get()
        except Refused as error:
            raise Failed(
                "M-Pesa refused the consumer key or secret. Copy both anew from the app's page on "
                "the Daraja portal; those of a sandbox app don't open production."
            ) from error
        except RemoteError as error:
            raise Failed(
                f"No access token came from {self.shortcode.base_url}: {error}. Test again; if it "
                "stays so, see that this server may reach that address."
            ) from error
        return f"M-Pesa's {self._environment} gave an access token for them."

    @property
    def _environment(self) -> str:
        return self.shortcode.get_environment_display().lower()

    def _credential(self) -> str:
        if self.shortcode.security_credential:
            return self._ready_made()
        try:
            certificate = pem.rsa_certificate(self.shortcode.certificate)
            mpesa.security_credential(self.shortcode.initiator_password, self.shortcode.certificate)
        except ValidationError as error:
            raise Failed(f"{error.messages[0]} Paste Safaricom's certificate anew.") from error
        except ValueError as error:
            raise Failed(
                f"The password can't be encrypted with the certificate: {error}"
            ) from error
        return self._certificate(certificate)

    def _ready_made(self) -> str:
        # 256 bytes of a 2048-bit key, in base64.
        if len(self.shortcode.security_credential) != 344:
            raise Doubtful(
                f"The ready-made credential has {len(self.shortcode.security_credential)} "
                "characters; Safaricom's have 344. Copy it from the portal again, whole."
            )
        return "A ready-made credential is saved. Whether it is right, only M-Pesa can say."

    def _certificate(self, certificate: x509.Certificate) -> str:
        fingerprint = certificate.fingerprint(SHA256()).hex().upper()
        known_for = KNOWN_CERTIFICATES.get(fingerprint)
        if known_for and known_for != self.shortcode.environment:
            raise Failed(
                f"This is Safaricom's certificate for {known_for.label.lower()}, but the "
                f"shortcode is in {self._environment}. M-Pesa couldn't read the password, and "
                "would count a wrong try. Save the certificate that belongs to it."
            )
        words = f"The password encrypts with the certificate of {_name(certificate)}."
        if not known_for and not self.shortcode.base_url_override:
            raise Doubtful(
                f"{words} It is not one that Safaricom is known to use for this. Compare it with "
                f"the one on the Daraja portal; its SHA-256 is {fingerprint}."
            )
        return f"{words} {_about_its_end(certificate)}"

    def _address(self) -> str:
        url = settings.PUBLIC_URL
        if not self.shortcode.base_url_override and (why := why_unreachable(url)):
            raise Doubtful(
                f"M-Pesa is to call back at {url}: {why} Without its callbacks every payout stays "
                "in doubt. Whoever runs this server sets PUBLIC_URL."
            )
        return f"M-Pesa is asked to call back at {url}."

    def _question(self) -> str:
        self.shortcode.refresh_from_db()
        if refused := shortcodes.refused_since_saved(self.shortcode):
            at = timezone.localtime(refused.sent_at)
            raise Failed(
                f"M-Pesa was not asked: it refused this same credential at {at:%H:%M on %-d %B} "
                f"({results.of(refused.result_code).words}) and three wrong tries lock the "
                f"initiator. {WHAT_TO_DO[refused.result_code]}"
            )
        if earlier := self._question_that_is_out():
            self.inquiry = earlier
            at = timezone.localtime(earlier.sent_at)
            return f"The float was asked for at {at:%H:%M:%S} already; that answer is awaited."
        return self._ask()

    def _question_that_is_out(self) -> Inquiry | None:
        """While the credential is unproved only one request may be out."""
        if not shortcodes.waits_for_canary(self.shortcode):
            return None
        found = (
            self.shortcode.inquiries.filter(
                kind=Inquiry.Kind.BALANCE, outcome="", answer_code__in=("", "0"),
                sent_at__gt=timezone.now() - shortcodes.CANARY_WAIT,
            )
            .order_by("-pk")
            .first()
        )  # fmt: skip
        if found is None:
            raise Failed(
                "M-Pesa was not asked: another request is out that first proves the credential. "
                f"Test again when it is answered, at the latest in {_minutes()} minutes."
            )
        return found

    def _ask(self) -> str:
        try:
            self.inquiry = doubt.ask_balance(self.shortcode)
        except NotSent as error:
            raise Failed(f"The question didn't reach M-Pesa: {error}. Test again.") from error
        except OutcomeUnknown as error:
            raise Failed(
                f"The question left, but no clear answer came: {error} Wait some minutes, then "
                "test again."
            ) from error
        except Refused as error:
            raise Failed(f"{_why_refused(error)}{self._pause_in_words()}") from error
        return "M-Pesa took the question for the float. No money moves by it."

    def _answer(self) -> str:
        if self.inquiry is None:
            raise Failed("No question went out.")
        inquiry = self._wait_for(self.inquiry)
        result = results.of(inquiry.result_code)
        if not inquiry.outcome:
            raise Failed(
                f"M-Pesa took the question, but its answer didn't come within {WAIT_S:.0f} s. "
                f"Safaricom must be able to reach {settings.PUBLIC_URL} from the internet: check "
                "its name, its certificate and the firewall. Without callbacks payouts stay in "
                "doubt. An answer that still comes shows as the float."
            )
        if result.meaning == Meaning.CONFIGURATION:
            hint = WHAT_TO_DO.get(inquiry.result_code, "Ask Safaricom's API support.")
            words = f"{result.words} (M-Pesa's code {inquiry.result_code}) {hint}"
            raise Failed(f"{words}{self._pause_in_words()}")
        if inquiry.result_code != "0":
            raise Doubtful(f"{inquiry.outcome} Test again in some minutes.")
        return f"M-Pesa knows the initiator. {inquiry.outcome}"

    def _wait_for(self, inquiry: Inquiry) -> Inquiry:
        deadline = time.monotonic() + WAIT_S
        while not inquiry.outcome and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
            inquiry.refresh_from_db()
        return inquiry

    def _pause_in_words(self) -> str:
        self.shortcode.refresh_from_db()
        paused = self.shortcode.pause == shortcodes.Pause.CONFIGURATION
        return " Nothing is sent from it until it is resumed." if paused else ""


def why_unreachable(url: str) -> str:
    """Why Safaricom can't or won't call back there; "" if nothing speaks against it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return "Safaricom calls only https addresses."
    if host == "localhost" or "." not in host or _is_private(host):
        return "that is not an address on the internet."
    words = [word for word in REFUSED_IN_ADDRESSES if word in url.lower()]
    return f"Safaricom refuses addresses with “{words[0]}” in them." if words else ""


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False


def _why_refused(error: Refused) -> str:
    if error.code == mpesa.NO_PRODUCT:
        return (
            "The Daraja app lacks the product for it. Add B2C, Account Balance and Transaction "
            "Status to the app on the Daraja portal, then test again."
        )
    return f"M-Pesa refused the question: {error} ({error.code})"


def _minutes() -> int:
    return int(shortcodes.CANARY_WAIT.total_seconds() // 60)


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _about_its_end(certificate: x509.Certificate) -> str:
    end = certificate.not_valid_after_utc
    day = f"{end:%-d %B %Y}"
    if end > timezone.now():
        return f"It is valid until {day}."
    return f"It ended on {day}, as all that Safaricom gives out; M-Pesa takes them all the same."


def _step(name: str, look: Callable[[], str]) -> Step:
    began = time.monotonic()
    try:
        result, words = "ok", look()
    except Doubtful as doubtful:
        result, words = "warning", str(doubtful)
    except Failed as failed:
        result, words = "failed", str(failed)
    return Step(name, result, words, int((time.monotonic() - began) * 1000))


def start(
    shortcode: MpesaShortcode, *, by: User, came_from: str = "", source_address: str | None = None
) -> tuple[Job, bool]:
    """Begin a test, or find the one that runs; says whether it is new."""
    with transaction.atomic():
        # Of two that press at once, one finds the other's.
        MpesaShortcode.objects.select_for_update(no_key=True).get(pk=shortcode.pk)
        if running := running_test(shortcode):
            return running, False
        audit.record(
            "shortcode test started", by=by.get_username(), subject=shortcode,
            partner_code=shortcode.partner.code, source_address=source_address,
        )  # fmt: skip
        title = f"Test of shortcode {shortcode}"
        given = {"shortcode": shortcode.pk}
        return jobs.start(
            KIND, title=title, by=by, given=given, about=_about(shortcode), came_from=came_from
        ), True


def running_test(shortcode: MpesaShortcode) -> Job | None:
    job = jobs.latest(KIND, about=_about(shortcode))
    return job if job and not job.is_over else None


def _about(shortcode: MpesaShortcode) -> str:
    return f"shortcode:{shortcode.pk}"


def shortcode_of(job: Job) -> MpesaShortcode | None:
    return MpesaShortcode.objects.filter(pk=job.about.removeprefix("shortcode:")).first()


@jobs.kind(KIND, shown_to="partners.view_mpesashortcode", about=shortcode_of)
def carry_out(running: jobs.Running) -> str:
    """The work of the job: test what is saved now, and keep the result on the shortcode."""
    shortcode = MpesaShortcode.objects.select_related("partner").get(pk=running.given["shortcode"])
    saved_at = shortcode.credential_set_at
    steps = ShortcodeTest(shortcode, tell=lambda step: running.tell(asdict(step))).run()
    # Somebody may have saved other credentials meanwhile: then this says nothing of them.
    kept = MpesaShortcode.objects.filter(pk=shortcode.pk, credential_set_at=saved_at).update(
        last_test=[asdict(step) for step in steps],
        last_tested_at=timezone.now(),
        last_tested_by=running.by.get_username(),
    )
    words = in_words(steps)
    return words if kept else f"{words} The shortcode was changed meanwhile: test it again."


def in_words(steps: list[Step]) -> str:
    failed = [step.name for step in steps if step.result == "failed"]
    doubtful = [step.name for step in steps if step.result == "warning"]
    if failed:
        return f"It failed: {failed[0].lower()}. No money moved. The step says what to do."
    if doubtful:
        return f"It works, but look at: {', '.join(doubtful).lower()}. No money moved."
    return "All is well. No money moved, and nothing was switched on or resumed by it."
