"""The ecs-appliance: turns an empty Debian machine into an ethics commission's production server."""

__version__ = "1.0.0.dev0"
