#!/bin/sh
# Installs what the test of the desktop window needs, where that is Debian and this is root; else says what is missing.
set -eu
packages="libwebkit2gtk-4.1-dev xvfb openbox wmctrl xdotool x11-utils imagemagick"
missing=""
for package in $packages; do
	dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "the desktop window's test needs these packages of Debian:$missing"
	exit 1
fi
apt-get update
# shellcheck disable=SC2086 # They are words.
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
