nginx packages:
  pkg.installed:
    - pkgs: {{ pillar['machine']['nginx']['packages'] | tojson }}
    - install_recommends: false

/etc/nginx/sites-enabled/default:
  file.absent

/etc/nginx/nginx.conf:
  file.managed:
    - source: salt://nginx/files/nginx.conf

{% set certificate = pillar['machine']['nginx']['certificate'] %}
{% if certificate['given'] %}
/app/etc/server.cert.pem:
  file.managed:
    - contents_pillar: appliance:ssl:cert
    - mode: '0644'

/app/etc/server.key.pem:
  file.managed:
    - contents_pillar: appliance:ssl:key
    - mode: '0600'
    - show_changes: false
{% else %}
self-signed certificate:
  tls.self_signed:
    - certificate: {{ certificate['cert'] }}
    - key: {{ certificate['key'] }}
    - hosts: {{ certificate['names'] | tojson }}
{% endif %}

client ca:
  tls.client_ca: []

/var/www/html/index.html:
  file.absent

{% for name in ('appliance.conf', 'proxy.inc') %}
/etc/nginx/appliance/{{ name }}:
  file.managed:
    - source: salt://nginx/files/{{ name }}
    - template: jinja
    - makedirs: true
{% endfor %}

/etc/nginx/sites-enabled/appliance.conf:
  file.symlink:
    - target: /etc/nginx/appliance/appliance.conf

status page:
  status_page.present: []

/etc/systemd/system/nginx.service.d/appliance.conf:
  file.managed:
    - source: salt://nginx/files/service.conf
    - makedirs: true

nginx unit:
  applied.since_change:
    - files: [/etc/systemd/system/nginx.service.d/appliance.conf]
    - commands: [systemctl daemon-reload]

nginx:
  unit.running: []

nginx configuration:
  applied.since_change:
    - files:
      - /etc/nginx/nginx.conf
      - /etc/nginx/appliance/*
      - /etc/nginx/sites-enabled/*
      - {{ certificate['cert'] }}
      - {{ certificate['key'] }}
    - commands:
      - nginx -t -q
      - systemctl reload nginx

# By the same name as watch-ecs-ca does it, so that what one has done the other does not do again.
nginx client ca:
  applied.since_change:
    - files: [/etc/nginx/client-ca/*]
    - commands: [systemctl reload nginx]
