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

backup interval:
  file.managed:
    - name: /etc/systemd/system/appliance-backup-frequent.timer.d/interval.conf
    - makedirs: true
    - contents: |
        [Timer]
        # An empty value resets all triggers of the timer.
        OnUnitActiveSec=
        OnActiveSec=5min
        OnUnitActiveSec={{ pillar['machine']['backup']['interval'] }}

backup time:
  file.managed:
    - name: /etc/systemd/system/appliance-backup.timer.d/oncalendar.conf
    - makedirs: true
    - contents: |
        [Timer]
        OnCalendar=
        OnCalendar={{ pillar['machine']['backup']['oncalendar'] }}

rehearsal time:
  file.managed:
    - name: /etc/systemd/system/appliance-rehearsal.timer.d/oncalendar.conf
    - makedirs: true
    - contents: |
        [Timer]
        OnCalendar=
        OnCalendar={{ pillar['machine']['backup']['rehearsal'] }}

unit files:
  applied.since_change:
    - files:
      - /usr/local/lib/systemd/system/*
      - /usr/local/lib/systemd/system/*/*
      - /etc/systemd/system/appliance-*.timer.d/*
    - commands: [systemctl daemon-reload]

appliance:
  unit.enabled:
    - require:
      - applied: unit files

appliance-volumes:
  unit.enabled:
    - require:
      - applied: unit files

watch-ecs-ca.path:
  unit.running:
    - require:
      - applied: unit files

{% if pillar['machine']['configured'] %}
appliance-backup.timer:
  unit.running:
    - require:
      - applied: unit files

appliance-backup-frequent.timer:
  unit.running:
    - require:
      - applied: unit files

appliance-rehearsal.timer:
  unit.running:
    - require:
      - applied: unit files

appliance-check.timer:
  unit.running:
    - require:
      - applied: unit files

appliance-names.timer:
  unit.running:
    - require:
      - applied: unit files

appliance-certificate.timer:
  unit.running:
    - require:
      - applied: unit files

appliance-update.timer:
{% if pillar['machine']['update']['automatic'] %}
  unit.running:
    - require:
      - applied: unit files
{% else %}
  unit.masked:
    - require:
      - applied: unit files
{% endif %}
{% endif %}
