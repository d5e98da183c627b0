"""Changes of a partner's shortcode: the form's, and which one the partner is paid from."""

from typing import Any

from disbursements.pages.shortcode_form import ShortcodeForm
from partners.changes import Kind, Line, register
from partners.drafts import FormDraft, line, record, seen_now
from partners.models import MpesaShortcode, Partner
from paymentvault.models import User


@register
class ShortcodeDraft(FormDraft):
    kind, right = Kind.SHORTCODE, "partners.change_mpesashortcode"

    @classmethod
    def found(cls, partner: Partner, pk: str) -> MpesaShortcode:
        rows = MpesaShortcode.objects.select_for_update()
        row = rows.get(partner=partner, pk=pk) if pk else MpesaShortcode()
        row.partner = partner
        return row

    @classmethod
    def form_of(cls, row: MpesaShortcode, partner: Partner, typed: Any) -> ShortcodeForm:
        return ShortcodeForm(seen_now(row, typed), instance=row, partner=partner)

    def is_free(self) -> bool:
        """Nothing is sent from it any more."""
        is_off_now = not self.form.cleaned_data.get("is_active")
        return self.changed() <= ({"is_active"} if is_off_now else set())

    def facts(self) -> list[list[str]]:
        """Which one it is, by the number that it is saved with."""
        saved = MpesaShortcode.objects.filter(pk=self.row.pk).first()
        return [["M-Pesa shortcode", str(saved)]] if saved else []

    def difference(self) -> list[Line]:
        found = super().difference()
        if self.form.takes_over_default():
            was = ", ".join(row.shortcode for row in self._other_defaults())
            found.append(line("Payouts go from", was or "nothing", self.row.shortcode))
        if not self.is_new and self.row.credential_proved_at and self.form.voids_proof():
            proof = "Void: one payout goes first, to prove what was changed"
            found.append(line("Proof of its credential", "Counts", proof))
        return found

    def save(self, *, by: User, **detail: Any) -> str:
        if self.form.takes_over_default():
            self._end_default(by, detail)
        super().save(by=by, **detail)
        return self._what_was_saved()

    def _other_defaults(self) -> list[MpesaShortcode]:
        rows = self.partner.shortcodes.filter(is_default=True)
        return list(rows.exclude(pk=self.row.pk))

    def _end_default(self, by: User, detail: dict[str, Any]) -> None:
        for other in self._other_defaults():
            other.is_default = False
            other.save(update_fields=["is_default", "updated_at"])
            ended = {"is_default": {"from": True, "to": False}}
            record(other, "changed", by, self.partner, **ended, **detail)

    def _what_was_saved(self) -> str:
        shortcode = self.row
        words = f"Saved {shortcode}."
        if not shortcode.is_active:
            words += " It is switched off: nothing is sent from it."
        elif self.form.takes_over_default():
            words += " The partner's payouts go from it now."
        if shortcode.is_paused:
            words += f" It is still paused: {shortcode.pause_reason} Resume it when a test passes."
        elif self.form.voids_proof():
            words += " One payout goes first to prove what was changed."
        return words
