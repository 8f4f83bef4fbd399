/etc/sysctl.d/60-appliance.conf:
  file.managed:
    - source: salt://hardening/files/sysctl.conf
    - makedirs: true

# Last, so that files which env.yml and the operator's states add to the folder are applied too.
kernel settings:
  applied.since_change:
    - files: [/etc/sysctl.d/*.conf]
    - commands: [systemctl restart systemd-sysctl]
    - order: last

/etc/systemd/system.conf.d/appliance.conf:
  file.managed:
    - source: salt://hardening/files/cores.conf
    - makedirs: true

# Applies to services that start afterwards.
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
