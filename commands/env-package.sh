#!/bin/sh
# env-package.sh [--split KofN] ENV.YML | --requirements: write the PDF, the cidata ISO and the encrypted archive.
exec "${APPLIANCE_COMMAND:-/usr/local/bin/appliance}" env package "$@"
