"""Home, one's own account, jobs and the help."""

from django.urls import include, path

from paymentvault.portal import account, guide, home, jobs

help_urls = (
    [
        path("", guide.index, name="index"),
    ],
    "help",
)

urlpatterns = [
    path("", home.home, name="home"),
    path("login/", account.LogIn.as_view(), name="login"),
    path("logout/", account.LogOut.as_view(), name="logout"),
    path("profile/", account.profile, name="profile"),
    path("theme/", account.theme, name="theme"),
    path("jobs/<uuid:pk>/", jobs.show, name="job"),
    path("jobs/<uuid:pk>/file/", jobs.file, name="job-file"),
    path("help/", include(help_urls)),
]
