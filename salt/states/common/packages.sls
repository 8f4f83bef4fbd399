packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['packages'] | tojson }}
    - install_recommends: false

/etc/locale.gen:
  locales.listed:
    - locales: {{ pillar['machine']['locales'] | tojson }}
    - require:
      - pkg: packages

# Also of /etc/default/locale: an earlier release left machines without the locale that they are set to.
locales:
  applied.since_change:
    - files: [/etc/locale.gen]
    - commands: [locale-gen --keep-existing]
