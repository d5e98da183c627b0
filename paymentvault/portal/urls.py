"""Home, one's own account, jobs and the help."""

from allauth.account.views import reauthenticate
from django.urls import include, path

from paymentvault.portal import account, guide, home, jobs, networks, programs
from paymentvault.recent import freshly

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
        path("propose/", freshly(networks.propose), name="propose"),
        path("<int:pk>/confirm/", freshly(networks.confirm), name="confirm"),
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
    # Before allauth's own of the same names, since these tell the audit.
    path(
        "second-factor/recovery-codes/",
        account.RecoveryCodes.as_view(),
        name="mfa_view_recovery_codes",
    ),
    path(
        "second-factor/recovery-codes/download/",
        account.RecoveryCodesAsFile.as_view(),
        name="mfa_download_recovery_codes",
    ),
    path("second-factor/totp/replace/", account.ReplaceApp.as_view(), name="mfa_replace_totp"),
    path(
        "second-factor/recovery-codes/generate/",
        account.NewRecoveryCodes.as_view(),
        name="mfa_generate_recovery_codes",
    ),
    path("second-factor/", include("allauth.mfa.urls")),
    path("profile/", account.profile, name="profile"),
    path("profile/session/end/", account.end_session, name="session-end"),
    path("profile/password/", account.ChangePassword.as_view(), name="password"),
    path("profile/programs/", programs.index, name="programs"),
    path("profile/programs/end/", programs.end, name="program-end"),
    path("theme/", account.theme, name="theme"),
    path("jobs/<uuid:pk>/", jobs.show, name="job"),
    path("jobs/<uuid:pk>/file/", jobs.file, name="job-file"),
    path("help/", include(help_urls)),
    path("networks/", include(network_urls)),
]
