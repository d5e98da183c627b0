"""Below a partner's page: what its own system is told."""

from django.urls import path

from disbursements.pages import deliveries, endpoints
from paymentvault.recent import freshly

urlpatterns = [
    path("", deliveries.index, name="list"),
    path("<int:pk>/", deliveries.show, name="detail"),
    path("<int:pk>/again/", deliveries.again, name="again"),
    path("endpoints/new/", freshly(endpoints.new), name="endpoint-new"),
    path("endpoints/<int:pk>/", endpoints.show, name="endpoint"),
    path("endpoints/<int:pk>/edit/", freshly(endpoints.edit), name="endpoint-edit"),
    path("endpoints/<int:pk>/secret/", freshly(endpoints.secret), name="endpoint-secret"),
    path("endpoints/<int:pk>/rotate/", freshly(endpoints.rotate), name="endpoint-rotate"),
    path("endpoints/<int:pk>/switch/", endpoints.switch, name="endpoint-switch"),
    path("endpoints/<int:pk>/test/", endpoints.test, name="endpoint-test"),
]
