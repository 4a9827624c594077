#!/bin/sh
# The suite needs Node.js 22 or newer: the one on the PATH if it is, else the pinned one that was installed beside it.
here=$(dirname "$0")
if node -e 'process.exit(process.versions.node.split(".")[0] < 22)' 2>/dev/null; then
    exec node "$@"
fi
for own in "$here"/node_modules/node-*/bin/node; do
    [ -x "$own" ] && exec "$own" "$@"
done
echo "Node.js 22 or newer is needed: npm ci --prefix tests/mcp" >&2
exit 1
