#!/usr/bin/env python3
"""Django's command line; `manage.py test` needs no database server and no settings from outside."""
import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    settings = "tests.settings" if sys.argv[1:2] == ["test"] else "ecs.settings"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings)
    execute_from_command_line(sys.argv)
