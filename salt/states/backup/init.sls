backup packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['backup']['packages'] | tojson }}
    - install_recommends: false

/etc/pgbackrest.conf:
  file.managed:
    - source: salt://backup/files/pgbackrest.conf
    - mode: '0644'
    - require:
      - pkg: backup packages
