#!/bin/sh
# create-internal-user.sh EMAIL FIRST LAST f|m [--reset]
exec /usr/local/bin/appliance user create "$@"
