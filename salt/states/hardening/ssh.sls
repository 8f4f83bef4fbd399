ssh-login:
  group.present:
    - system: true
    - addusers: {{ pillar['machine']['ssh']['people'] | tojson }}
    # The account app is none of them, whoever put it there.
    - delusers: [app, postgres]

# A file that sshd would not take never gets to its place.
/etc/ssh/sshd_config.d/10-appliance.conf:
  file.managed:
    - source: salt://hardening/files/sshd.conf
    - template: jinja
    - check_cmd: /usr/sbin/sshd -t -f
    # Passwords are refused once the keys are in their place.
    - require:
      - sls: common.user
      - group: ssh-login

ssh configuration:
  applied.since_change:
    - files: [/etc/ssh/sshd_config, /etc/ssh/sshd_config.d/*.conf]
    - commands: [/usr/sbin/sshd -t, systemctl try-reload-or-restart ssh]
    - order: last
