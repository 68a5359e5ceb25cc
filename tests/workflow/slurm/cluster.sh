#!/usr/bin/env bash
# A real SLURM on this machine for tests/workflow/test_slurm.py. Debian, as root; installs what is missing.
#
#   cluster.sh start        configure, start, and wait until every node is up; what runs already is left alone
#   cluster.sh stop         cancel all jobs and end every process that `start` began
#   cluster.sh crash NODE   a power cut: KILL the node's slurmd and all that its jobs run
#   cluster.sh down NAME    end one daemon, e.g. slurmctld; jobs run on
#   cluster.sh up NAME      start a node or a daemon again
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=${LAYERSCOPE_SLURM_STATE:-/var/tmp/layerscope-slurm}
nodes=(cpu1 cpu2 gpu1 gpu2)
mark="# layerscope test cluster: written by cluster.sh"

say() { echo "cluster.sh: $*"; }
die() { echo "cluster.sh: $*" >&2; exit 1; }

# Try a command every 0.2 s for as many seconds; its last status is the status.
within() {
  local tries=$(($1 * 5))
  shift
  until "$@" >/dev/null 2>&1; do
    ((tries-- > 0)) || return 1
    sleep 0.2
  done
}

# A process is known by its id and the tick it began: ids are used again, the pair is not.
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

alive() {
  local pid tick
  read -r pid tick 2>/dev/null <"$state/pids/$1" && [ -n "$tick" ] && [ "$(began "$pid")" = "$tick" ]
}

launch() {
  local name=$1
  shift
  ! alive "$name" || return 0
  setsid "$@" >>"$state/log/$name.out" 2>&1 </dev/null &
  echo "$! $(began $!)" >"$state/pids/$name"
}

dead() { ! alive "$1"; }

end() {
  alive "$1" || { rm -f "$state/pids/$1"; return 0; }
  local pid
  read -r pid _ <"$state/pids/$1"
  kill -TERM "$pid"
  within 20 dead "$1" || kill -KILL "$pid"
  rm -f "$state/pids/$1"
}

launch_daemon() {
  case $1 in
    cpu? | gpu?) launch "$1" slurmd -D -N "$1" ;;
    slurmctld | slurmdbd) launch "$1" "$1" -D ;;
    *) die "no such node or daemon: $1" ;;
  esac
}

install_packages() {
  local program missing=
  for program in slurmctld slurmd slurmdbd mariadbd munged; do command -v $program >/dev/null || missing=1; done
  [ -n "$missing" ] || return 0
  say "installing SLURM, munge and MariaDB"
  # Tells the packages not to start daemons of their own; a machine that has such a file keeps it.
  local policy=/usr/sbin/policy-rc.d ours=
  if [ ! -e $policy ]; then
    ours=$policy
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >"$state/log/apt.out" 2>&1 &&
    apt-get install -y -qq --no-install-recommends slurm-wlm slurmdbd mariadb-server munge >>"$state/log/apt.out" 2>&1 ||
    die "apt-get failed: $(tail -n 3 "$state/log/apt.out")"
  [ -z "$ours" ] || rm "$ours"
}

# The files must lie in /etc/slurm, because Snakemake's plugin does not hand SLURM_CONF on.
configure() {
  local file host address
  host=$(hostname -s)
  address=$(getent ahostsv4 "$host" | awk '{ print $1; exit }')
  mkdir -p /etc/slurm
  for file in slurm.conf gres.conf slurmdbd.conf cgroup.conf; do
    [ ! -s /etc/slurm/$file ] || grep -qF "${mark%%:*}:" /etc/slurm/$file ||
      die "/etc/slurm/$file belongs to another cluster; this one will not replace it"
  done
  [ -s "$state/password" ] || (umask 077 && od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$state/password")
  for file in slurm.conf gres.conf slurmdbd.conf; do
    (umask 077 && { echo "$mark"; cat "$here/$file"; } |
      sed "s|@HOST@|$host|; s|@ADDRESS@|${address:-127.0.0.1}|; s|@STATE@|$state|; s|@PASSWORD@|$(<"$state/password")|" \
        >/etc/slurm/$file)
  done
  printf '%s\nCgroupAutomount=no\n' "$mark" >/etc/slurm/cgroup.conf
  # Where the host's name is a loopback address, nothing listens to the world.
  [[ $address != 127.* ]] || echo "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny" >>/etc/slurm/slurm.conf
  chmod 644 /etc/slurm/{slurm,gres,cgroup}.conf
  for file in gpu1 gpu2; do
    [ -e "$state/dev/$file" ] || mknod "$state/dev/$file" c 1 3
  done
}

sql() { mariadb --no-defaults --socket="$state/mysql/socket" --user=root --execute="$1"; }

start_accounting() {
  if [ ! -d "$state/mysql/mysql" ]; then
    install -d -o mysql "$state/mysql"
    mariadb-install-db --no-defaults --user=mysql --datadir="$state/mysql" --skip-test-db \
      --auth-root-authentication-method=normal >"$state/log/mariadb-install.out" 2>&1
  fi
  launch mariadbd mariadbd --no-defaults --user=mysql --datadir="$state/mysql" --socket="$state/mysql/socket" \
    --bind-address=127.0.0.1 --port=13306 --skip-name-resolve --performance-schema=OFF \
    --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-flush-log-at-trx-commit=0
  within 60 sql "select 1" || die "MariaDB does not answer: see $state/log/mariadbd.out"
  sql "create database if not exists slurm_acct;
       create user if not exists 'slurm'@'127.0.0.1' identified by '$(<"$state/password")';
       grant all on slurm_acct.* to 'slurm'@'127.0.0.1'"
  launch_daemon slurmdbd
  within 60 sacctmgr show cluster || die "slurmdbd does not answer: see $state/log/slurmdbd.log"
  [ -n "$(sacctmgr -nP show cluster layerscope)" ] || sacctmgr -i add cluster layerscope >/dev/null
  [ -n "$(sacctmgr -nP show account lab)" ] || sacctmgr -i add account lab >/dev/null
  [ -n "$(sacctmgr -nP show assoc account=lab user=root)" ] || sacctmgr -i add user root account=lab >/dev/null
}

all_up() { [ "$(sinfo -hN -o '%N %T' | sort -u | grep -cE ' (idle|mixed|allocated|completing)$')" = ${#nodes[@]} ]; }

start() {
  [ "$(id -u)" = 0 ] || die "must be root"
  mkdir -p "$state"/{pids,log,run,dev,slurmctld}
  for node in "${nodes[@]}"; do mkdir -p "$state/spool/$node"; done
  install_packages
  configure
  if ! munge --no-input >/dev/null 2>&1; then
    install -d -o munge -g munge /run/munge /var/log/munge /var/lib/munge
    [ -s /etc/munge/munge.key ] || (umask 077 && head -c 1024 /dev/urandom >/etc/munge/munge.key)
    chown munge:munge /etc/munge/munge.key
    launch munged setpriv --reuid=munge --regid=munge --init-groups munged --foreground --force
    within 10 munge --no-input || die "munge does not answer: see $state/log/munged.out"
  fi
  start_accounting
  launch_daemon slurmctld
  for node in "${nodes[@]}"; do launch_daemon "$node"; done
  # A node that a test left down comes back here.
  within 20 all_up || scontrol update nodename="$(IFS=,; echo "${nodes[*]}")" state=resume || true
  within 60 all_up || die "not every node came up: $(sinfo -hN -o '%N %T' | sort -u | tr '\n' ' ')"
  say "ready: ${nodes[*]}"
}

stop() {
  # SLURM itself ends the jobs first, so that none outlives its node.
  if alive slurmctld; then
    squeue -h -o %A | sort -u | xargs -r scancel || true
    within 20 eval '[ -z "$(squeue -h)" ]' || say "some jobs did not end"
  fi
  for name in "${nodes[@]}" slurmctld slurmdbd mariadbd munged; do end "$name"; done
  say "stopped"
}

# Processes below the steps of a node's jobs carry the node's name; the steps themselves only the job's number.
of_node() {
  local job process
  for job in $(squeue -h -w "$1" -t running,completing -o %A); do
    grep -lazE "^slurmstepd: \[$job\." /proc/[0-9]*/cmdline 2>/dev/null || true
  done
  grep -lazx "SLURMD_NODENAME=$1" /proc/[0-9]*/environ 2>/dev/null || true
}

crash() {
  alive "$1" || die "node $1 is not up"
  local pid
  read -r pid _ <"$state/pids/$1"
  { echo "$pid"; of_node "$1" | cut -d/ -f3; } | sort -u | xargs kill -KILL 2>/dev/null || true
  rm "$state/pids/$1"
  say "node $1 lost its power"
}

case "${1:-} $#" in
  "start 1") start ;;
  "stop 1") stop ;;
  "crash 2") crash "$2" ;;
  "down 2") end "$2" ;;
  "up 2") launch_daemon "$2" ;;
  *) die "usage: start | stop | crash NODE | down NAME | up NAME" ;;
esac
