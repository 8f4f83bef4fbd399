from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import TestCase, override_settings

from ecs.users import bootstrap
from ecs.users.models import LoginHistory, UserProfile
from ecs.users.utils import get_user

OFFICE = {"email": "office1@example.org", "password": bootstrap.PASSWORD}
PRESENTER = {"email": "presenter1@example.org", "password": bootstrap.PASSWORD}
ADDRESS = {"HTTP_X_REAL_IP": "192.0.2.7"}


class UsersTest(TestCase):
    @classmethod
    def setUpTestData(cls):
        bootstrap.create_groups()
        bootstrap.create_testusers()

    def test_there_are_48_testusers_made_once(self):
        self.assertEqual(UserProfile.objects.filter(is_testuser=True).count(), 48)
        User.objects.filter(profile__is_testuser=True).update(is_active=False)
        self.assertEqual(bootstrap.create_testusers(), 0)
        self.assertFalse(User.objects.filter(is_active=True).exists())

    def test_login_page_for_strangers(self):
        self.assertEqual(self.client.get("/accounts/login/").status_code, 200)
        self.assertRedirects(self.client.get("/"), "/accounts/login/?next=/")

    def test_login_records_the_address(self):
        self.assertRedirects(self.client.post("/accounts/login/", PRESENTER, **ADDRESS), "/")
        self.assertEqual(LoginHistory.objects.get().ip, "192.0.2.7")

    def test_login_without_the_address_is_an_error(self):
        self.client.raise_request_exception = False
        self.assertEqual(self.client.post("/accounts/login/", PRESENTER).status_code, 500)

    def test_inactive_user_and_wrong_password(self):
        User.objects.filter(email=PRESENTER["email"]).update(is_active=False)
        for data in (PRESENTER, OFFICE | {"password": "wrong"}):
            self.assertContains(self.client.post("/accounts/login/", data, **ADDRESS), "No user with this")

    def test_no_redirect_to_other_sites(self):
        answer = self.client.post("/accounts/login/?next=https://evil.example/", PRESENTER, **ADDRESS)
        self.assertEqual(answer["Location"], "/")

    def test_internal_user_needs_a_certificate(self):
        self.client.post("/accounts/login/", OFFICE, **ADDRESS)
        for verdict in ("NONE", "FAILED:unable to verify", ""):
            for page in ("/", "/accounts/login/", "/version/"):
                self.assertEqual(self.client.get(page, HTTP_X_SSL_CLIENT_VERIFY=verdict).status_code, 403)
        self.assertEqual(self.client.get("/").status_code, 403)
        self.assertEqual(self.client.get("/", HTTP_X_SSL_CLIENT_VERIFY="SUCCESS").status_code, 200)

    @override_settings(ECS_USERSWITCHER_ENABLED=True)
    def test_switching_users(self):
        self.client.post("/accounts/login/", PRESENTER, **ADDRESS)
        self.assertContains(self.client.get("/"), "reviewer2@example.org")
        self.client.post("/accounts/switch/", {"user": get_user("reviewer2@example.org").pk}, **ADDRESS)
        self.assertContains(self.client.get("/"), "<span>reviewer2@example.org</span>")

    @override_settings(ECS_USERSWITCHER_ENABLED=False)
    def test_not_switching_users(self):
        self.client.post("/accounts/login/", PRESENTER, **ADDRESS)
        self.assertNotContains(self.client.get("/"), "reviewer2@example.org")
        answer = self.client.post("/accounts/switch/", {"user": get_user("reviewer2@example.org").pk}, **ADDRESS)
        self.assertEqual(answer.status_code, 404)

    def test_stylesheet_is_written_with_its_name(self):
        cache.clear()
        href = self.client.get("/accounts/login/").context["stylesheet"]
        written = Path(settings.COMPRESSED_DIR, href.rpartition("/")[2])
        self.assertIn("--accent:#1a6b54", written.read_text())

    def test_migrations_are_complete(self):
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)
