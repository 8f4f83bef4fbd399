"""Entry point of `./appliance demo` and `./appliance test`: the commands of the product and the laboratory."""

from ecs_appliance.cli.main import app, main
from lab.cli import add_commands

add_commands(app)
main()
