"""ecs-appliance: turns an empty Debian machine into the production server of an ethics commission."""

__version__ = "1.0.0.dev0"
