"""A telephone that speaks SIP over a WebSocket (RFC 7118), on a WebSocket library that others have written.

    telephone.py URL USER PASSWORD DOMAIN

It registers with a password (RFC 2617 with MD5), asks whether somebody is there (OPTIONS), and forgets its registration. What it is
answered is printed, a line each.
"""

import hashlib
import re
import sys

import websocket


def main():
    url, user, password, domain = sys.argv[1:]
    line = websocket.create_connection(url, subprotocols=["sip"], timeout=5)
    print("protocol", line.getsubprotocol(), flush=True)
    telephone = Telephone(line, user, password, domain)
    telephone.asks("REGISTER", f"sip:{domain}", f"Contact: {telephone.contact};expires=600")
    telephone.asks("OPTIONS", f"sip:9196@{domain}")
    # What is in two pieces is one message, and a keep-alive (RFC 7118 section 6) is none.
    line.ping()
    telephone.asks("REGISTER", f"sip:{domain}", f"Contact: {telephone.contact};expires=0")
    line.close()
    print("done", flush=True)


class Telephone:
    def __init__(self, line, user, password, domain):
        self.line, self.user, self.password, self.domain = line, user, password, domain
        # A browser does not know its own address (RFC 7118 section 5).
        self.contact = f"<sip:{user}@df7jal23ls0d.invalid;transport=ws>"
        self.number = 0

    def asks(self, method, uri, *lines):
        answer = self.sends(method, uri, *lines)
        if status(answer) in (401, 407):
            print(method, status(answer), flush=True)
            answer = self.sends(method, uri, *lines, self.shows_password(method, uri, answer))
        print(method, status(answer), flush=True)

    def sends(self, method, uri, *lines):
        self.number += 1
        address = f"<sip:{self.user}@{self.domain}>"
        message = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bKws{self.number}",
            "Max-Forwards: 70",
            f"From: {address};tag=ws",
            f"To: {address if method == 'REGISTER' else '<' + uri + '>'}",
            f"Call-ID: {method}-over-a-web-socket",
            f"CSeq: {self.number} {method}",
            *lines,
            "Content-Length: 0",
        ]
        self.line.send("\r\n".join(message) + "\r\n\r\n")
        return self.line.recv()

    def shows_password(self, method, uri, answer):
        name, challenge = re.search(r"^(WWW|Proxy)-Authenticate: Digest (.*algorithm=MD5.*)\r$", answer, re.M).groups()
        realm, nonce = (re.search(f'{key}="([^"]*)"', challenge).group(1) for key in ("realm", "nonce"))
        own = md5(f"{self.user}:{realm}:{self.password}")
        response = md5(f"{own}:{nonce}:00000001:c:auth:{md5(f'{method}:{uri}')}")
        header = "Authorization" if name == "WWW" else "Proxy-Authorization"
        return (
            f'{header}: Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'algorithm=MD5, qop=auth, nc=00000001, cnonce="c", response="{response}"'
        )


def status(answer):
    return int(answer.split(" ")[1])


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


main()
