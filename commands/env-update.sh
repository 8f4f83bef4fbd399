#!/bin/sh
# env-update.sh: find the environment, check it, and write it to /run/active-env.yml.
exec "${APPLIANCE_COMMAND:-/usr/local/bin/appliance}" env update "$@"
