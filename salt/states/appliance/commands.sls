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

/usr/local/share/appliance:
  file.recurse:
    - source: salt://appliance/files/share
    - file_mode: '0644'

/etc/salt/minion:
  file.symlink:
    - target: /app/appliance/salt/minion
    - makedirs: true
    - force: true
