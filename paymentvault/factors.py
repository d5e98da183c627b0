"""What counts as a second factor, and who has one."""

from allauth.mfa.models import Authenticator

from paymentvault.models import User

TYPES = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# How a session's record of what was shown names any of them, and a recovery code.
SHOWN_AS = "mfa"


def is_set_up(user: User, *, besides: Authenticator | None = None) -> bool:
    rows = Authenticator.objects.filter(user=user, type__in=TYPES)
    return bool(rows.exclude(pk=besides.pk if besides else None).exists())
