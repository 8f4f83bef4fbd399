#!/bin/sh
# create-internal-user.sh EMAIL FIRST LAST f|m
exec /usr/local/bin/appliance user create "$@"
