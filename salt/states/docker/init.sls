/etc/docker/daemon.json:
  file.managed:
    - source: salt://docker/files/daemon.json
    - template: jinja
    - makedirs: true

docker packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['docker']['packages'] | tojson }}
    - install_recommends: false
    - require:
      - file: /etc/docker/daemon.json

/etc/systemd/system/docker.service.d/appliance.conf:
  file.managed:
    - source: salt://docker/files/docker.service.conf
    - makedirs: true

docker:
  unit.running:
    - require:
      - pkg: docker packages

docker configuration:
  applied.since_change:
    - files: [/etc/docker/daemon.json, /etc/systemd/system/docker.service.d/appliance.conf]
    - commands: [systemctl daemon-reload, systemctl restart docker]
    - require:
      - unit: docker

{% if pillar['machine']['proxy_cache'] %}
# Before the package, which starts the server: it exits if it cannot write its cache.
apt-cacher-ng account:
  group.present:
    - name: apt-cacher-ng
    - system: true
  user.present:
    - name: apt-cacher-ng
    - system: true
    - gid: apt-cacher-ng
    - home: /var/cache/apt-cacher-ng
    - createhome: false
    - shell: /usr/sbin/nologin

/volatile/proxy-cache:
  file.directory:
    - user: apt-cacher-ng
    - group: apt-cacher-ng
    - mode: '2755'

/etc/apt-cacher-ng/appliance.conf:
  file.managed:
    - source: salt://docker/files/apt-cacher-ng.conf
    - template: jinja
    - makedirs: true

# Only its own maintenance job uses the maintenance pages. Their name and password are generated once; nobody else needs
# to know them.
/etc/apt-cacher-ng/zz-appliance-admin.conf:
  file.managed:
    - contents:
      - "ReportPage: {{ salt['random.get_str'](40, punctuation=False) }}.html"
      - "AdminAuth: appliance:{{ salt['random.get_str'](40, punctuation=False) }}"
    - replace: false
    - user: root
    - group: apt-cacher-ng
    - mode: '0640'
    - makedirs: true
    - show_changes: false
    - require:
      - group: apt-cacher-ng account

proxy cache package:
  pkg.installed:
    - name: apt-cacher-ng
    - install_recommends: false
    - require:
      - file: /etc/apt-cacher-ng/appliance.conf
      - file: /etc/apt-cacher-ng/zz-appliance-admin.conf

# It listens on the docker bridge's address, so at boot, too, docker must start first.
/etc/systemd/system/apt-cacher-ng.service.d/appliance.conf:
  file.managed:
    - source: salt://docker/files/apt-cacher-ng.service.conf
    - makedirs: true

proxy cache unit:
  applied.since_change:
    - files: [/etc/systemd/system/apt-cacher-ng.service.d/appliance.conf]
    - commands: [systemctl daemon-reload, systemctl try-restart apt-cacher-ng]

apt-cacher-ng:
  unit.running:
    - require:
      - pkg: proxy cache package
      - file: /volatile/proxy-cache
      - unit: docker

proxy cache configuration:
  applied.since_change:
    - files: [/etc/apt-cacher-ng/appliance.conf, /etc/apt-cacher-ng/zz-appliance-admin.conf]
    - commands: [systemctl restart apt-cacher-ng]
    - require:
      - unit: apt-cacher-ng
{% endif %}
