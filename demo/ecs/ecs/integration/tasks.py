from datetime import timedelta

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from ecs.integration.models import TaskTrace


@shared_task
def clearsessions():
    call_command("clearsessions")


@shared_task
def forget_traces(days=90):
    TaskTrace.objects.filter(ended_at__lt=timezone.now() - timedelta(days=days)).delete()
