from django.db import models


class TaskTrace(models.Model):
    """A task that ran, which proves that beat, queue and worker work."""

    name = models.CharField(max_length=200)
    state = models.CharField(max_length=20)
    ended_at = models.DateTimeField(auto_now_add=True, db_index=True)
