#!/bin/sh
# create-client-cert.sh [--sendto ADDRESS] EMAIL NAME [DAYS]
exec /usr/local/bin/appliance cert create "$@"
