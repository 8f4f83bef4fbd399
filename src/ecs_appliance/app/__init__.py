"""The application: source, images, migration, users."""
