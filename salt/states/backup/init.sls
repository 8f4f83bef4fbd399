backup packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['backup']['packages'] | tojson }}
    - install_recommends: false

# The account of temporary database servers that restore backups, in a sandbox (src/ecs_appliance/host/fence.py). It
# owns nothing else.
appliance-scratch:
  group.present:
    - system: true
  user.present:
    - system: true
    - gid: appliance-scratch
    - home: /nonexistent
    - createhome: false
    - shell: /usr/sbin/nologin

/etc/pgbackrest.conf:
  file.managed:
    - source: salt://backup/files/pgbackrest.conf
    - template: jinja
    - mode: '0644'
    - require:
      - pkg: backup packages
