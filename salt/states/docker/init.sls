/etc/docker/daemon.json:
  file.managed:
    - source: salt://docker/files/daemon.json
    - makedirs: true

docker packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['docker']['packages'] | tojson }}
    - install_recommends: false
    - require:
      - file: /etc/docker/daemon.json

docker:
  service.running:
    - enable: true
    - require:
      - pkg: docker packages

docker configuration:
  applied.since_change:
    - files: [/etc/docker/daemon.json]
    - commands: [systemctl restart docker]
    - require:
      - service: docker

{% if pillar['machine']['proxy_cache'] %}
/volatile/proxy-cache:
  file.directory:
    - user: apt-cacher-ng
    - group: apt-cacher-ng
    - mode: '2755'
    - require:
      - pkg: proxy cache package

/etc/apt-cacher-ng/appliance.conf:
  file.managed:
    - source: salt://docker/files/apt-cacher-ng.conf
    - makedirs: true

proxy cache package:
  pkg.installed:
    - name: apt-cacher-ng
    - install_recommends: false
    - require:
      - file: /etc/apt-cacher-ng/appliance.conf

apt-cacher-ng:
  service.running:
    - enable: true
    - require:
      - pkg: proxy cache package
      - file: /volatile/proxy-cache
      - service: docker

proxy cache configuration:
  applied.since_change:
    - files: [/etc/apt-cacher-ng/appliance.conf]
    - commands: [systemctl restart apt-cacher-ng]
    - require:
      - service: apt-cacher-ng
{% endif %}
