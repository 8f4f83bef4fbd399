/etc/sysctl.d/60-appliance.conf:
  file.managed:
    - source: salt://hardening/files/sysctl.conf
    - makedirs: true

# Last, as all of these: what env.yml and the operator's states add to the folder counts too.
kernel settings:
  applied.since_change:
    - files: [/etc/sysctl.d/*.conf]
    - commands: [systemctl restart systemd-sysctl]
    - order: last

/etc/systemd/system.conf.d/appliance.conf:
  file.managed:
    - source: salt://hardening/files/cores.conf
    - makedirs: true

# It counts for what is started from then on.
default limits of services:
  applied.since_change:
    - files: [/etc/systemd/system.conf.d/appliance.conf]
    - commands: [systemctl daemon-reexec]
    - require:
      - file: /etc/systemd/system.conf.d/appliance.conf

/etc/security/limits.d/appliance.conf:
  file.managed:
    - source: salt://hardening/files/limits.conf

/etc/modprobe.d/appliance.conf:
  file.managed:
    - source: salt://hardening/files/modprobe.conf
    - makedirs: true
