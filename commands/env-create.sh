#!/bin/sh
# env-create.sh [--template FILE] [--extra FILE] DOMAIN TARGET: write a new env.yml with fresh secrets.
exec "${APPLIANCE_COMMAND:-/usr/local/bin/appliance}" env create "$@"
