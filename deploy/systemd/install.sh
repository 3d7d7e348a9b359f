#!/bin/sh
set -eu
umask 022

help() {
  cat <<'HELP'
usage: install.sh [--root DIRECTORY]

Installs the service for systemd, and starts it. Run it as root, in a copy of the project; run it again to upgrade.

  /opt/order-pipeline             the program with its dependencies (npm ci)
  /etc/order-pipeline/settings    settings, one NAME=value a line; kept if it is there
  /etc/order-pipeline/admin-keys  keys of the admin listener; kept if it is there, else with a new random key
  /etc/systemd/system/order-pipeline.service
  the system user order-pipeline

  --root DIRECTORY  installs below DIRECTORY, for an image of a machine, and starts nothing
HELP
}

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

root=
while [ $# -gt 0 ]; do
  case $1 in
    --root) [ $# -gt 1 ] || fail "--root needs a directory"; root=${2%/}; shift 2 ;;
    --root=*) root=${1#--root=}; root=${root%/}; shift ;;
    --help | -h) help; exit 0 ;;
    *) fail "unknown option $1; --help has all" ;;
  esac
done

project=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" = 0 ] || fail "must be run as root"
[ -z "$root" ] || [ -d "$root" ] || fail "$root is not a directory"
for program in npm systemctl systemd-sysusers; do
  command -v "$program" >/dev/null || fail "$program is not there"
done

app=$root/opt/order-pipeline
settings=$root/etc/order-pipeline

mkdir -p "$root/opt" "$root/etc/systemd/system"
systemd-sysusers ${root:+"--root=$root"} --inline 'u order-pipeline - "Order pipeline"'
group=$(sed -n 's/^order-pipeline:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/group")
[ -n "$group" ] || fail "the user order-pipeline could not be made"

# Beside the old version, which stays as it is until the new one is whole: also where an upgrade that was cut off has moved it to .old.
rm -rf "$app.new"
mkdir "$app.new"
(cd "$project" && cp -R package.json package-lock.json LICENSE README.md src workers "$app.new/")
chown -R 0:0 "$app.new"
# In a copy of the project that is its owner's alone, the files are too, and the service is somebody else.
chmod -R go=rX "$app.new"
(cd "$app.new" && npm ci --omit=dev --no-audit --no-fund) || fail "npm ci failed; nothing was changed"
"$app.new/node_modules/.bin/node" --version >/dev/null || fail "the runtime does not start: it needs libatomic1 and libstdc++6; nothing was changed"

install -d -m 0750 -g "$group" "$settings"
if [ ! -e "$settings/admin-keys" ]; then
  key=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077 && echo "$key" >"$settings/admin-keys")
  echo "a new key of the admin listener is in $settings/admin-keys"
fi
[ -e "$settings/settings" ] || echo "# One NAME=value a line; secrets stay in files of their own." >"$settings/settings"
chown "0:$group" "$settings/admin-keys" "$settings/settings"
chmod 0640 "$settings/admin-keys" "$settings/settings"

# It reads files of its version for as long as it runs: a thread that starts, a module that is first needed.
if [ -z "$root" ] && systemctl is-active --quiet order-pipeline.service; then
  systemctl stop order-pipeline.service
fi
[ ! -e "$app" ] || { rm -rf "$app.old"; mv "$app" "$app.old"; }
mv "$app.new" "$app"
rm -rf "$app.old"
install -m 0644 "$project/deploy/systemd/order-pipeline.service" "$root/etc/systemd/system/"
systemctl ${root:+"--root=$root"} enable order-pipeline.service
if [ -z "$root" ]; then
  systemctl daemon-reload
  systemctl restart order-pipeline.service
fi
