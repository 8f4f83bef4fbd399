include:
  - hardening.apparmor
  - hardening.kernel
  - hardening.ssh
  - hardening.updates
  - hardening.services
  - hardening.firewall
