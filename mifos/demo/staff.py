"""Two people to sign in as, for what needs two."""

import secrets

from partners.models import Membership, Partner, Role
from paymentvault.models import User

AMINA, BARAKA = "amina", "baraka"
# What he needs to be the second person for money and for settings.
BARAKAS = (Role.APPROVER, Role.PARTNER_ADMINISTRATOR)


def sign_ins() -> str:
    """Amina may do everything, Baraka what his roles say; their new password."""
    password = secrets.token_urlsafe(9)
    amina, _ = User.objects.get_or_create(
        username=AMINA,
        defaults={"is_staff": True, "is_superuser": True, "first_name": "Amina"},
    )
    baraka, _ = User.objects.get_or_create(username=BARAKA, defaults={"first_name": "Baraka"})
    for person in (amina, baraka):
        person.set_password(password)
        person.save()
    return password


def give_roles(partner: Partner) -> None:
    baraka = User.objects.get(username=BARAKA)
    for role in BARAKAS:
        Membership.objects.get_or_create(user=baraka, partner=partner, role=role)
