from django import forms
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from ecs.users.utils import hash_email


class LoginForm(forms.Form):
    email = forms.EmailField(widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"}))
    password = forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))

    def clean(self):
        data = super().clean()
        if "email" in data and "password" in data:
            data["user"] = auth.authenticate(username=hash_email(data["email"]), password=data["password"])
            if not data["user"]:
                raise forms.ValidationError("No user with this email and password.")
        return data


def login(request):
    """Log in. Health checks request this page too, because it uses the database even for unknown users."""
    User.objects.exists()
    form = LoginForm(request.POST or None)
    if form.is_valid():
        auth.login(request, form.cleaned_data["user"])
        target = request.GET.get("next", "/")
        safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
        return redirect(target if safe else "/")
    return render(request, "login.html", {"form": form})


@require_POST
@login_required
def switch(request):
    if not settings.ECS_USERSWITCHER_ENABLED:
        raise Http404
    testusers = User.objects.filter(is_active=True, profile__is_testuser=True)
    user = get_object_or_404(testusers, pk=request.POST.get("user"))
    auth.login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("index")
