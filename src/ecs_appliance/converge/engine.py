"""Calls Salt in-process; the only module that imports it."""

import logging
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecs_appliance.converge.report import ConvergeReport, parse_result

MINION_CONFIG = Path("/etc/salt/minion")


def converge(pillar: Mapping[str, Any], config: Path = MINION_CONFIG, *, dry_run: bool = False) -> ConvergeReport:
    """Converge the machine to the state that `pillar` declares, or with `dry_run` only report what would change.

    Returns the report, including failed states. Raises ConvergeError if the states cannot be rendered.
    """
    began = time.monotonic()
    caller = _caller(config)
    # Required by top.sls: a bare `salt-call state.highstate` does nothing.
    enabled = {**pillar, "appliance": {**pillar.get("appliance", {}), "enabled": True}}
    result = caller.cmd("state.highstate", pillar=enabled, test=dry_run)
    return parse_result(result, time.monotonic() - began)


def _caller(config: Path):  # type: ignore[no-untyped-def] # salt has no types
    import salt.client  # noqa: PLC0415 # takes half a second, which other commands save
    import salt.config  # noqa: PLC0415

    warnings.filterwarnings("ignore", module="salt")
    # Importing salt replaces the logger class and would log the output of commands, secrets included.
    for name in ("salt", "salt.state", "salt.loaded"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    options = salt.config.minion_config(str(config))
    options["file_client"] = "local"
    # The pillar is passed, so the environment is not read again.
    options["ext_pillar"] = []
    return salt.client.Caller(mopts=options)
