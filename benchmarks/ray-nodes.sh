#!/bin/bash
# A Ray cluster on one machine, each node in a network namespace of its own (root and iproute2):
#   benchmarks/ray-nodes.sh up           three nodes of 2 CPUs, the head at 10.98.7.1:6379
#   benchmarks/ray-nodes.sh add K        one more, K from 3 on; after `kill`: the same again
#   benchmarks/ray-nodes.sh kill K       node K loses its power
#   benchmarks/ray-nodes.sh inside K …   run a command there
#   benchmarks/ray-nodes.sh down
# The machine itself is 10.98.7.254 for them: let PostgreSQL listen there. The variables
# TRAINSTACK_… that `up` and `add` see are the nodes'.
set -uo pipefail
export RAY_USAGE_STATS_ENABLED=0 NO_PROXY='*'
NET=10.98.7 STATE=/tmp/ray-nodes
RAY="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin/ray"

inside() {
    local k=$1
    shift
    ip netns exec "node$k" unshare --uts bash -c "hostname node$k; exec \"\$@\"" -- "$@"
}

add() {
    local k=$1 how="--address=$NET.1:6379"
    if ! ip netns list | grep -q "^node$k\b"; then
        ip netns add "node$k"
        ip link add "rayv$k" type veth peer name eth0 netns "node$k"
        ip link set "rayv$k" master raybr up
        ip -n "node$k" addr add "$NET.$((k + 1))/24" dev eth0
        ip -n "node$k" link set eth0 up
        ip -n "node$k" link set lo up
    fi
    [ "$k" = 0 ] && how="--head --port=6379 --include-dashboard=false"
    mkdir -p "$STATE/$k"
    # shellcheck disable=SC2086
    TRAINSTACK_HOME=$STATE/home$k inside "$k" setsid "$RAY" start $how \
        --node-ip-address="$NET.$((k + 1))" --num-cpus=2 --temp-dir="$STATE/$k" \
        --object-store-memory=80000000 --disable-usage-stats --block >"$STATE/$k.log" 2>&1 &
    until grep -q "runtime started" "$STATE/$k.log" 2>/dev/null; do sleep 0.5; done
}

case $1 in
up)
    ip link add raybr type bridge
    ip addr add "$NET.254/24" dev raybr
    ip link set raybr up
    for k in 0 1 2; do add "$k"; done
    ;;
add) rm -f "$STATE/$2.log" && add "$2" ;;
kill) ip netns pids "node$2" | xargs --no-run-if-empty kill -9 ;;
inside) inside "${@:2}" ;;
down)
    for k in $(ip netns list | sed -n 's/^node\([0-9]*\).*/\1/p'); do
        ip netns pids "node$k" | xargs --no-run-if-empty kill -9
        ip netns del "node$k"
    done
    ip link del raybr
    rm -rf "$STATE"
    ;;
esac
