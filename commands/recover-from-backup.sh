#!/bin/sh
# recover-from-backup.sh --yes [--only-restore]: from env.yml and the backup to a running site.
exec /usr/local/bin/appliance recover "$@"
