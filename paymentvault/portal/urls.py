"""Home, one's own account, jobs and the help."""

from django.urls import include, path

from paymentvault.portal import account, guide, home, jobs

help_urls = (
    [
        path("", guide.index, name="index"),
        path("<slug:slug>/", guide.page, name="page"),
    ],
    "help",
)

urlpatterns = [
    path("", home.home, name="home"),
    path("charts/", home.show_charts, name="charts"),
    path("login/", account.SignIn.as_view(), name="login"),
    path("logout/", account.SignOut.as_view(), name="logout"),
    path("profile/", account.profile, name="profile"),
    path("profile/password/", account.ChangePassword.as_view(), name="password"),
    path("theme/", account.theme, name="theme"),
    path("jobs/<uuid:pk>/", jobs.show, name="job"),
    path("jobs/<uuid:pk>/file/", jobs.file, name="job-file"),
    path("help/", include(help_urls)),
]
