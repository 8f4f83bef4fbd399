#!/bin/sh
# flatyaml.py [--file FILE] [--prefix P] [--postfix P] [--assign A] [--combine C] KEYS: print YAML as shell assignments.
exec "${APPLIANCE_COMMAND:-/usr/local/bin/appliance}" env flatten "$@"
