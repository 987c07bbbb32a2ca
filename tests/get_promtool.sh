#!/bin/sh
# Puts promtool, which checks the alert rules, into FOLDER on Debian and Ubuntu: out of the package, without root, without
# installing or starting anything. Where that is not possible it says so in one line, and the tests that need it skip.
# usage: get_promtool.sh FOLDER
folder=$(cd "$1" && pwd) || exit 0
if [ -x "$folder/promtool" ] || command -v promtool >/dev/null 2>&1; then
    exit 0
fi
without="promtool is not here, so the tests of the alert rules skip what needs it"
if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-deb >/dev/null 2>&1; then
    echo "$without (no Debian or Ubuntu)"
    exit 0
fi
work=$(mktemp -d) || exit 0
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
cd "$work" || exit 0
# package lists of our own: the system's may be missing, old, or not ours to update
apt="apt-get -q -o Dir::State::lists=$work/lists -o Dir::Cache=$work/cache -o Acquire::Retries=1 -o Acquire::http::Timeout=20"
echo "fetching promtool into $1"
if timeout 60 apt-get -q download prometheus >log 2>&1 \
    || timeout 180 sh -c "$apt update && $apt download prometheus" >log 2>&1; then
    dpkg-deb --fsys-tarfile prometheus_*.deb 2>>log | tar -x ./usr/bin/promtool 2>>log
fi
if ! { cp usr/bin/promtool "$folder/.promtool" && mv "$folder/.promtool" "$folder/promtool"; } 2>>log; then
    echo "$without ($(tail -n 1 log))"
fi
exit 0
