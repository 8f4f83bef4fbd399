backup packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['backup']['packages'] | tojson }}
    - install_recommends: false

# Database servers that play backups run as it, in a fence (src/ecs_appliance/host/fence.py): it owns nothing else.
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
