"""Entry point of `./appliance` and of `python -m ecs_appliance`."""

from ecs_appliance.cli.main import main

main()
