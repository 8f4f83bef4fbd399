"""Entry point of `./appliance demo` and `./appliance test`: the product's commands and the laboratory's."""

from ecs_appliance.cli.main import app, main
from lab.cli import add_commands

add_commands(app)
main()
