packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['packages'] | tojson }}
    - install_recommends: false

# Adds the locale in /etc/default/locale too: an earlier release did not generate the locale that machines are set to.
/etc/locale.gen:
  locales.listed:
    - locales: {{ pillar['machine']['locales'] | tojson }}
    - require:
      - pkg: packages

locales:
  applied.since_change:
    - files: [/etc/locale.gen]
    - commands: [locale-gen --keep-existing]
