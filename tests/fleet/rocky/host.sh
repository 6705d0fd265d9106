#!/bin/sh
# In a bare Debian: makes it look like Rocky Linux 9.4 to whoever installs packages. dnf and rpm are real; Debian's own
# tools leave the PATH.
set -eu
export DEBIAN_FRONTEND=noninteractive
# quietly CMD…: without its chatter, unless it fails.
quietly() {
  "$@" >/tmp/log 2>&1 || {
    tail -n 20 /tmp/log >&2
    exit 1
  }
}

quietly apt-get update
quietly apt-get install -y --no-install-recommends dnf rpm dnf-plugins-core
apt-get clean
rm -rf /var/lib/apt/lists/* /etc/apt/sources.list /etc/apt/sources.list.d/*

cat >/usr/lib/os-release <<'END'
NAME="Rocky Linux"
VERSION="9.4 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.4"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"
CPE_NAME="cpe:/o:rocky:rocky:9::baseos"
END
ln -sf ../usr/lib/os-release /etc/os-release
echo 'Rocky Linux release 9.4 (Blue Onyx)' >/etc/rocky-release
ln -sf rocky-release /etc/redhat-release
rm -f /etc/debian_version

[ -e /usr/bin/dnf ] || ln -s dnf-3 /usr/bin/dnf
ln -sf dnf /usr/bin/yum
mkdir -p /etc/yum.repos.d /etc/dnf/vars
echo 9 >/etc/dnf/vars/releasever
printf '[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=True\nskip_if_unavailable=False\n' >/etc/dnf/dnf.conf
# A Debian plugin that keeps a repository of its own, unsigned.
printf '[main]\nenabled=0\n' >/etc/dnf/plugins/local.conf
rpm --install --nodeps --force-debian /rocky-release.rpm
ln -sf /lib/systemd/system/ssh.service /etc/systemd/system/sshd.service

rm -f /rocky-release.rpm /host.sh
mkdir -p /usr/lib/debian-tools
for tool in /usr/bin/apt* /usr/bin/dpkg*; do mv "$tool" /usr/lib/debian-tools/; done
