"""The dead man's switch: reports each backup to a service outside, which raises an alarm if no report arrives."""

import logging
import ssl
import time

from ecs_appliance.core.errors import NetworkError
from ecs_appliance.core.log import register_secret

ATTEMPTS, PAUSE_SECONDS, TIMEOUT_SECONDS = 3, 3, 10


def ping(url: str, values: dict[str, str]) -> None:
    """Post `values` to `url` as a form. Raises NetworkError, without the URL in it, if they are not accepted."""
    import httpx  # noqa: PLC0415 # only needed with such a URL

    register_secret(url)
    # httpx would log the URL, which is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # By default, httpx trusts its own list instead of the system's, which the operator may have extended.
    trust = ssl.create_default_context()
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            answer = httpx.post(url, data=values, timeout=TIMEOUT_SECONDS, verify=trust)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = type(error).__name__
            continue
        if answer.is_success:
            return
        reason = f"status {answer.status_code}"
    raise NetworkError(
        f"appliance.backup.ping_url does not accept the ping: {reason}",
        "correct the URL, or check the monitoring service there",
    )
