#!/bin/sh
# In a bare Debian: makes /srv/docker, a package repository for the RHEL family, signed by a key that is made here and
# forgotten (its public half is /srv/docker/RPM-GPG-KEY), and leaves a small web server to serve it.
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
quietly apt-get install -y --no-install-recommends rpm createrepo-c gnupg busybox
mkdir -p /debian /srv/docker
cd /debian
quietly apt-get download docker.io containerd runc tini
for package in ./*.deb; do
  dpkg-deb -x "$package" /debian
  rm "$package"
done
quietly rpmbuild -bb --define '_rpmdir /srv/docker' /docker.spec
mv /srv/docker/*/rocky-release-*.rpm /rocky-release.rpm

GNUPGHOME=$(mktemp -d)
export GNUPGHOME
quietly gpg --batch --passphrase '' --quick-generate-key 'Packages of the test fleet' rsa2048 sign never
gpg --quiet --armor --export >/srv/docker/RPM-GPG-KEY
quietly rpmsign --define '__gpg /usr/bin/gpg' --define '_gpg_name Packages of the test fleet' --addsign /srv/docker/*/*.rpm
gpgconf --kill all
rm -rf "$GNUPGHOME"

quietly createrepo_c /srv/docker
cd /
rm -rf /debian /docker.spec /packages.sh /root/rpmbuild /var/lib/apt/lists/*
apt-get clean
