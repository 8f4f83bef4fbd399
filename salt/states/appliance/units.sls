units:
  file.recurse:
    - name: /usr/local/lib/systemd/system
    - source: salt://appliance/files/units
    - file_mode: '0644'

update time:
  file.managed:
    - name: /etc/systemd/system/appliance-update.timer.d/oncalendar.conf
    - makedirs: true
    - contents: |
        [Timer]
        OnCalendar=
        OnCalendar={{ pillar['machine']['update']['oncalendar'] }}

unit files:
  cmd.run:
    - name: systemctl daemon-reload
    - onchanges:
      - file: units
      - file: update time

appliance:
  service.enabled:
    - require:
      - cmd: unit files

watch-ecs-ca.path:
  service.running:
    - enable: true
    - require:
      - cmd: unit files

{% if pillar['machine']['configured'] %}
appliance-update.timer:
{% if pillar['machine']['update']['automatic'] %}
  service.running:
    - enable: true
    - unmask: true
    - require:
      - cmd: unit files
    - watch:
      - file: update time
{% else %}
  service.masked:
    - require:
      - cmd: unit files
{% endif %}
{% endif %}
