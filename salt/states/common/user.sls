app:
  group.present:
    - gid: 1000
  user.present:
    - uid: 1000
    - gid: 1000
    - home: /app
    - createhome: false
    - shell: /bin/bash

{% for user, home in (('root', '/root'), ('app', '/app')) %}
# Both belong to root, because root writes the keys: a symlink created by the account must not redirect them.
{{ home }}/.ssh:
  file.directory:
    - user: root
    - group: {{ user }}
    - mode: '0750'

{% for key in pillar['machine']['ssh']['authorized_keys'] %}
authorized key {{ loop.index }} of {{ user }}:
  ssh_auth.present:
    - name: {{ key | tojson }}
    - user: {{ user }}
    - config: {{ home }}/.ssh/authorized_keys
{% endfor %}

{% for key in pillar['machine']['ssh']['deprecated_keys'] %}
deprecated key {{ loop.index }} of {{ user }}:
  ssh_auth.absent:
    - name: {{ key | tojson }}
    - user: {{ user }}
    - config: {{ home }}/.ssh/authorized_keys
{% endfor %}
{% endfor %}
