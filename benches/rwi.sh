#!/usr/bin/env bash
# What applications cost: benches/rwi.sh. 500 calls to SIPp on the same machine are ordered over RWI and hear a tone; see
# pbx/examples/application_load.rs for what is measured meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v sipp > /dev/null || { echo "sipp is not installed (apt install sip-tester)"; exit 1; }
cargo build --release --quiet -p pbx --bin pbx --example application_load
work=$(mktemp -d)
# The ports of the calls are free again when the PBX has gone.
trap 'kill $(jobs -p) 2> /dev/null || true; wait; rm -rf "$work"' EXIT

free_port() { python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
callee=$(free_port) ear=$(free_port)
cat > "$work/pbx.toml" << EOT
[sip]
listen = ["udp:127.0.0.1:0"]
domain = "127.0.0.1"
[http]
listen = "127.0.0.1:0"
[media]
rtp_port_range_start = 20000
rtp_port_range_end = 59999
[limits]
calls = 10000
[rwi]
max_calls_per_connection = 1000
originate_rate_limit = 1000
[[rwi.tokens]]
token = "token-of-the-load"
[[trunks]]
name = "callee"
targets = [{ host = "127.0.0.1", port = $callee }]
EOT
# It answers whoever calls, and says that it hears at one port, whoever listens there.
cat > "$work/callee.xml" << EOT
<?xml version="1.0" encoding="UTF-8" ?>
<scenario name="callee">
  <recv request="INVITE" crlf="true"/>
  <send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=callee 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio $ear RTP/AVP 0
a=rtpmap:0 PCMU/8000
  ]]></send>
  <recv request="ACK" crlf="true"/>
  <recv request="BYE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

  ]]></send>
</scenario>
EOT
target/release/pbx --config "$work/pbx.toml" --log warn > "$work/pbx.log" 2>&1 &
pbx=$!
(cd "$work" && exec sipp -sf callee.xml -i 127.0.0.1 -p "$callee" -nostdin > /dev/null 2>&1) &
until door=$(sed -n 's/^listening http //p' "$work/pbx.log") && [ -n "$door" ]; do sleep 0.1; done
target/release/examples/application_load "$door" token-of-the-load "$pbx" "$ear"
