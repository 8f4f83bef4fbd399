from celery.signals import task_postrun
from django.apps import AppConfig


class IntegrationConfig(AppConfig):
    name = "ecs.integration"

    def ready(self):
        task_postrun.connect(leave_trace)


def leave_trace(task, state, **_):
    from ecs.integration.models import TaskTrace

    TaskTrace.objects.create(name=task.name, state=state or "")
