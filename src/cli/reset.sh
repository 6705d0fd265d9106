# Takes what an apply put on this host off it again. Read from standard input by `sh -s`.
set -u
data=$1 engine=$2 registry=$3

if command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
  docker swarm leave --force >/dev/null 2>&1
  if [ "$data" = yes ]; then
    docker volume ls -q | xargs -r docker volume rm -f >/dev/null 2>&1
  fi
fi
rm -rf /etc/reemo
[ -z "$registry" ] || rm -rf "/etc/docker/certs.d/$registry"
# An engine that stays reaches its registry without our proxy from its next start on.
if [ -e /etc/systemd/system/docker.service.d/reemo-proxy.conf ]; then
  rm -f /etc/systemd/system/docker.service.d/reemo-proxy.conf /etc/docker/reemo-proxy.env
  rmdir /etc/systemd/system/docker.service.d 2>/dev/null
  systemctl daemon-reload
fi

# The engine goes only where it was asked for with INSTALL_DOCKER.
if [ "$engine" = yes ]; then
  systemctl disable --now docker.service docker.socket containerd.service >/dev/null 2>&1
  if command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C
    names() { sed -n 's/^\(Remv\|Purg\) \([^ ]*\).*/\2/p' | sort -u; }
    # What was of no use before must stay: it is not ours to judge.
    before=$(apt-get -s autoremove | names)
    with=$(apt-get -s purge --autoremove docker.io | names)
    gone=$(printf '%s\n' "$with" | grep -vxF -- "${before:-//}")
    [ -z "$gone" ] || apt-get -y -q purge $gone || exit 1
  elif command -v dnf >/dev/null 2>&1; then
    dnf -y remove docker-ce docker-ce-cli containerd.io || exit 1
    rm -f /etc/yum.repos.d/docker-ce.repo
  fi
  ip link delete docker0 >/dev/null 2>&1
  ip link delete docker_gwbridge >/dev/null 2>&1
  rm -rf /etc/docker /var/lib/containerd /run/docker /run/containerd
  # Made by the engine when it starts; somebody's networks in there stay.
  rmdir /etc/cni/net.d /etc/cni 2>/dev/null
  if [ "$data" = yes ] || [ -z "$(ls -A /var/lib/docker/volumes 2>/dev/null | grep -v '^backingFsBlockDev$\|^metadata.db$')" ]; then
    find /var/lib/docker -mindepth 1 -delete 2>/dev/null
    rmdir /var/lib/docker 2>/dev/null
  else
    find /var/lib/docker -mindepth 1 -maxdepth 1 ! -name volumes -exec rm -rf {} + 2>/dev/null
  fi
  groupdel docker 2>/dev/null
fi
if [ "$data" = yes ]; then
  # The nodes do this at the same time: whoever comes first does it for all. GlusterFS itself and its pool stay.
  if [ -e /etc/systemd/system/reemo-storage.service ]; then
    systemctl disable --now reemo-storage.service >/dev/null 2>&1
    rm -f /etc/systemd/system/reemo-storage.service
    systemctl daemon-reload
    gluster --mode=script volume stop reemo force >/dev/null 2>&1
    gluster --mode=script volume delete reemo >/dev/null 2>&1
    rm -rf /opt/reemo-copy
  fi
  rm -rf /opt/reemo
fi
exit 0
