"""The application: its source, images, migrations, users and certificates."""
