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
  applied.since_change:
    - files: [/etc/locale.gen]
    - commands: [locale-gen]
