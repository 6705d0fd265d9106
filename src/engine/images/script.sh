# What a host does with what is sent to it out of a bundle: VERB FILE…, in a folder of root's.
set -u
umask 077
dir=/var/lib/reemo-images
verb=$1
file=$dir/$2
fail() {
  echo "$1" >&2
  exit "${2:-1}"
}
case $verb in
size) # FILE: so much of it is here already. Other archives are what earlier runs left.
  mkdir -p "$dir" || exit 1
  for other in "$dir"/*.tar; do
    [ "$other" = "$file" ] || rm -f "$other"
  done
  if [ -f "$file" ]; then wc -c <"$file"; else echo 0; fi
  ;;
put) # FILE OFFSET; standard input: what comes there
  [ "$3" != 0 ] || : >"$file"
  [ "$(wc -c <"$file")" -eq "$3" ] || fail "$file has changed meanwhile"
  cat >>"$file"
  ;;
check) # FILE SUM
  [ "$(sha256sum <"$file" | cut -c 1-64)" = "$3" ] && exit 0
  rm -f "$file"
  fail "what arrived is not what was sent" 8
  ;;
load) # FILE
  docker load -q -i "$file" </dev/null
  code=$?
  rm -f "$file"
  exit "$code"
  ;;
*)
  fail "unknown: $verb"
  ;;
esac
