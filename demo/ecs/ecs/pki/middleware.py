from django.conf import settings
from django.shortcuts import render


class ClientCertificate:
    """Require a client certificate from internal users; the frontend passes on the result of its verification."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        verified = request.META.get("HTTP_X_SSL_CLIENT_VERIFY") == "SUCCESS"
        if settings.ECS_REQUIRE_CLIENT_CERTS and not verified and is_internal(request.user):
            return render(request, "403.html", status=403)
        return self.get_response(request)


def is_internal(user) -> bool:
    return user.is_authenticated and user.profile.is_internal
