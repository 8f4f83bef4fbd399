{% for name in pillar['machine']['commands'] %}
/usr/local/bin/{{ name }}:
  file.managed:
    - source: salt://commands/{{ name }}
    - mode: '0755'
{% endfor %}

/usr/local/bin/appliance:
  file.symlink:
    - target: /app/appliance/appliance

/usr/local/bin/salt-call:
  file.symlink:
    - target: /app/appliance/.venv/bin/salt-call

{% for name in ('appliance.include', 'env.include') %}
/usr/local/share/appliance/{{ name }}:
  file.managed:
    - source: salt://commands/{{ name }}
    - makedirs: true
{% endfor %}

manual pages and completion:
  installed.shared: []

/etc/salt/minion:
  file.symlink:
    - target: /app/appliance/salt/minion
    - makedirs: true
    - force: true
