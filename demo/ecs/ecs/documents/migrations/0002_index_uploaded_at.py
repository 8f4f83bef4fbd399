from django.db import migrations, models


class Migration(migrations.Migration):
    """An index for the list, which shows the newest documents first."""

    dependencies = [("documents", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="document",
            name="uploaded_at",
            field=models.DateTimeField(auto_now_add=True, db_index=True),
        ),
    ]
