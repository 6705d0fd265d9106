# shellcheck shell=bash
# What every script of the fleet shares: folders, names, small helpers. Sourced, never run.
set -euo pipefail
export LC_ALL=C

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
FLEETS=$REPO/.fleet

say() { printf '%s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Sets what belongs to the fleet named $1. Its containers, volumes and network carry the label: `down` finds them by it.
use_fleet() {
  FLEET=$1
  [[ $FLEET =~ ^[a-z][a-z0-9-]{0,30}$ ]] || die "a fleet's name is lower-case letters, digits and dashes: '$FLEET'"
  # shellcheck disable=SC2034 # used by the scripts that source this file
  STATE=$FLEETS/$FLEET NETWORK=fleet-$FLEET LABEL=reemo.fleet=$FLEET
}

# One checksum over what an image is made of: the files and words given.
recipe_hash() {
  local item
  for item in "$@"; do
    if [ -d "$item" ]; then
      find "$item" -type f -printf '%P %m\n' | sort
      find "$item" -type f -print0 | sort -z | xargs -0 cat
    elif [ -f "$item" ]; then
      cat "$item"
    else
      printf '%s\n' "$item"
    fi
  done | sha256sum | cut -c1-12
}

have_image() { docker image inspect "$1" >/dev/null 2>&1; }

# One builder at a time, so that two fleets raised at once do not build the same image twice.
# Held by this process until it ends.
lock_builds() {
  mkdir -p "$FLEETS"
  exec 9>"$FLEETS/build.lock"
  flock 9
}

# Waits for every background job given by pid; fails if one failed.
wait_all() {
  local pid failed=0
  for pid in "$@"; do wait "$pid" || failed=1; done
  return "$failed"
}
