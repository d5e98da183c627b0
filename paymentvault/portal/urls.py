"""Home, one's own account, jobs and the help."""

from allauth.account.views import reauthenticate
from django.urls import include, path

from paymentvault.portal import account, guide, home, jobs, networks

help_urls = (
    [
        path("", guide.index, name="index"),
        path("<slug:slug>/", guide.page, name="page"),
    ],
    "help",
)
network_urls = (
    [
        path("", networks.index, name="list"),
        path("propose/", networks.propose, name="propose"),
        path("<int:pk>/confirm/", networks.confirm, name="confirm"),
        path("<int:pk>/withdraw/", networks.withdraw, name="withdraw"),
    ],
    "networks",
)

urlpatterns = [
    path("", home.home, name="home"),
    path("charts/", home.show_charts, name="charts"),
    path("login/", account.SignIn.as_view(), name="login"),
    path("logout/", account.SignOut.as_view(), name="logout"),
    # The same by the names that allauth goes by. Its sign-up and e-mail pages have no address.
    path("login/", account.SignIn.as_view(), name="account_login"),
    path("logout/", account.SignOut.as_view(), name="account_logout"),
    path("second-factor/password/", reauthenticate, name="account_reauthenticate"),
    path("second-factor/", include("allauth.mfa.urls")),
    path("profile/", account.profile, name="profile"),
    path("profile/session/end/", account.end_session, name="session-end"),
    path("profile/password/", account.ChangePassword.as_view(), name="password"),
    path("theme/", account.theme, name="theme"),
    path("jobs/<uuid:pk>/", jobs.show, name="job"),
    path("jobs/<uuid:pk>/file/", jobs.file, name="job-file"),
    path("help/", include(help_urls)),
    path("networks/", include(network_urls)),
]
