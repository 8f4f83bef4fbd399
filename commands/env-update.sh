#!/bin/sh
# env-update.sh: find the environment, test it, and write it to /run/active-env.yml.
exec "${APPLIANCE_COMMAND:-/usr/local/bin/appliance}" env update "$@"
