#!/bin/sh
# create-client-certificate.sh [--send-to EMAIL] EMAIL NAME [DAYS]: another name of create-client-cert.sh.
exec /usr/local/bin/appliance cert create "$@"
