from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver


class UserProfile(models.Model):
    user = models.OneToOneField(User, models.CASCADE, related_name="profile")
    gender = models.CharField(max_length=1, choices=(("f", "Ms"), ("m", "Mr")))
    is_internal = models.BooleanField(default=False)
    is_testuser = models.BooleanField(default=False)


class LoginHistory(models.Model):
    user = models.ForeignKey(User, models.CASCADE, related_name="logins")
    timestamp = models.DateTimeField(auto_now_add=True)
    ip = models.GenericIPAddressField()


@receiver(post_save, sender=User)
def create_profile(instance, created, raw, **_):
    if created and not raw:
        UserProfile.objects.create(user=instance)


@receiver(user_logged_in)
def record_login(request, user, **_):
    # fail if the header is missing, because the frontend is misconfigured then
    LoginHistory.objects.create(user=user, ip=request.META["HTTP_X_REAL_IP"])
