#!/bin/sh
# create-client-cert.sh [--send-to EMAIL] EMAIL NAME [DAYS]
exec /usr/local/bin/appliance cert create "$@"
