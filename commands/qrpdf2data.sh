#!/bin/sh
# qrpdf2data.sh PDF|PICTURE... OUTPUT: read the codes on the sheets and write their data, gzipped if OUTPUT ends in .gz.
if [ $# -lt 2 ]; then
    printf 'usage: %s PDF|PICTURE... OUTPUT\n' "${0##*/}" >&2
    exit 2
fi
# Move the last argument to the front, where it becomes the value of --output.
count=$#
while [ "$count" -gt 1 ]; do
    set -- "$@" "$1"
    shift
    count=$((count - 1))
done
output=$1
shift
exec "${APPLIANCE_COMMAND:-/usr/local/bin/appliance}" env scan --output "$output" -- "$@"
