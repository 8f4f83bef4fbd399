/etc/nftables/appliance.nft:
  file.managed:
    - source: salt://hardening/files/firewall.nft
    - template: jinja
    - makedirs: true

/etc/nftables/appliance.d:
  file.directory: []

# Debian's own unit flushes every rule of the machine, docker's too.
nftables:
  unit.masked: []

firewall:
  firewall.loaded:
    - order: last
    - require:
      - file: /etc/nftables/appliance.nft

appliance-firewall:
  unit.running:
    - order: last
    - require:
      - applied: unit files
