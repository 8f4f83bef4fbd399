#!/bin/sh
# First process of every container, and /start for `docker exec`. Runs as root only to reset the mount roots: a new
# volume belongs to root, a restored one to the account that restored it.
set -eu
cd /app/ecs

own_mount_roots() {
    chown app:app /app/ecs-storage-vault /app/ecs-ca /app/ecs-cache /app/ecs-gpg
    chmod 0755 /app/ecs-storage-vault /app/ecs-ca /app/ecs-cache
    chmod 0700 /app/ecs-gpg
}

bootstrap() { # $1: true to migrate first
    if [ "$1" = true ]; then gosu app ./manage.py migrate --noinput || exit 1; fi
    gosu app ./manage.py bootstrap || exit 1
}

serve() { exec gosu app uwsgi --ini conf/uwsgi.ini "$@"; }

case "${1:-}" in
simple | web | combined | worker | beat | smtpd | migrate | run) own_mount_roots ;;
esac

case "${1:-}" in
simple)
    serve ;;
web)
    bootstrap "${ECS_MIGRATE_AUTO:-false}"
    serve ;;
combined)
    bootstrap "${ECS_MIGRATE_AUTO:-false}"
    serve --attach-daemon="exec $0 worker-as-app" --attach-daemon="exec $0 beat-as-app" ;;
migrate)
    bootstrap true ;;
worker)
    exec gosu app "$0" worker-as-app ;;
beat)
    exec gosu app "$0" beat-as-app ;;
worker-as-app) # solo: a single process is enough for a small site, whose tasks rarely overlap
    exec /app/env/bin/celery -A ecs worker -l info --pool solo --without-gossip --without-mingle ;;
beat-as-app)
    exec /app/env/bin/celery -A ecs beat -l info ;;
smtpd)
    exec gosu app ./manage.py smtpd ;;
run)
    shift
    exec gosu app "$@" ;;
*)
    exec "$@" ;;
esac
