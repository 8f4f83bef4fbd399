import json
import os
import subprocess
import sys

from django.test import SimpleTestCase

from ecs.settings import database

SHOW = "import json; from ecs import settings as s; print(json.dumps([getattr(s, n) for n in {names!r}]))"


def setting(*names, **environment):
    """Return the settings of a process that starts with this environment."""
    answer = subprocess.run([sys.executable, "-c", SHOW.format(names=names)], capture_output=True, check=True,
                            env={"PATH": os.environ["PATH"], **environment})
    values = json.loads(answer.stdout)
    return values[0] if len(values) == 1 else values


class SettingsTest(SimpleTestCase):
    def test_ecs_settings_arrive_unharmed(self):
        text = """SECRET_KEY = 'ä"\\'$HOME ${x} $$ {} #%€'  # Öl\nDOMAIN = 'x.example'\nALLOWED_HOSTS = [DOMAIN]\n"""
        secret, hosts = setting("SECRET_KEY", "ALLOWED_HOSTS", ECS_SETTINGS=text)
        self.assertEqual((secret, hosts), ("ä\"'$HOME ${x} $$ {} #%€", ["x.example"]))

    def test_userswitcher_is_on_unless_false(self):
        self.assertTrue(setting("ECS_USERSWITCHER_ENABLED"))
        for value, enabled in {"": True, "true": True, "false": False, "False": False}.items():
            self.assertEqual(setting("ECS_USERSWITCHER_ENABLED", ECS_USERSWITCHER_ENABLED=value), enabled)

    def test_tasks_are_inline_without_redis(self):
        self.assertTrue(setting("CELERY_TASK_ALWAYS_EAGER"))
        self.assertFalse(setting("CELERY_TASK_ALWAYS_EAGER", REDIS_URL="redis://r:6379/0"))

    def test_database_url(self):
        parts = database("postgres://app:p%40ss%2Fword@172.17.0.1:5432/ecs")
        self.assertEqual([parts[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")],
                         ["app", "p@ss/word", "172.17.0.1", 5432, "ecs"])
