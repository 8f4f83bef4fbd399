from django.conf import settings
from django.http import JsonResponse


def version(request):
    return JsonResponse({"revision": settings.GIT_REV, "branch": settings.GIT_BRANCH})
