#!/bin/sh
# recover-from-backup.sh --yes [--only-restore]: recover the site from env.yml and the backup.
exec /usr/local/bin/appliance recover "$@"
