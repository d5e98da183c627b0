"""Who is signed in, with which rights."""

from django.contrib.auth.models import Permission
from django.test import Client

from paymentvault.models import User


def may(user: User, *rights: str) -> User:
    """Give rights such as "partners.change_mpesashortcode"."""
    for right in rights:
        app, _, codename = right.partition(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return User.objects.get(pk=user.pk)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
