from django.contrib.auth.views import LogoutView
from django.urls import path

from ecs.core import views as core
from ecs.documents import views as documents
from ecs.users import views as users

urlpatterns = [
    path("", documents.index, name="index"),
    path("documents/<uuid:identifier>/", documents.download, name="download"),
    path("accounts/login/", users.login, name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("accounts/switch/", users.switch, name="switch"),
    path("version/", core.version, name="version"),
]
