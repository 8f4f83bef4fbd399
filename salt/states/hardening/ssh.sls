ssh-login:
  group.present:
    - system: true
    - addusers: {{ pillar['machine']['ssh']['people'] | tojson }}
    # Service accounts must not be able to log in, even if someone has added them.
    - delusers: [app, postgres]

# check_cmd: a file that sshd rejects is not installed.
/etc/ssh/sshd_config.d/10-appliance.conf:
  file.managed:
    - source: salt://hardening/files/sshd.conf
    - template: jinja
    - check_cmd: /usr/sbin/sshd -t -f
    # Passwords are disabled only after the keys are installed.
    - require:
      - sls: common.user
      - group: ssh-login

ssh configuration:
  applied.since_change:
    - files: [/etc/ssh/sshd_config, /etc/ssh/sshd_config.d/*.conf]
    - commands: [/usr/sbin/sshd -t, systemctl try-reload-or-restart ssh]
    - order: last
