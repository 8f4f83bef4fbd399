packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['packages'] | tojson }}
    - install_recommends: false

/etc/locale.gen:
  file.managed:
    - source: salt://common/files/locale.gen
    - require:
      - pkg: packages

locales:
  cmd.run:
    - name: locale-gen
    - onchanges:
      - file: /etc/locale.gen
