from django.core.management.commands import shell


class Command(shell.Command):
    help = "The shell, under the name operators know."
