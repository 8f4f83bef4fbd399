"""Entry point of `python -m ecs_appliance` and, except for `demo` and `test`, of `./appliance`."""

from ecs_appliance.cli.main import main

main()
