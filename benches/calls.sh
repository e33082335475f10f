#!/usr/bin/env bash
# Calls through the PBX, each with media on both legs, made and answered by SIPp on the same machine:
# benches/calls.sh [CALLS_PER_SECOND...]. Prints, for each rate, what succeeded and the CPU the PBX took for a call.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v sipp > /dev/null || { echo "sipp is not installed (apt install sip-tester)"; exit 1; }
[ $# -gt 0 ] || set -- 100 500 1000 1500 2000
cargo build --release --quiet -p pbx --bin pbx
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT

free_port() { python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
callee=$(free_port)
cat > "$work/pbx.toml" << EOT
[sip]
listen = ["udp:127.0.0.1:0"]
domain = "127.0.0.1"
[media]
rtp_port_range_start = 20000
rtp_port_range_end = 59999
[limits]
calls = 10000
[cdr]
file = "$work/calls.jsonl"
[[trunks]]
name = "callee"
targets = [{ host = "127.0.0.1", port = $callee }]
[[routes]]
name = "all"
to_user = "*"
from_network = "127.0.0.0/8"
app = "trunk"
app_params = { trunks = ["callee"] }
EOT
target/release/pbx --config "$work/pbx.toml" --log warn > "$work/pbx.log" 2>&1 &
pbx=$!
(cd "$work" && exec sipp -sn uas -i 127.0.0.1 -p "$callee" -nostdin > /dev/null 2>&1) &
until target=$(sed -n 's/^listening udp //p' "$work/pbx.log") && [ -n "$target" ]; do sleep 0.1; done

cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) * 1000 / hz }' "/proc/$pbx/stat"; }
echo "rate/s  calls  succeeded  CPU ms/call  RSS MB"
for rate in "$@"; do
    calls=$((rate * 5)) before=$(cpu_ms)
    (cd "$work" && sipp -sn uac "$target" -i 127.0.0.1 -p "$(free_port)" -r "$rate" -m "$calls" -l 5000 -d 100 -nostdin \
        -timeout 60s -trace_stat -stf "$work/stat.csv" > /dev/null 2>&1) || true
    succeeded=$(awk -F';' 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "SuccessfulCall(C)") c = i } { v = $c } END { print v }' "$work/stat.csv")
    rm -f "$work/stat.csv"
    after=$(cpu_ms) rss=$(awk '/VmRSS/ { printf "%.0f", $2 / 1024 }' "/proc/$pbx/status")
    awk -v r="$rate" -v n="$calls" -v ok="$succeeded" -v ms="$(awk -v a="$after" -v b="$before" 'BEGIN { print a - b }')" -v rss="$rss" \
        'BEGIN { printf "%6d %6d %10d %12.2f %7d\n", r, n, ok, ok ? ms / ok : 0, rss }'
done
