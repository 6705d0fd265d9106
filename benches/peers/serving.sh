#!/usr/bin/env bash
# serving.sh DATA: what benches/serving compares reemo-infra with. Three bare hosts become the demo's platform, written
# by hand for exactly this: it knows every name, secret and specification beforehand, checks nothing that it does not
# need, does everything on all hosts at once over one kept ssh connection each, and waits for the same things: each
# service runs as often as wanted, healthy, for its monitor window, stage after stage; last the health tree.
#
# DATA holds what is specific: hosts, ssh_config, daemon.json, ca.crt, login, images, etc.tar, secrets/, configs/,
# stages/STAGE/SERVICE.json (specifications with @NAME@ where an id belongs), network.json, label.
set -euo pipefail
cd "$1"
mapfile -t HOSTS <hosts
FIRST=${HOSTS[0]}
SOCKETS=$(mktemp -d)
on() { ssh -F ssh_config "$@"; }
engine() { curl --silent --show-error --fail-with-body --unix-socket "$SOCKETS/engine" "http://docker/v1.41$1" "${@:2}"; }
end() {
  for host in "${HOSTS[@]}"; do ssh -F ssh_config -O exit "$host" 2>/dev/null || true; done
  rm -rf "$SOCKETS"
}
trap end EXIT
all() { local pids=() host; for host in "${HOSTS[@]}"; do "$@" "$host" & pids+=($!); done; for pid in "${pids[@]}"; do wait "$pid"; done; }

install_engine() {
  # shellcheck disable=SC2016 # for the host's shell
  tar -c daemon.json ca.crt etc.tar | on "$1" 'set -e; work=$(mktemp -d); tar -x -C "$work"
    mkdir -p /etc/docker/certs.d/registry.reemo.io /opt/reemo
    cp "$work/daemon.json" /etc/docker/daemon.json; cp "$work/ca.crt" /etc/docker/certs.d/registry.reemo.io/ca.crt
    tar -x -C / -f "$work/etc.tar"; rm -r "$work"
    apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends docker.io iptables >/dev/null
    systemctl -q enable --now docker.service'
}
all install_engine

# Images are pulled while the Swarm forms.
pull() {
  on "$1" "docker login -u '$(sed -n 1p login)' --password-stdin registry.reemo.io >/dev/null 2>&1" < <(sed -n 2p login)
  on "$1" 'xargs -P 4 -n 1 docker pull -q >/dev/null' <images
}
all pull &
PULLS=$!
on "$FIRST" "docker swarm init --advertise-addr $(cat address.1) >/dev/null; mkdir -p /opt/reemo/mysql; chmod 750 /opt/reemo/mysql; chown 999:999 /opt/reemo/mysql"
TOKEN=$(on "$FIRST" 'docker swarm join-token -q manager')
for host in "${HOSTS[@]:1}"; do on "$host" "docker swarm join --token $TOKEN $(cat address.1):2377 >/dev/null"; done
on "$FIRST" "docker node update --label-add $(cat label) \$(docker info -f '{{.Swarm.NodeID}}') >/dev/null"
on -f -N -L "$SOCKETS/engine:/var/run/docker.sock" "$FIRST"
for _ in $(seq 50); do [ -S "$SOCKETS/engine" ] && break; sleep 0.1; done

mkdir -p made
engine /networks/create -H 'content-type: application/json' -d @network.json | sed -E 's/.*"Id":"([^"]+)".*/s|@network@|\1|g/' >made/network
create() { # KIND NAME
  jq -n --arg name "$2" --rawfile data <(base64 -w0 "$1/$2") '{Name: $name, Labels: {}, Data: $data}' |
    engine "/$1/create" -H 'content-type: application/json' -d @- | sed -E "s/.*\"ID\":\"([^\"]+)\".*/s|@$2@|\1|g/" >"made/$1.$2"
}
for kind in secrets configs; do
  pids=()
  for file in "$kind"/*; do
    create "$kind" "${file#*/}" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
done
cat made/* >ids.sed
wait "$PULLS"

AUTH=$(cat auth)
tasks() { engine "/tasks?filters=$(jq -rn --arg s "$1" '{service: {($s): true}} | tojson | @uri')"; }
deploy() { # a specification
  local name want state since=
  sed -f ids.sed "$1" >"$1.filled"
  engine /services/create -H 'content-type: application/json' -H "X-Registry-Auth: $AUTH" -d "@$1.filled" >/dev/null
  name=$(jq -r .Name "$1.filled") want=$(jq -r .Mode.Replicated.Replicas "$1.filled")
  while :; do
    if [ "$(jq -r .TaskTemplate.RestartPolicy.Condition "$1.filled")" = none ]; then
      state=$(tasks "$name" | jq -r '[.[].Status.State] | if index("complete") then "complete" else "no" end')
      [ "$state" != complete ] || return 0
      [ -z "$(tasks "$name" | jq -r '.[] | select(.Status.State == "failed") | .ID')" ] || { echo "error: $name failed" >&2; exit 1; }
    elif [ "$(tasks "$name" | jq '[.[] | select(.Status.State == "running" and .DesiredState == "running")] | length')" = "$want" ]; then
      since=${since:-$(date +%s%N)}
      # The monitor window of all of them.
      [ $(($(date +%s%N) - since)) -lt 5000000000 ] || return 0
    else
      since=
    fi
    sleep 0.2
  done
}
for stage in mysql db api services portal; do
  pids=()
  for spec in stages/"$stage"/*.json; do [ ! -e "$spec" ] || { deploy "$spec" & pids+=($!); }; done
  for pid in "${pids[@]}"; do wait "$pid"; done
done

healthy() { # an address
  local green=0
  while [ "$green" -lt 12 ]; do
    if curl --silent --insecure --max-time 15 "https://$1/api/healthcheck" | jq -e '.status == "OK"' >/dev/null 2>&1; then green=$((green + 1)); else green=0; sleep 0.4; fi
  done
}
pids=()
for address in address.*; do
  healthy "$(cat "$address")" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
