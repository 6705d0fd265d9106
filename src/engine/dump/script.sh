# Dumps of a database on one host, in a folder that only root may open. Arguments: the folder, what is wanted, and what
# that needs. Reached by `sh -c`, so nothing of it stays on the host.
#
# Where the client programs are is said by three words: `inside SERVICE OPTIONS-FILE`, or `aside IMAGE LENGTH`. In the
# second case standard input brings so many bytes of options and then certificates; they are kept in memory meanwhile.
set -u
umask 077
dir=$1 verb=$2
shift 2
work='' part=''
trap '[ -z "$work" ] || rm -rf "$work"; [ -z "$part" ] || rm -f "$part" "$part.code" "$part.lines" "$part.info"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

ready() {
  way=$1 what=$2
  case $way in
  inside)
    box=$(docker ps -q --filter "label=com.docker.swarm.service.name=$what" --filter status=running | head -n 1)
    [ -n "$box" ] || fail "no container of $what runs here"
    options=$3
    ;;
  *)
    work=$(mktemp -d /run/reemo-db.XXXXXX) || exit 1
    cat >"$work/all"
    head -c "$3" "$work/all" >"$work/client.cnf"
    tail -c "+$(($3 + 1))" "$work/all" >"$work/site.pem"
    rm -f "$work/all"
    options=/run/reemo/client.cnf
    ;;
  esac
}

# Runs a client program: its name, its arguments.
client() {
  if [ "$way" = inside ]; then
    docker exec -i "$box" "$@"
  else
    program=$1
    shift
    docker run --rm -i --network host --user 0 --log-driver none -v "$work:/run/reemo:ro" --entrypoint "$program" \
      "$what" "$@"
  fi
}

# The first of these programs that there is: newer images have one of the two names only.
first() {
  for name; do
    if client "$name" --version >/dev/null 2>&1 </dev/null; then
      echo "$name"
      return
    fi
  done
  fail "none of the programs $* is in the database's image"
}

# The lines that tell a whole dump from a part of one: its tables, and its last line.
telling() {
  gzip -dc "$1" | grep -a -e '^CREATE TABLE ' -e '^-- Dump completed'
}

sum_of() {
  sum=$(sha256sum <"$1") && echo "${sum%% *}"
}

case $verb in
take) # NAME DATABASE WAY WHAT EXTRA, then the lines that describe it
  name=$1 database=$2
  ready "$3" "$4" "$5"
  shift 5
  mkdir -p "$dir" && chmod 700 "$dir" || exit 1
  find "$dir" -name '.*.part*' -mmin +1440 -delete
  part=$dir/.$name.part
  dumper=$(first mariadb-dump mysqldump) || exit 1
  {
    client "$dumper" "--defaults-extra-file=$options" --single-transaction --quick --routines --triggers --events \
      --hex-blob --no-tablespaces --add-drop-database --databases "$database" </dev/null
    echo $? >"$part.code"
  } | gzip -1 >"$part" || fail "the dump could not be written to $dir"
  [ "$(cat "$part.code")" = 0 ] || fail "$dumper ended with code $(cat "$part.code")"
  telling "$part" >"$part.lines"
  [ "$(tail -n 1 "$part.lines" | cut -c 1-17)" = '-- Dump completed' ] || fail "$dumper stopped before the end"
  sum=$(sum_of "$part") || exit 1
  {
    printf '%s\n' "$@"
    echo "tables $(grep -c '^CREATE TABLE ' "$part.lines")"
    echo "bytes $(wc -c <"$part")"
    echo "sha256 $sum"
  } >"$part.info" || exit 1
  sync
  # A dump is one from the moment its description is there.
  mv "$part" "$dir/$name.sql.gz" && mv "$part.info" "$dir/$name.info" || exit 1
  cat "$dir/$name.info"
  ;;
list)
  for info in "$dir"/*.info; do
    [ -e "$info" ] || continue
    name=${info##*/}
    echo "dump ${name%.info}"
    cat "$info"
  done
  ;;
load) # NAME SUM DATABASE WAY WHAT EXTRA
  name=$1 file=$dir/$1.sql.gz
  [ -f "$file" ] || fail "$file is not there"
  [ "$(sum_of "$file")" = "$2" ] || fail "$file is damaged: its checksum is not the one that was written down"
  ready "$4" "$5" "$6"
  loader=$(first mariadb mysql) || exit 1
  gzip -dc "$file" | client "$loader" "--defaults-extra-file=$options" --default-character-set=utf8mb4 ||
    fail "$loader could not load $file"
  ;;
check) # NAME SUM
  file=$dir/$1.sql.gz
  [ -f "$file" ] || fail "$file is not there"
  [ "$(sum_of "$file")" = "$2" ] || fail "$file is damaged: its checksum is not the one that was written down"
  ;;
piece) # NAME NUMBER
  dd "if=$dir/$1.sql.gz" bs=1048576 "skip=$(($2 * 16))" count=16 status=none
  ;;
put) # NAME NUMBER; standard input: the piece
  mkdir -p "$dir" && chmod 700 "$dir" || exit 1
  [ "$2" != 0 ] || rm -f "$dir/.$1.part"
  cat >>"$dir/.$1.part"
  ;;
keep) # NAME SUM; standard input: its description
  part=$dir/.$1.part
  [ "$(sum_of "$part")" = "$2" ] || fail "what arrived is not what was sent"
  cat >"$part.info" && mv "$part" "$dir/$1.sql.gz" && mv "$part.info" "$dir/$1.info"
  ;;
drop)
  rm -f "$dir/$1.info" "$dir/$1.sql.gz"
  ;;
*)
  fail "unknown: $verb"
  ;;
esac
